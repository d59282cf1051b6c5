"""Strided depthwise convolutions in float32 within bf16: the same function, the same weights."""

from copy import deepcopy

import torch
from torch import nn

from model.networks.registry import build
from model.training.depthwise import StridedDepthwiseConv2d, replace_strided_depthwise


def replaced_in(network: nn.Module) -> list[str]:
    modules = network.named_modules()
    return [name for name, each in modules if isinstance(each, StridedDepthwiseConv2d)]


def test_only_strided_depthwise_convolutions_are_replaced_and_weights_are_kept():
    torch.manual_seed(0)
    network = build("unet-mobilenet_v2", 3).eval()
    before = deepcopy(network)
    replace_strided_depthwise(network)
    assert len(replaced_in(network)) == 4  # one at the entry of each stage but the first
    assert network.state_dict().keys() == before.state_dict().keys()
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(network(images), before(images))
    # ResNets have strided convolutions, but no depthwise ones.
    assert not replaced_in(replace_strided_depthwise(build("unet-resnet34", 3)))


def test_bias_padding_and_dilation_are_kept():
    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv2d(4, 8, 3, (1, 2), 2, 2, groups=4, padding_mode="reflect"), nn.Conv2d(8, 8, 1)
    )
    replaced = replace_strided_depthwise(deepcopy(plain))
    assert replaced_in(replaced) == ["0"]
    images = torch.randn(2, 4, 9, 11)
    assert torch.equal(replaced(images), plain(images))


def test_it_computes_in_float32_within_bf16_and_passes_gradients_on():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1, groups=8, bias=False))
    replaced = replace_strided_depthwise(deepcopy(plain))
    images = torch.randn(2, 8, 16, 16).bfloat16().float()
    results = []
    for network, autocast in ((replaced, True), (plain, False)):
        network.zero_grad()
        given = images.to(torch.bfloat16 if autocast else torch.float32, copy=True).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            output = network(given)
        output.float().square().sum().backward()
        results.append((output, given.grad, network[0].weight.grad))
    (output, gradient, weights), (right, right_gradient, right_weights) = results
    assert output.dtype == gradient.dtype == torch.bfloat16
    # Only rounded at the end: equal to float32's result but for that, unlike sums in bf16.
    assert torch.equal(output, right.bfloat16())
    torch.testing.assert_close(gradient.float(), right_gradient, rtol=2e-2, atol=2e-2)
    torch.testing.assert_close(weights, right_weights, rtol=1e-2, atol=1e-2)
