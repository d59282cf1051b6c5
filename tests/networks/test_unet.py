"""The U-Net against the paper's figures: sizes, parameters by hand, receptive field."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from model.networks.registry import parameter_count
from model.networks.unet import UNet


def test_parameters_of_the_smallest_network_counted_by_hand():
    network = UNet(in_channels=3, num_classes=5, base_width=2, depth=1, batch_norm=False)
    by_hand = (
        (3 * 2 * 9 + 2) + (2 * 2 * 9 + 2)  # encoder 0: 3 -> 2 -> 2
        + (2 * 4 * 9 + 4) + (4 * 4 * 9 + 4)  # bridge: 2 -> 4 -> 4
        + (4 * 2 * 4 + 2)  # transposed 2x2: 4 -> 2
        + (4 * 2 * 9 + 2) + (2 * 2 * 9 + 2)  # decoder 0: 2 + 2 -> 2 -> 2
        + (2 * 5 + 5)  # head: 2 -> 5
    )  # fmt: skip
    assert by_hand == 479
    assert parameter_count(network) == 479


def test_batch_norm_takes_the_place_of_the_biases():
    # Six 3x3 convolutions lose a bias and gain a weight and a shift per channel.
    channels = 2 + 2 + 4 + 4 + 2 + 2
    assert parameter_count(UNet(3, 5, 2, 1, batch_norm=True)) == 479 + channels


def test_parameters_of_the_papers_shape_counted_by_hand():
    # Figure 1: one channel in, 64 to 1024 channels, two classes.
    convolutions = [
        *((1, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)),
        *((256, 512), (512, 512), (512, 1024), (1024, 1024)),
        *((1024, 512), (512, 512), (512, 256), (256, 256)),
        *((256, 128), (128, 128), (128, 64), (64, 64)),
    ]
    by_hand = sum(9 * before * after + after for before, after in convolutions)
    by_hand += sum(4 * 2 * width * width + width for width in (512, 256, 128, 64))
    by_hand += 64 * 2 + 2
    assert by_hand == 31_030_658
    with torch.device("meta"):
        network = UNet(in_channels=1, num_classes=2, base_width=64, depth=4, batch_norm=False)
    assert parameter_count(network) == 31_030_658
    # "In total the network has 23 convolutional layers."
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(layers) == 23


@pytest.mark.parametrize("depth", [1, 4])
@torch.inference_mode()
def test_any_input_size_from_1_to_70_comes_back(depth):
    network = UNet(num_classes=2, base_width=1, depth=depth).eval()
    for side in range(1, 71):
        for size in ((side, side), (side, 71 - side)):
            assert network(torch.zeros(1, 3, *size)).shape == (1, 2, *size)


@torch.inference_mode()
def test_padding_by_the_network_is_padding_with_zeros_at_the_right_and_bottom():
    torch.manual_seed(0)
    network = UNet(base_width=4, depth=3).eval()
    image = torch.randn(1, 3, 21, 37)
    padded = functional.pad(image, (0, 3, 0, 3))
    assert torch.equal(network(image), network(padded)[..., :21, :37])


@torch.inference_mode()
def test_pictures_of_a_batch_do_not_influence_each_other():
    torch.manual_seed(0)
    network = UNet(base_width=4, depth=2).eval()
    batch = torch.randn(3, 3, 32, 32)
    alone = torch.cat([network(image[None]) for image in batch])
    assert torch.allclose(network(batch), alone, atol=1e-5)


def seen_from(network: UNet, row: int, size: int) -> int:
    """Side of the square of input pixels with a gradient from the output pixel (row, row)."""
    image = torch.ones(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(image)[0, 0, row, row], image)
    rows, columns = (gradient[0, 0] != 0).nonzero(as_tuple=True)
    assert (rows.min(), rows.max()) == (columns.min(), columns.max())
    assert rows.min() > 0, "the picture is too small to show the whole field"
    assert rows.max() < size - 1
    return int(rows.max() - rows.min() + 1)


@pytest.mark.parametrize(("depth", "size"), [(1, 64), (2, 96), (3, 192), (4, 384)])
def test_receptive_field_is_what_gradients_show(depth, size, monkeypatch):
    # A maximum passes its gradient to one pixel of four; the mean reaches the same four.
    monkeypatch.setattr(functional, "max_pool2d", functional.avg_pool2d)
    network = UNet(in_channels=1, num_classes=1, base_width=1, depth=depth).double().eval()
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.5)
    middle = size // 2
    seen = [seen_from(network, middle + offset, size) for offset in range(2**depth)]
    assert max(seen) == network.receptive_field()


def test_receptive_fields_of_known_depths():
    # Depth 1 by hand: 2 pixels from each of four convolutions at full resolution, 5 wide at
    # the top, which touch 3 pooled pixels; the bridge makes them 7, which are 14 pixels; 18.
    assert UNet(base_width=1, depth=1).receptive_field() == 18
    assert UNet(base_width=1, depth=2).receptive_field() == 44


def test_initial_weights_are_as_documented():
    torch.manual_seed(0)
    network = UNet(num_classes=4, base_width=32, depth=2)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            deviation = (2 / (9 * module.out_channels)) ** 0.5  # He, fan-out
            assert module.weight.std().item() == pytest.approx(deviation, rel=0.1)
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()
    assert network.head.weight.abs().max() <= 32**-0.5  # uniform, fan-in
    assert network.head.weight.std().item() == pytest.approx((1 / 3 / 32) ** 0.5, rel=0.3)


def test_dropout_is_in_the_two_deepest_blocks_only():
    network = UNet(base_width=2, depth=3, dropout=0.4)
    has = [any(isinstance(m, nn.Dropout2d) for m in block.modules()) for block in network.encoder]
    assert has == [False, False, True, True]
    assert not any(isinstance(m, nn.Dropout2d) for m in network.decoder.modules())


def test_every_parameter_is_trained():
    torch.manual_seed(0)
    network = UNet(base_width=4, depth=3)
    network(torch.randn(2, 3, 32, 32)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    "arguments", [{"depth": 0}, {"base_width": 0}, {"num_classes": 0}, {"dropout": 1.0}]
)
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match="must be at least 1"):
        UNet(**arguments)
