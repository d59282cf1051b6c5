"""Each kind of network learns one batch by heart: step, loss and figures work together."""

from types import SimpleNamespace

import pytest
import torch

from model.data.preprocessing import Preprocessing
from model.data.transforms import Collate
from model.evaluation.metrics import Metrics
from model.networks.registry import build
from model.training.config import TrainConfig
from model.training.module import SegmentationModule


@pytest.mark.parametrize(
    ("name", "options", "settings"),
    [
        ("unet", {"base_width": 8, "depth": 3}, {"lr": 5e-3}),
        ("unet-mobilenet_v2", {}, {"lr": 2e-3, "encoder_lr_factor": 0.5}),
        ("unet-resnet34", {}, {"lr": 1e-3}),
        ("unet-vgg16_bn", {}, {"lr": 1e-3}),
    ],
)
def test_a_batch_is_learned_to_a_dice_above_095(name, options, settings, few_streets, monkeypatch):
    torch.manual_seed(0)
    config = TrainConfig(network=name, optimizer="adam", schedule="constant", **settings)
    module = SegmentationModule(config, build(name, 7, **options), 7)
    run = SimpleNamespace(estimated_stepping_batches=400)
    monkeypatch.setattr(SegmentationModule, "trainer", run)
    optimizer = module.configure_optimizers()["optimizer"]
    # The large networks on small pictures, which take them a second per ten steps.
    every = 1 if name == "unet" else 2
    pairs = [few_streets.pair(name) for name in few_streets.names("train")[:2]]
    batch = Collate(Preprocessing(longest_side=64 // every))(
        [
            (
                torch.from_numpy(image[::every, ::every]).permute(2, 0, 1),
                torch.from_numpy(labels[::every, ::every]),
            )
            for image, labels in pairs
        ]
    )
    for _ in range(400):
        optimizer.zero_grad()
        module.training_step(batch).backward()
        optimizer.step()
        reached = Metrics.of(module.matrices["train_"].compute().numpy()).mean_dice
        module.matrices["train_"].reset()
        if reached > 0.95:
            return
    pytest.fail(f"mean Dice {reached:.3f} after 400 steps")
