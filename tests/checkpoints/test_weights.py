"""Weights on disk: exact, half as big where that loses nothing, and refused when damaged."""

import json
import shutil
import subprocess
import sys

import pytest
import segmentation_models_pytorch as smp
import torch

from model.checkpoints import folder
from model.checkpoints.weights import assemble, load_network, read_tensors, save_network
from model.errors import CheckpointError
from model.networks.registry import Architecture, architecture, construct
from model.networks.unet import UNet


@pytest.fixture(scope="module")
def original(make_checkpoint, tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("weights") / "tiny").path


@pytest.fixture
def tiny(original, tmp_path):
    return shutil.copytree(original, tmp_path / "tiny")


def test_weights_come_back_exactly(tmp_path):
    network = UNet(base_width=2, depth=2)
    save_network(network, tmp_path / "model.safetensors")
    tensors = read_tensors(tmp_path / "model.safetensors")
    assert tensors.keys() == network.state_dict().keys()
    for key, value in network.state_dict().items():
        assert torch.equal(tensors[key], value)
        assert tensors[key].dtype == value.dtype


def test_half_precision_halves_the_file_and_keeps_what_it_cannot_hold(tmp_path):
    network = UNet(base_width=8, depth=2)
    network.encoder[0][1].running_var.fill_(1e6)  # beyond fp16's 65504
    save_network(network, tmp_path / "full")
    save_network(network, tmp_path / "half", dtype=torch.float16)
    sizes = [(tmp_path / name).stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.6 * sizes[1]
    tensors = read_tensors(tmp_path / "half")
    assert tensors["head.weight"].dtype == torch.float16
    assert tensors["encoder.0.1.running_var"].dtype == torch.float32
    assert (tensors["encoder.0.1.running_var"] == 1e6).all()
    assert tensors["encoder.0.1.num_batches_tracked"].dtype == torch.int64


def test_a_loaded_network_is_in_float32_and_evaluation_mode(tiny):
    network = load_network(folder.read(tiny))
    assert not network.training
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_missing_weights_are_named(tiny):
    checkpoint = folder.read(tiny)
    checkpoint.weights_path.unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors is not a readable"):
        load_network(checkpoint)


@pytest.mark.parametrize("kept", [0, 4, 200, -1, -1000])
def test_truncated_weights_are_named(tiny, kept):
    checkpoint = folder.read(tiny)
    content = checkpoint.weights_path.read_bytes()
    checkpoint.weights_path.write_bytes(content[:kept])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is not a readable"):
        load_network(checkpoint)


def test_a_pickle_is_refused(tiny):
    checkpoint = folder.read(tiny)
    torch.save({"weight": torch.zeros(1)}, checkpoint.weights_path)
    with pytest.raises(CheckpointError, match="safetensors"):
        load_network(checkpoint)


def test_weights_of_another_shape_are_refused_with_the_tensor(tiny):
    config = json.loads((tiny / "config.json").read_text())
    (tiny / "config.json").write_text(json.dumps({**config, "base_width": 5}))
    with pytest.raises(CheckpointError, match=r"do not fit .*encoder\.0\.0\.weight"):
        load_network(folder.read(tiny))


def test_a_config_that_builds_nothing_is_refused(tiny):
    config = json.loads((tiny / "config.json").read_text())
    for change in ({"_model_class": "Transformer"}, {"kernel": 5}, {"base_width": None}):
        (tiny / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(CheckpointError, match=r"config\.json"):
            load_network(folder.read(tiny))


@pytest.mark.parametrize("name", ["unet-resnet34", "unet-mobilenet_v2"])
def test_smp_opens_our_folder_and_computes_the_same(make_checkpoint, tmp_path, name):
    checkpoint = make_checkpoint(tmp_path / "tiny", name)
    ours, theirs = load_network(checkpoint), smp.from_pretrained(str(checkpoint.path)).eval()
    assert type(theirs) is smp.Unet
    batch = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(ours(batch), theirs(batch))


def test_loading_never_downloads_encoder_weights(make_checkpoint, tmp_path, monkeypatch):
    checkpoint = make_checkpoint(tmp_path / "tiny", "unet-mobilenet_v2")
    # As smp itself writes it.
    checkpoint.config["encoder_weights"] = "imagenet"
    monkeypatch.setattr(smp.encoders, "hf_hub_download", lambda *_, **__: pytest.fail("asked"))
    load_network(checkpoint)
    assert checkpoint.config["encoder_weights"] == "imagenet"


def test_architecture_and_weights_are_all_that_a_network_is(tmp_path):
    torch.manual_seed(0)
    plan = architecture("unet", 3, base_width=4, depth=2)
    first, second = construct(plan).eval(), construct(plan).eval()
    save_network(first, tmp_path / "weights")
    second.load_state_dict(read_tensors(tmp_path / "weights"))
    batch = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(first(batch), second(batch))


LIMITED = """
import resource, sys
import segmentation_models_pytorch, timm, torch
from model.checkpoints import folder
from model.checkpoints.weights import load_network
from model.errors import CheckpointError

used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30,) * 2)
for path in sys.argv[1:]:
    try:
        load_network(folder.read(path))
        print("opened")
    except CheckpointError as error:
        print(error)
"""
"""Opens checkpoints with a gigabyte to spare."""


def in_little_memory(*paths) -> list[str]:
    command = [sys.executable, "-c", LIMITED, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.splitlines()


def with_config(checkpoint, name, **changes):
    """A copy of a checkpoint with the same weights, and another network in its config.json."""
    path = shutil.copytree(checkpoint, checkpoint.with_name(name))
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | changes))
    return path


def test_a_gigantic_network_is_refused_before_it_takes_memory(make_checkpoint, tmp_path):
    ours = make_checkpoint(tmp_path / "ours").path
    smp_s = make_checkpoint(tmp_path / "smp", "unet-mobilenet_v2").path
    wide, huge = [100_000] * 5, [10**30] * 5
    gigantic = [
        with_config(ours, "wide", base_width=100_000),
        with_config(ours, "wider", base_width=10**30),
        with_config(ours, "deep", depth=10),
        with_config(ours, "deeper", depth=10**9),
        with_config(smp_s, "decoder", decoder_channels=wide),
        with_config(smp_s, "decoder2", decoder_channels=huge),
        with_config(smp_s, "linspace", encoder_name="mit_b0", decoder_channels=wide),
    ]
    *refusals, ours_opened, smp_s_opened = in_little_memory(*gigantic, ours, smp_s)
    for path, refusal in zip(gigantic, refusals, strict=True):
        assert f"{path}/model.safetensors do not fit the config.json" in refusal
        assert "memory" not in refusal  # torch's complaint, once it has asked for too much
    assert "depth must be at most 10" in refusals[3]
    assert ours_opened == smp_s_opened == "opened"


@pytest.mark.parametrize("name", ["mit_b0", "tu-resnet18", "mobileone_s0"])
def test_encoders_of_every_kind_are_built_from_their_weights(name):
    plan = Architecture("Unet", {"encoder_name": name, "encoder_weights": None, "classes": 2})
    network = construct(plan)
    tensors = network.state_dict()
    again = assemble(plan, tensors)
    for key, value in again.state_dict().items():
        assert torch.equal(value, tensors[key])


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder_name": "tu-hf-hub:owner/name"},
        {"encoder_name": "tu-local-dir:/etc"},
        {"encoder_name": "tu-resnet18", "checkpoint_path": "/tmp/weights.pth"},
        {"encoder_name": "tu-resnet18", "pretrained_cfg": {"url": "http://127.0.0.1:9/"}},
    ],
)
def test_a_config_has_timm_open_nothing(make_checkpoint, tmp_path, monkeypatch, changes):
    import timm

    monkeypatch.setattr(timm, "create_model", lambda *_, **__: pytest.fail("asked"))
    path = make_checkpoint(tmp_path / "tiny", "unet-mobilenet_v2").path
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_network(folder.read(with_config(path, "hostile", **changes)))
