"""The Lightning module: which parameters learn how fast, and figures that ignore void."""

from types import SimpleNamespace

import pytest
import torch

from model.data.classes import VOID
from model.networks.registry import build
from model.training.config import TrainConfig
from model.training.module import SegmentationModule


@pytest.fixture
def attached(monkeypatch):
    """A function that makes a module as in a run of 100 steps."""
    trainer = SimpleNamespace(estimated_stepping_batches=100)
    monkeypatch.setattr(SegmentationModule, "trainer", trainer)
    return SegmentationModule


def groups_of(module: SegmentationModule) -> list[dict]:
    return module.configure_optimizers()["optimizer"].param_groups


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_pretrained_encoder_learns_at_its_own_rate(name, attached):
    network = build("unet-mobilenet_v2", 3)
    config = TrainConfig(
        network="unet-mobilenet_v2", lr=1e-3, encoder_lr_factor=0.1, optimizer=name,
        schedule="constant",
    )  # fmt: skip
    encoder, rest = groups_of(attached(config, network, 3))
    assert (encoder["lr"], rest["lr"]) == pytest.approx((1e-4, 1e-3))
    assert {id(p) for p in encoder["params"]} == {id(p) for p in network.encoder.parameters()}
    assert len(encoder["params"]) + len(rest["params"]) == len(list(network.parameters()))


def test_the_scratch_network_learns_as_a_whole(attached):
    network = build("unet", 3, base_width=2, depth=1)
    config = TrainConfig(schedule="constant")
    (group,) = groups_of(attached(config, network, 3))
    assert len(group["params"]) == len(list(network.parameters()))
    assert group["weight_decay"] == config.weight_decay


@pytest.mark.parametrize("filled", [VOID, 1])
def test_a_batch_of_nothing_but_void_harms_nothing(filled):
    torch.manual_seed(0)
    module = SegmentationModule(TrainConfig(), build("unet", 3, base_width=2, depth=1), 3)
    images = torch.randn(2, 3, 32, 32)
    loss = module.training_step((images, torch.full((2, 32, 32), filled)))
    loss.backward()
    gradients = torch.cat([p.grad.flatten() for p in module.parameters()])
    assert gradients.isfinite().all()
    assert gradients.any() == (filled != VOID)
    assert module.matrices["train_"].compute().sum() == (0 if filled == VOID else 2 * 32 * 32)


class Echo(torch.nn.Module):
    """A network whose logits are its input; one weight, so that there is something to train."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images * self.weight


def test_figures_are_those_of_the_epochs_batches(attached, monkeypatch):
    module = attached(TrainConfig(loss="ce", schedule="constant"), Echo(), 3)
    optimizer = module.configure_optimizers()["optimizer"]
    monkeypatch.setattr(module, "optimizers", lambda: optimizer)
    target = torch.tensor([[[0, 1, 2, VOID]], [[0, 1, 1, 2]]])
    right = torch.nn.functional.one_hot(target.clamp(max=2), 3).permute(0, 3, 1, 2).float()
    for epoch in range(2):  # the second must not remember the first
        module.training_step((right, target))
        # One of seven pixels that count is taken for class 0: it was the last of class 2.
        wrong = right.clone()
        wrong[1, :, 0, 3] = torch.tensor([1.0, 0.0, 0.0])
        module.validation_step((wrong[:1], target[:1]))
        module.validation_step((wrong[1:], target[1:]))
        module.on_validation_epoch_end()
        figures = module.figures
        assert figures["train_iou"] == figures["train_dice"] == figures["train_accuracy"] == 1
        assert figures["val_accuracy"] == pytest.approx(6 / 7), epoch
        assert figures["val_iou"] == pytest.approx((2 / 3 + 1 + 1 / 2) / 3)
        assert figures["val_dice"] == pytest.approx((4 / 5 + 1 + 2 / 3) / 3)
        right_cost = -right.softmax(1).max().log().item()
        assert figures["train_loss"] == pytest.approx(right_cost, abs=1e-6)
        # Batch means 1 and (3 right, 1 wrong by a logit of 1) weighted by their pictures.
        assert figures["val_loss"] == pytest.approx(right_cost + 1 / 4 / 2, abs=1e-6)
