"""Pretrained encoders: loaded from a file, recorded by hash, refused when they do not fit."""

import hashlib
import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from model.checkpoints.folder import DESCRIPTION_FILE, WEIGHTS_FILE
from model.checkpoints.hub_errors import HubError
from model.checkpoints.weights import load_network, save_network
from model.data import streets
from model.errors import CheckpointError, ConfigError
from model.networks.registry import Architecture, architecture, construct
from model.training.encoder import build_with_encoder, start_from
from tests.hub_server import serving

PLAN = architecture("unet-mobilenet_v2", 3)


@pytest.fixture(scope="module")
def encoder_file(tmp_path_factory):
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("encoder") / "pretrained.safetensors"
    save_network(construct(PLAN).encoder, path, dtype=torch.float16)
    return path


def test_a_files_weights_reach_the_encoder_and_are_recorded(encoder_file):
    torch.manual_seed(1)
    expected = construct(PLAN).encoder.state_dict()
    torch.manual_seed(2)
    network, record = build_with_encoder(PLAN, str(encoder_file), "pictures of cats")
    for key, value in network.encoder.state_dict().items():
        assert torch.allclose(value, expected[key], atol=1e-3)
        assert value.dtype == expected[key].dtype
    assert record == {
        "name": "mobilenet_v2",
        "pretrained": True,
        "origin": "pictures of cats",
        "file": "pretrained.safetensors",
        "sha256": hashlib.sha256(encoder_file.read_bytes()).hexdigest(),
    }


def test_the_name_that_a_checkpoint_records_is_found_beside_the_data_sets(encoder_file, tmp_path):
    (tmp_path / "encoders").mkdir()
    shutil.copy(encoder_file, tmp_path / "encoders")
    _, record = build_with_encoder(PLAN, encoder_file.name, data_root=tmp_path)
    assert record["sha256"] == hashlib.sha256(encoder_file.read_bytes()).hexdigest()


def test_an_encoder_from_the_hub_is_recorded_with_its_commit(encoder_file, monkeypatch, tmp_path):
    expected, _ = build_with_encoder(PLAN, str(encoder_file))
    files = {WEIGHTS_FILE: encoder_file.read_bytes()}
    with serving(monkeypatch, tmp_path / "home") as hub:
        repository = hub.add("owner/encoder", files)
        first = repository.head
        repository.commit({WEIGHTS_FILE: b"something else"})
        network, record = build_with_encoder(PLAN, f"owner/encoder@{first}", "pictures of cats")
        with pytest.raises(CheckpointError, match=WEIGHTS_FILE):
            build_with_encoder(PLAN, "owner/encoder")
        with pytest.raises(HubError, match="owner/none"):
            build_with_encoder(PLAN, "owner/none")
    for key, value in network.encoder.state_dict().items():
        assert torch.equal(value, expected.encoder.state_dict()[key])
    assert record == {
        "name": "mobilenet_v2",
        "pretrained": True,
        "origin": "pictures of cats",
        "file": f"owner/encoder@{first}/{WEIGHTS_FILE}",
        "sha256": hashlib.sha256(encoder_file.read_bytes()).hexdigest(),
    }


def test_random_encoders_are_recorded_as_such():
    _, record = build_with_encoder(PLAN, "none")
    assert record == {
        "name": "mobilenet_v2",
        "pretrained": False,
        "origin": "none, random weights",
    }
    _, record = build_with_encoder(architecture("unet", 3, base_width=2, depth=1), "none")
    assert record == {"name": None, "pretrained": False, "origin": "none"}


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"--encoder-weights .*gone\.safetensors: there is no"):
        build_with_encoder(PLAN, str(tmp_path / "gone.safetensors"))


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"broken\.safetensors"):
        build_with_encoder(PLAN, str(path))


def test_another_encoders_weights_are_refused_with_a_tensor(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"conv1.weight": torch.zeros(1)}, path)
    with pytest.raises(ConfigError, match=r"does not fit the encoder mobilenet_v2: .*key"):
        build_with_encoder(PLAN, str(path))


def test_no_network_to_download_from_is_said(monkeypatch):
    def offline(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setattr("segmentation_models_pytorch.encoders.hf_hub_download", offline)
    with pytest.raises(ConfigError, match=r"mobilenet_v2: Name or .*--encoder-weights FILE"):
        build_with_encoder(PLAN, "imagenet")


@pytest.mark.data
@pytest.mark.parametrize(
    ("encoder", "file"),
    [
        ("mobilenet_v2", "mobilenet_v2.imagenet"),
        ("resnet34", "resnet34.tiny_imagenet"),
        ("vgg16_bn", "vgg16_bn.tiny_imagenet"),
    ],
)
def test_the_real_encoder_files_fit(data_root, encoder, file):
    path = data_root / "encoders" / f"{file}.safetensors"
    if not path.exists():
        pytest.skip(f"needs {path.name}")
    _, record = build_with_encoder(architecture(f"unet-{encoder}", 3), str(path))
    assert record["pretrained"]


def test_training_can_start_from_a_checkpoint(make_checkpoint, tmp_path):
    checkpoint = make_checkpoint(tmp_path / "earlier")
    network = construct(Architecture.from_json(checkpoint.config))
    before = network.head.weight.clone()
    assert start_from(network, str(checkpoint.path), checkpoint.classes).name == "earlier"
    assert not torch.equal(network.head.weight, before)
    expected = load_network(checkpoint).state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in network.state_dict().items())


def test_an_ensemble_is_refused_and_its_networks_named(make_checkpoint, tmp_path):
    checkpoint = make_checkpoint(tmp_path / "folds")
    described = checkpoint.path / DESCRIPTION_FILE
    described.write_text(json.dumps(checkpoint.description | {"members": ["fold-2"]}))
    for number in (1, 2):
        make_checkpoint(checkpoint.path / f"fold-{number}")
    network = construct(Architecture.from_json(checkpoint.config))
    with pytest.raises(ConfigError, match=r"is an ensemble .*folds/fold-1, .*folds/fold-2\."):
        start_from(network, str(checkpoint.path), checkpoint.classes)


def test_a_checkpoint_of_other_classes_or_another_network_is_refused(make_checkpoint, tmp_path):
    checkpoint = make_checkpoint(tmp_path / "earlier")
    network = construct(architecture("unet", 3, base_width=2, depth=1))
    with pytest.raises(ConfigError, match=r"--start-from .* do not fit"):
        start_from(network, str(checkpoint.path), checkpoint.classes)
    with pytest.raises(ConfigError, match=r"--start-from .* knows the classes"):
        start_from(network, str(checkpoint.path), streets.CLASSES)
