"""Training settings: impossible ones are refused by the name of their flag."""

import shlex
from pathlib import Path

import pytest
import tyro

from model.errors import ConfigError
from model.training.config import TrainConfig


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"epochs": 0}, "--epochs"),
        ({"base_width": 0}, "--base-width"),
        ({"depth": 0}, "--depth"),
        ({"depth": 9}, "--depth"),
        ({"limit": 0}, "--limit"),
        ({"limit": -5}, "--limit"),
        ({"batch_size": 0}, "--batch-size"),
        ({"batch_size": 1}, "--batch-size"),
        ({"crop": 0}, "--crop"),
        ({"crop": 100}, "--crop"),
        ({"longest_side": 31}, "--longest-side"),
        ({"lr": 0.0}, "--lr"),
        ({"lr": -1e-3}, "--lr"),
        ({"lr": float("nan")}, "--lr"),
        ({"lr": float("inf")}, "--lr"),
        ({"encoder_lr_factor": 0.0}, "--encoder-lr-factor"),
        ({"weight_decay": -0.1}, "--weight-decay"),
        ({"seed": -1}, "--seed"),
        ({"seed": 2**32}, "--seed"),
        ({"network": "unet", "encoder_weights": "imagenet"}, "--encoder-weights"),
    ],
)
def test_impossible_settings_are_refused_by_flag(settings, flag):
    with pytest.raises(ConfigError, match=flag):
        TrainConfig(**settings)


def test_the_limits_themselves_are_allowed():
    TrainConfig(
        epochs=1, base_width=1, depth=8, limit=1, batch_size=2, crop=256, longest_side=32, seed=0
    )
    TrainConfig(crop=32, depth=5, weight_decay=0.0, seed=2**32 - 1)


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(),
        TrainConfig(network="unet-resnet34", encoder_weights="imagenet", lr=5e-4, limit=100),
        TrainConfig(loss="0.5*ce+dice", longest_side=128, schedule="cosine", precision="f32"),
        TrainConfig(encoder_origin="Tiny ImageNet, by us", network="unet-vgg16_bn"),
    ],
)
def test_the_recorded_command_gives_the_same_settings(config):
    words = shlex.split(config.command())
    assert words[:4] == ["python", "-m", "model", "train"]
    assert tyro.cli(TrainConfig, args=words[4:]) == config


def test_the_recorded_command_names_no_place_of_this_machine():
    config = TrainConfig(
        network="unet-resnet34",
        encoder_weights="/home/me/encoder.safetensors",
        output=Path("/home/me/runs/x"),
        data_root=Path("/home/me/data"),
        start_from="/home/me/runs/first",
        data="folder:/home/me/pictures",
    )
    assert "/home" not in config.command()
    assert "/home" not in str(config.portable())
    assert "--encoder-weights encoder.safetensors" in config.command()
    assert "--start-from first" in config.command()
    assert "--data folder:pictures" in config.command()
