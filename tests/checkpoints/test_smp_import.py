"""Plain checkpoints of segmentation_models_pytorch, as its `save_pretrained` writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch

from model.checkpoints import folder, hub_push, zoo
from model.checkpoints.smp_import import convert
from model.checkpoints.weights import load_network
from model.errors import CheckpointError, ConfigError
from model.inference.engines import make_engine
from tests.hub_server import serving


@pytest.fixture(scope="module")
def save(tmp_path_factory):
    """A function that saves a network with random weights as smp does; returns both."""

    def make(**arguments) -> tuple[Path, torch.nn.Module]:
        torch.manual_seed(0)
        arguments = {"encoder_weights": None, "decoder_channels": (16, 8, 8, 8, 8), **arguments}
        network = smp.Unet("mobilenet_v2", **arguments).eval()
        torch.nn.init.normal_(network.segmentation_head[0].weight)
        path = tmp_path_factory.mktemp("smp")
        network.save_pretrained(path)
        return path, network

    return make


def logits(checkpoint: folder.Checkpoint, picture: np.ndarray) -> np.ndarray:
    height, width = checkpoint.preprocessing.fitted_hw(*picture.shape[:2])
    batch = checkpoint.preprocessing.network_input(picture)
    return make_engine(checkpoint, "torch").logits(batch)[0, :, :height, :width]


def original_logits(network, checkpoint: folder.Checkpoint, picture: np.ndarray) -> np.ndarray:
    height, width = checkpoint.preprocessing.fitted_hw(*picture.shape[:2])
    with torch.inference_mode():
        output = network(torch.from_numpy(checkpoint.preprocessing.network_input(picture)))
    return output[0, :, :height, :width].numpy()


def test_pulled_by_its_hub_id_it_segments_as_smp_does(save, tmp_path, monkeypatch, picture):
    path, network = save(classes=3)
    files = {file.name: file.read_bytes() for file in path.iterdir()}
    with serving(monkeypatch, tmp_path / "home") as server:
        commit = server.add("owner/plain", files).head
        checkpoint = zoo.find("owner/plain")
    assert checkpoint.name == "owner/plain"
    assert checkpoint.description["hub"]["commit"] == commit
    assert checkpoint.classes.names == ["class 0", "class 1", "class 2"]
    assert "numbered" in checkpoint.description["guessed"]
    ours = logits(checkpoint, picture)
    assert np.allclose(ours, original_logits(network, checkpoint, picture), atol=1e-4)


def test_single_logit_becomes_two_classes_split_at_one_half(save, tmp_path, picture):
    path, network = save(classes=1)
    checkpoint = folder.read(convert(path, tmp_path / "ours", "here"))
    probability = 1 / (1 + np.exp(-original_logits(network, checkpoint, picture)[0]))
    ours = logits(checkpoint, picture)
    softmax = np.exp(ours[1]) / np.exp(ours).sum(0)
    assert 0 < (probability > 0.5).mean() < 1
    assert np.allclose(softmax, probability, atol=1e-5)
    assert np.array_equal(ours.argmax(0), probability > 0.5)


@pytest.mark.parametrize("num_classes", [1, 3])
def test_our_own_network_needs_no_description_either(
    make_checkpoint, tmp_path, picture, num_classes
):
    path = make_checkpoint(tmp_path / "plain", num_classes=num_classes).path
    network = load_network(folder.read(path))
    (path / folder.DESCRIPTION_FILE).unlink()
    checkpoint = folder.read(convert(path, tmp_path / "ours", "here"))
    expected = original_logits(network, checkpoint, picture)
    if num_classes == 1:
        expected = np.concatenate([np.zeros_like(expected), expected])
    assert np.allclose(logits(checkpoint, picture), expected, atol=1e-4)
    assert checkpoint.description["network"]["name"] == "unet"


def test_what_is_no_logit_of_pixels_is_left_out(save, tmp_path, picture):
    path, network = save(classes=2, activation="sigmoid", aux_params={"classes": 4})
    checkpoint = folder.read(convert(path, tmp_path / "ours", "here"))
    network.classification_head = None
    network.segmentation_head[2] = torch.nn.Identity()
    expected = original_logits(network, checkpoint, picture)
    assert np.allclose(logits(checkpoint, picture), expected, atol=1e-4)


def test_encoder_weights_are_not_downloaded_again(save, tmp_path, monkeypatch):
    path, _ = save(classes=2)
    config = (path / "config.json").read_text()
    replaced = config.replace('"encoder_weights": null', '"encoder_weights": "imagenet"')
    assert replaced != config
    (path / "config.json").write_text(replaced)
    with serving(monkeypatch, tmp_path / "home") as server:
        checkpoint = folder.read(convert(path, tmp_path / "ours", "here"))
        assert not server.requests
    assert checkpoint.config["encoder_weights"] is None
    assert checkpoint.description["encoder"]["pretrained"]
    assert checkpoint.description["encoder"]["origin"] == "imagenet"


def test_second_conversion_finds_the_first(save, tmp_path):
    path, _ = save(classes=2)
    first = convert(path, tmp_path / "ours", "here")
    (path / "model.safetensors").unlink()
    assert convert(path, first, "here") == first
    assert [p.name for p in tmp_path.iterdir()] == ["ours"]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("not json", "neither a checkpoint of U-Net Studio"),
        ("[]", "neither a checkpoint of U-Net Studio"),
        ('{"_model_class": "UNet", "num_classes": "many"}', "neither a checkpoint of U-Net Studio"),
        ('{"_model_class": "UNet", "nonsense": 1}', "cannot be built"),
        ('{"model_type": "bert"}', "neither a checkpoint of U-Net Studio"),
        (
            '{"_model_class": "Unet", "encoder_name": "mobilenet_v2", "in_channels": 4}',
            "4 channels",
        ),
        ('{"_model_class": "Popen", "encoder_name": "x"}', "cannot be built.*Popen"),
        ('{"_model_class": "Unet", "encoder_name": "nonsense"}', "cannot be built"),
        ('{"_model_class": "Unet", "encoder_name": "resnet18"}', "cannot be built"),
    ],
)
def test_other_checkpoints_are_refused_in_a_sentence(save, tmp_path, config, sentence):
    path, _ = save(classes=2)
    (path / "config.json").write_text(config)
    with pytest.raises(CheckpointError, match=sentence):
        convert(path, tmp_path / "ours", "owner/other")
    assert not list(tmp_path.iterdir())


def test_guessed_descriptions_are_not_pushed(save, tmp_path):
    path, _ = save(classes=2)
    checkpoint = folder.read(convert(path, tmp_path / "ours", "here"))
    with pytest.raises(ConfigError, match="checkpoints of your own"):
        hub_push.contents(checkpoint, "owner/name")
