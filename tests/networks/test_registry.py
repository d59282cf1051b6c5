"""Networks by name, and as what a checkpoint records."""

import pytest
import torch
from torch import nn

from model.errors import ConfigError
from model.networks.registry import Architecture, architecture, build, construct, parameter_count
from model.networks.unet import UNet


@pytest.mark.parametrize("name", ["unet", "unet-resnet34", "unet-vgg16_bn", "unet-mobilenet_v2"])
@torch.inference_mode()
def test_named_networks_map_rgb_to_logits_of_the_same_size(name):
    network = build(name, num_classes=5).eval()
    assert network(torch.zeros(1, 3, 64, 96)).shape == (1, 5, 64, 96)


def test_options_reach_the_scratch_network():
    network = build("unet", 4, base_width=2, depth=3, dropout=0.25)
    assert (len(network.encoder), network.head.in_channels, network.head.out_channels) == (4, 2, 4)
    assert {m.p for m in network.modules() if isinstance(m, nn.Dropout2d)} == {0.25}


def test_architectures_survive_the_way_through_json():
    for name in ("unet", "unet-resnet34"):
        plan = architecture(name, 3)
        again = Architecture.from_json(plan.to_json())
        assert again == plan
        assert again.name == name


def test_a_checkpoint_never_asks_for_encoder_weights():
    # smp would download them at every load, and fail offline.
    assert architecture("unet-resnet34", 3).to_json()["encoder_weights"] is None


@pytest.mark.parametrize("name", ["segformer", "unet-", "unet-resnet1", "UNet", "", "unet_vgg"])
def test_an_unknown_name_is_refused_with_examples(name):
    with pytest.raises(ConfigError, match=r"There is no network .*unet-<encoder>.*resnet34"):
        architecture(name, 3)


def test_an_unknown_class_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match=r"no network class 'Transformer'.*UNet.*Unet"):
        construct(Architecture("Transformer", {}))


@pytest.mark.parametrize(
    ("model_class", "arguments"),
    [
        ("UNet", {"width": 3}),
        ("UNet", {"base_width": 0}),
        ("UNet", {"base_width": "wide"}),
        ("Unet", {"encoder_name": "nonsense"}),
        ("Unet", {"encoder_weights": None, "decoder_channels": (8,)}),
    ],
)
def test_arguments_that_do_not_fit_are_refused(model_class, arguments):
    with pytest.raises(ConfigError, match="cannot be built from"):
        construct(Architecture(model_class, arguments))


def test_parameter_count_leaves_frozen_ones_out():
    network = UNet(base_width=2, depth=1)
    total = parameter_count(network)
    network.head.requires_grad_(False)
    assert parameter_count(network) == total - (2 * 2 + 2)
