"""Training settings: impossible ones are refused by the name of their flag."""

import dataclasses
import json
import shlex
from pathlib import Path

import pytest
import tyro

from model.errors import ConfigError
from model.training.config import TrainConfig, changed_settings
from model.training.presets import PRESETS
from model.training.studies.configs import CrossValidation, SmallData, Tuning
from tests.conftest import REPOSITORY

STUDIES = "weights/studies/*.json"


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"epochs": 0}, "--epochs"),
        ({"base_width": 0}, "--base-width"),
        ({"depth": 0}, "--depth"),
        ({"depth": 9}, "--depth"),
        ({"depth": 6, "crop": 96}, "--crop must be a multiple of 64"),
        ({"depth": 6, "size_policy": "tile", "tile": 96}, "--tile must be a multiple of 64"),
        ({"limit": 0}, "--limit"),
        ({"limit": -5}, "--limit"),
        ({"pictures_per_epoch": 0}, "--pictures-per-epoch"),
        ({"batch_size": 0}, "--batch-size"),
        ({"batch_size": 1}, "--batch-size"),
        ({"crop": 0}, "--crop"),
        ({"crop": 100}, "--crop"),
        ({"tile": 32}, "--tile"),
        ({"tile": 100}, "--tile"),
        ({"augment": 2.5}, "--augment"),
        ({"ema": 1.0}, "--ema"),
        ({"dropout": 1.0}, "--dropout"),
        ({"accumulate": 0}, "--accumulate"),
        ({"early_stopping": 0}, "--early-stopping"),
        ({"time_limit": 0.0}, "--time-limit"),
        ({"plateau_patience": 0}, "--plateau-patience"),
        ({"samples_every": -1}, "--samples-every"),
        ({"cache_gib": -1.0}, "--cache-gib"),
        ({"epochs": 5, "warmup_epochs": 5.0}, "--warmup-epochs"),
        ({"warmup_epochs": -1.0}, "--warmup-epochs"),
        ({"network": "unet-resnet34", "freeze_encoder_epochs": 30}, "--freeze-encoder-epochs"),
        ({"freeze_encoder_epochs": 1}, "--freeze-encoder-epochs"),
        ({"size_policy": "crop", "longest_side": 320}, "--longest-side"),
        ({"include_validation": True, "early_stopping": 5}, "--early-stopping"),
        ({"include_validation": True, "schedule": "plateau"}, "--schedule plateau"),
        ({"class_weights": "balanced", "loss": "dice"}, "--class-weights balanced"),
        ({"preset": "no-such"}, "--preset"),
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
        ({"network": "unet-resnet34", "base_width": 16}, "--base-width changes nothing"),
        ({"network": "unet-resnet34", "depth": 3}, "--depth changes nothing without --network"),
        ({"network": "unet-resnet34", "dropout": 0.5}, "--dropout changes nothing"),
        ({"size_policy": "pad", "tile": 128}, "--tile changes nothing without --size-policy tile"),
        ({"plateau_patience": 9}, "--plateau-patience changes nothing without --schedule plateau"),
        ({"network": "unet-resnet34", "encoder_origin": "x"}, "--encoder-origin changes nothing"),
        (
            {"network": "unet-resnet34", "encoder_weights": "imagenet", "encoder_origin": "x"},
            "--encoder-origin changes nothing",
        ),
    ],
)
def test_impossible_settings_are_refused_by_flag(settings, flag):
    with pytest.raises(ConfigError, match=flag):
        TrainConfig(**settings)


def test_a_deeper_network_needs_larger_multiples():
    assert TrainConfig(depth=8).preprocessing(256).multiple == 256
    assert TrainConfig(depth=4).preprocessing(256).multiple == 32
    assert TrainConfig(network="unet-resnet34").preprocessing(256).multiple == 32


def test_paths_may_be_text():
    config = TrainConfig.of_preset("pets", output="runs/pets", split="split.json")
    assert (config.output, config.split) == (Path("runs/pets"), Path("split.json"))


def test_what_a_preset_brings_for_another_network_or_policy_is_dropped():
    command = TrainConfig.of_preset("pets-scratch", network="unet-resnet34").command()
    assert "--base-width" not in command
    assert "--base-width 24" in TrainConfig.of_preset("pets-scratch").command()
    assert TrainConfig.of_preset("aerial", size_policy="pad").tile == TrainConfig().tile
    fold = CrossValidation.of_preset("pets-scratch", network="unet-resnet34").fold(1)
    assert fold.network == "unet-resnet34"


def test_the_limits_themselves_are_allowed():
    TrainConfig(
        size_policy="tile",
        tile=64,
        ema=0.0,
        augment=2.0,
        epochs=5,
        warmup_epochs=4.5,
        samples_every=0,
    )
    TrainConfig(
        epochs=1, base_width=1, depth=8, limit=1, batch_size=2, crop=256, longest_side=32, seed=0
    )
    TrainConfig(crop=32, depth=5, weight_decay=0.0, seed=2**32 - 1)


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(),
        TrainConfig(network="unet-resnet34", encoder_weights="imagenet", lr=5e-4, limit=100),
        TrainConfig(pictures_per_epoch=100),
        TrainConfig(include_validation=True, accumulate=2, ema=0.99),
        TrainConfig(keep="last", early_stopping=5),
        TrainConfig(loss="0.5*ce+dice", longest_side=128, schedule="cosine", precision="f32"),
        TrainConfig(
            encoder_weights="vgg.safetensors",
            encoder_origin="Tiny ImageNet, by us",
            network="unet-vgg16_bn",
        ),
        TrainConfig(split="own.json"),
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
    hub_id = TrainConfig(start_from="owner/name@v2")
    assert "--start-from owner/name@v2" in hub_id.command()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_recorded_as_its_settings(name):
    config = TrainConfig.of_preset(name)
    assert {key: getattr(config, key) for key in PRESETS[name]} == PRESETS[name]
    again = tyro.cli(TrainConfig, args=shlex.split(config.command())[4:])
    assert dataclasses.replace(again, preset=name) == config


@pytest.mark.parametrize("kind", [TrainConfig, CrossValidation, Tuning, SmallData])
def test_a_split_file_may_be_given_by_its_older_flag(kind):
    config = kind(split="own.json")
    for flag in ("--split-file", "--split"):
        assert tyro.cli(kind, args=[flag, "own.json"]) == config
    assert " --split-file own.json" in config.command()
    assert config.portable()["split"] == "own.json"  # what --resume compares with older runs


@pytest.mark.parametrize(
    "config",
    [
        CrossValidation(data="pets", keep="best", folds=3),
        CrossValidation(data="pets"),
        Tuning(data="pets", losses=("0.5*ce+dice", "ce"), search=("loss", "lr"), trials=4),
        Tuning(data="pets", network="unet-resnet34", storage="postgresql://me:secret@host/x"),
        SmallData(data="pets", pictures=(5, 9), seeds=2, lr=1e-4),
    ],
    ids=lambda config: config.COMMAND,
)
def test_the_command_of_a_study_makes_it_again(config):
    command = config.command()
    again = tyro.cli(type(config), args=shlex.split(command)[4:])
    secret = {"storage": ""} if isinstance(config, Tuning) else {}
    assert again == dataclasses.replace(config, **secret)
    assert "secret" not in command
    assert "*" not in command.replace("'0.5*ce+dice'", "")


def test_presets_are_those_of_the_five_systems():
    road, carla, course, aerial, pets = map(
        TrainConfig.of_preset, ("road-vgg16", "carla-resnet34", "carla-course", "aerial", "pets")
    )
    assert (road.data, road.network) == ("roads", "unet-vgg16_bn")
    for config in (carla, TrainConfig.of_preset("carla-scratch")):
        assert (config.loss, config.optimizer, config.lr) == ("dice", "adam", 5e-4)
    assert (course.data, course.loss) == ("carla", "ce")
    assert (aerial.normalisation, aerial.loss, aerial.crop) == ("unit", "ce", 256)
    assert aerial.turn
    assert not any(config.turn for config in (road, carla, course, pets))
    assert pets.data == "pets"


@pytest.mark.parametrize(
    "pair",
    [("carla-scratch", "carla-resnet34"), ("pets-scratch", "pets"), ("road-scratch", "road-vgg16")],
)
def test_a_pair_of_presets_differs_in_the_network_only(pair):
    first, second = (TrainConfig.of_preset(name) for name in pair)
    different = {
        item.name
        for item in dataclasses.fields(TrainConfig)
        if getattr(first, item.name) != getattr(second, item.name)
    }
    assert different <= {"preset", "network", "base_width", "encoder_weights", "encoder_lr_factor"}


@pytest.mark.parametrize("words", [["--preset", "pets"], ["--preset=pets"]])
def test_flags_override_a_preset_wherever_they_stand(words):
    for arguments in (["--epochs", "3", *words], [*words, "--epochs", "3"]):
        config = tyro.cli(TrainConfig, args=arguments, default=TrainConfig.of_words(arguments))
        assert config == TrainConfig.of_preset("pets", epochs=3)


@pytest.mark.parametrize("form", ["--preset {}", "--preset={}"])
def test_two_presets_are_refused(form):
    """The recipe of one, recorded by the name of the other, would be the wrong half of a pair."""
    words = f"{form.format('carla-scratch')} {form.format('carla-resnet34')}".split()
    with pytest.raises(ConfigError, match="given twice, as carla-scratch and carla-resnet34"):
        TrainConfig.of_words(words)
    assert TrainConfig.of_words(words[: len(words) // 2] * 2).preset == "carla-scratch"


def test_what_the_checkpoints_recorded_is_still_understood():
    kinds = {kind.COMMAND: kind for kind in (TrainConfig, CrossValidation, Tuning, SmallData)}
    files = [*REPOSITORY.glob("weights/**/segmentation.json"), *REPOSITORY.glob(STUDIES)]
    assert len(files) > 10
    for file in files:
        described = json.loads(file.read_text())
        command = described.get("command") or described["training"]["command"]
        words = shlex.split(command)[3:]
        config = tyro.cli(kinds[words[0]], args=words[1:])
        assert config.command() == command


def test_a_preset_whose_name_alone_was_given_in_python_is_refused():
    with pytest.raises(ConfigError, match=r'TrainConfig\.of_preset\("carla-scratch", \.\.\.\)'):
        TrainConfig(preset="carla-scratch")


def test_what_changed_since_the_start_is_said_by_flag():
    before = TrainConfig(epochs=3, lr=1e-3, device="cpu").portable()
    now = TrainConfig(epochs=5, lr=2e-3, device="auto", time_limit=1.0).portable()
    assert changed_settings(before, now) == ["--lr 0.001 (now 0.002)", "--epochs 3 (now 5)"]
    other = TrainConfig(split="own.json", epochs=3, lr=1e-3).portable()
    assert changed_settings(before, other) == ["--split-file None (now own.json)"]
    # An older version recorded what changes nothing.
    old = before | {"size_policy": "pad", "tile": 128, "plateau_patience": 9}
    now = TrainConfig(size_policy="pad", epochs=3).portable()
    assert changed_settings(old, now) == []
    del before["ema"]  # an older version did not know it
    assert changed_settings(before, TrainConfig(epochs=3).portable()) == []
