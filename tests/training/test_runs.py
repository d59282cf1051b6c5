"""Whole runs in this process: each setting does what it says."""

import json
import shutil
from collections import Counter
from dataclasses import replace

import pytest
import torch

from model.checkpoints import folder
from model.checkpoints.weights import read_tensors
from model.data.classes import ClassTable
from model.errors import ConfigError
from model.training import run
from model.training.loaders import Seeded
from model.training.module import SegmentationModule
from model.training.resuming import LOCK_FILE, run_folder
from model.training.run import train
from model.training.studies.runs import with_split


def tensors(config) -> dict[str, torch.Tensor]:
    return read_tensors(config.output / folder.WEIGHTS_FILE)


def figures(config) -> list[dict[str, float]]:
    """`history.csv` without the wall time, which is never the same."""
    return [
        {k: v for k, v in row.items() if k != "seconds"}
        for row in folder.read(config.output).history()
    ]


@pytest.fixture
def steps(monkeypatch) -> list[int]:
    """How many steps of the optimizer each epoch took, filled while a run goes."""
    taken: list[int] = []
    step = SegmentationModule.optimizer_step

    def counted(self, epoch, *args, **kwargs):
        taken.extend([0] * (epoch + 1 - len(taken)))
        taken[epoch] += 1
        step(self, epoch, *args, **kwargs)

    monkeypatch.setattr(SegmentationModule, "optimizer_step", counted)
    return taken


def test_the_same_seed_gives_the_same_run_and_another_does_not(tiny, few_streets, tmp_path):
    first, again, other = (
        tiny(output=tmp_path / name, seed=seed, epochs=2)
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    for config in (first, again, other):
        torch.rand(7)  # whatever used random numbers before
        train(config, few_streets, score=False)
    assert figures(first) == figures(again)
    assert figures(first) != figures(other)
    expected = tensors(first)
    assert all(torch.equal(value, expected[key]) for key, value in tensors(again).items())


def test_batches_that_are_accumulated_make_one_step(tiny, few_streets, steps):
    train(tiny(batch_size=2, accumulate=2, epochs=2), few_streets, score=False)
    assert steps == [2, 2]


@pytest.mark.parametrize("pictures", [None, 7])
def test_batches_too_few_for_a_step_are_left_out(pictures, tiny, few_streets, steps, monkeypatch):
    """Of four batches, or three, an epoch takes those that make a whole step: else the rest of
    them would make one of a third or half of its length."""
    seen, rates = [], []
    training_step = SegmentationModule.training_step

    def step(self, batch):
        seen.append(self.current_epoch)
        rates.append(self.optimizers().param_groups[0]["lr"])
        return training_step(self, batch)

    monkeypatch.setattr(SegmentationModule, "training_step", step)
    accumulate = 2 if pictures else 3
    config = tiny(
        batch_size=2, accumulate=accumulate, pictures_per_epoch=pictures, epochs=3,
        schedule="poly", lr=1.0, loss="ce",
    )  # fmt: skip
    train(config, few_streets, score=False)
    assert steps == [1, 1, 1]
    assert seen == [epoch for epoch in range(3) for _ in range(accumulate)]
    # The schedule knows how many steps there are.
    assert rates[::accumulate] == pytest.approx([1, (2 / 3) ** 0.9, (1 / 3) ** 0.9])


def test_pictures_left_out_come_in_later_epochs(tiny, few_streets, monkeypatch):
    """Three batches of two make a step: of eight pictures, each epoch leaves out others."""
    drawn = []
    draw = Seeded.__getitem__
    monkeypatch.setattr(Seeded, "__getitem__", lambda self, n: drawn.append(n % 8) or draw(self, n))
    config = tiny(batch_size=2, accumulate=3, pictures_per_epoch=8, epochs=4)
    train(config, few_streets, score=False)
    assert Counter(drawn) == dict.fromkeys(range(8), 3)


def test_a_run_that_leaves_batches_out_is_resumed_exactly(tiny, few_streets, tmp_path):
    whole, stopped = (
        tiny(batch_size=2, accumulate=3, dropout=0.3, output=tmp_path / name) for name in "ab"
    )
    train(whole, few_streets, score=False)

    def stop(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(stopped, few_streets, on_epoch=stop, score=False)
    train(replace(stopped, resume=True), few_streets, score=False)
    assert figures(stopped) == figures(whole)
    expected = tensors(whole)
    assert all(torch.equal(value, expected[key]) for key, value in tensors(stopped).items())


def test_accumulated_gradients_are_the_means_of_a_larger_batch(tiny, few_streets, tmp_path):
    """The head's bias, which BatchNorm hardly touches, takes the same steps: by gradient descent,
    in which a sum in place of the mean would go twice as far."""
    biases = {}
    for batch_size, accumulate in ((4, 1), (2, 2), (2, 1)):
        config = tiny(
            output=tmp_path / f"{batch_size}-{accumulate}", loss="ce", size_policy="pad",
            augment=0.0, epochs=1, batch_size=batch_size, accumulate=accumulate,
            schedule="constant", optimizer="sgd", lr=0.1,
        )  # fmt: skip
        train(config, few_streets, score=False)
        biases[batch_size, accumulate] = tensors(config)["head.bias"]
    assert torch.allclose(biases[4, 1], biases[2, 2], atol=2e-3)
    assert not torch.allclose(biases[4, 1], biases[2, 1], atol=2e-2)


def test_a_last_batch_of_one_is_left_out(tiny, few_streets, steps):
    train(tiny(limit=5, epochs=2), few_streets, score=False)
    assert steps == [1, 1]
    assert all(value.isfinite().all() for value in tensors(tiny()).values())


def test_the_average_of_the_weights_is_what_is_kept(tiny, few_streets, monkeypatch):
    modules = []
    make = run.SegmentationModule
    monkeypatch.setattr(
        run, "SegmentationModule", lambda *a: modules.append(make(*a)) or modules[0]
    )
    train(tiny(ema=0.9, lr=0.1, schedule="constant", epochs=1), few_streets, score=False)
    (module,) = modules
    kept, bias = tensors(tiny())["head.bias"], module.network.head.bias
    assert torch.allclose(kept.float(), module.averaged.module.head.bias, atol=1e-3)
    assert not torch.allclose(module.averaged.module.head.bias, bias, atol=5e-3)


def test_the_average_follows_its_formula():
    from model.training.module import averaged

    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(network.weight, 1.0)
    copy = averaged(network, decay=0.3)
    expected = 1.0
    for n, value in enumerate((1.0, 2.0, 4.0, 8.0)):
        torch.nn.init.constant_(network.weight, value)
        copy.update_parameters(network)
        decay = min(0.3, (1 + n) / (10 + n))
        # The first update only copies.
        expected = value if n == 0 else decay * expected + (1 - decay) * value
    assert copy.module.weight.item() == pytest.approx(expected)


def test_a_frozen_encoder_stands_still_and_then_learns(tiny, few_streets):
    config = tiny(network="unet-mobilenet_v2", freeze_encoder_epochs=1, epochs=2)
    seen = []

    def look(row):
        state = torch.load(config.output / "resume" / "last.ckpt", weights_only=True)
        seen.append(
            {k: v for k, v in state["state_dict"].items() if k.startswith("network.encoder.")}
        )

    torch.manual_seed(config.seed)
    train(config, few_streets, score=False, on_epoch=look)
    frozen, learned = seen
    counts = [v for k, v in frozen.items() if k.endswith("num_batches_tracked")]
    assert counts
    assert not any(counts)  # its BatchNorm has seen nothing either
    changed = {k for k in frozen if not torch.equal(frozen[k], learned[k])}
    assert {k for k in frozen if k.endswith(("weight", "running_mean"))} <= changed


def test_a_time_limit_ends_the_run_with_its_epoch(tiny, few_streets):
    checkpoint = train(tiny(time_limit=1e-9, epochs=50), few_streets)
    assert checkpoint.description["training"]["epochs_done"] == 1
    assert "time limit of 1e-09 hours" in checkpoint.description["training"]["ended"]
    assert "f32" in checkpoint.metrics["splits"]["test"]


def test_the_last_epoch_is_drawn_whatever_ended_the_run(tiny, few_streets):
    train(tiny(time_limit=1e-9, epochs=50, samples_every=5), few_streets, score=False)
    assert [p.name for p in (tiny().output / "samples").iterdir()] == ["epoch-001.png"]


def test_a_run_goes_on_without_what_it_began_from(tiny, few_streets, tmp_path):
    first = tiny(output=tmp_path / "first", epochs=1)
    train(first, few_streets, score=False)
    config = tiny(start_from=str(first.output), epochs=2)

    def stop(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, few_streets, on_epoch=stop)
    first.output.rename(tmp_path / "elsewhere")
    training = train(replace(config, resume=True), few_streets, score=False).description["training"]
    assert training["epochs_done"] == 2
    assert training["before"]["epochs_done"] == 1


@pytest.mark.parametrize("name", ["README.md", "config.json", "model.safetensors"])
def test_files_that_are_no_runs_are_not_replaced(name, tiny, few_streets):
    path = tiny().output
    (path / "sub").mkdir(parents=True)
    (path / name).write_text("mine")
    with pytest.raises(ConfigError, match=f"holds a {name} that a run would replace"):
        train(tiny(), few_streets)
    (path / name).rename(path / "other")
    theirs = path / ".x.part", path / "sub" / ".x.7.part"
    for part in (*theirs, path / ".history.csv.7.part"):
        part.write_text("begun")
    train(tiny(epochs=1), few_streets, score=False)
    assert (path / "other").read_text() == "mine"
    assert all(part.exists() for part in theirs)
    assert not (path / ".history.csv.7.part").exists()


def test_two_processes_do_not_train_in_one_folder(tiny, few_streets):
    with run_folder(tiny().output), pytest.raises(ConfigError, match="Another process is training"):
        train(tiny(), few_streets)
    train(tiny(epochs=1), few_streets, score=False)
    assert not (tiny().output / LOCK_FILE).exists()


def test_curves_samples_and_reports_are_there(tiny, few_streets):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = tiny(samples_every=2)
    train(config, few_streets)
    assert [p.name for p in sorted((config.output / "samples").iterdir())] == [
        "epoch-002.png",
        "epoch-003.png",  # the last one
    ]
    board = EventAccumulator(str(config.output / "tensorboard"), {"images": 0, "scalars": 0})
    board.Reload()
    scalars = set(board.Tags()["scalars"])
    assert {"loss/train", "loss/val", "iou/val", "dice/val", "accuracy/val", "lr"} <= scalars
    assert "iou per class/road" in scalars
    assert set(board.Tags()["images"]) == {"samples", "confusion matrix"}
    rows = folder.read(config.output).history()
    logged = {event.step: event.value for event in board.Scalars("iou/val")}
    assert logged == pytest.approx({int(row["epoch"]): row["val_iou"] for row in rows}, abs=1e-5)
    assert (config.output / "training.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("removed", [False, True])
def test_an_epoch_that_the_curves_lost_is_in_them_after_resuming(removed, tiny, few_streets):
    """A run that broke off between the writer and the curves, and one after them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def stop(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny(), few_streets, on_epoch=stop)
    if removed:
        shutil.rmtree(tiny().output / "tensorboard")
    train(tiny(resume=True, time_limit=1e-9), few_streets, score=False)
    train(tiny(resume=True), few_streets, score=False)
    board = EventAccumulator(str(tiny().output / "tensorboard"), {"scalars": 0}).Reload()
    expected = {int(row["epoch"]): row["val_iou"] for row in figures(tiny())}
    events = board.Scalars("iou/val")
    assert [event.step for event in events] == [1, 2, 3]
    assert {event.step: event.value for event in events} == pytest.approx(expected, abs=1e-5)
    assert [event.step for event in board.Scalars("iou per class/road")] == [1, 2, 3]


def test_no_samples_if_none_are_asked_for(tiny, few_streets):
    train(tiny(epochs=1), few_streets, score=False)
    assert not (tiny().output / "samples").exists()


@pytest.mark.parametrize("policy", ["resize", "pad", "crop", "tile"])
def test_every_size_policy_trains(policy, tiny, few_streets):
    tile = {"tile": 64} if policy == "tile" else {}
    config = tiny(size_policy=policy, epochs=1, **tile)
    checkpoint = train(config, few_streets)
    assert checkpoint.preprocessing.size_policy == policy
    matrix = checkpoint.figures("test")["confusion_matrix"]
    assert sum(map(sum, matrix)) == 4 * 64 * 48


@pytest.mark.parametrize("schedule", ["constant", "cosine", "poly", "plateau", "one-cycle"])
def test_the_schedule_is_in_the_history(schedule, tiny, few_streets):
    train(tiny(schedule=schedule, lr=1e-2), few_streets, score=False)
    rates = [row["lr"] for row in figures(tiny())]
    if schedule in ("constant", "plateau"):
        assert rates == [1e-2] * 3
    else:
        assert rates[-1] < rates[0]


def test_unit_normalisation_only_rescales(tiny, few_streets):
    checkpoint = train(tiny(normalisation="unit", epochs=1), few_streets, score=False)
    values = checkpoint.preprocessing.network_input(few_streets.image("000000"))
    assert values.min() >= 0
    assert values.max() <= 1


def test_what_a_run_records_can_be_repeated(tiny, few_streets):
    checkpoint = train(tiny(epochs=1), few_streets, score=False)
    description = json.loads((checkpoint.path / "segmentation.json").read_text())
    assert description["training"]["command"].startswith("python -m model train")
    assert description["data"]["digest"] == few_streets.digest()
    assert description["versions"]["torch"] == torch.__version__


def test_one_class_is_nothing_to_tell_apart(tiny, few_streets):
    few_streets.classes = ClassTable.of((("road", "#111111"),))
    with pytest.raises(ConfigError, match="has one class only, road: there is nothing to tell"):
        train(tiny(), few_streets)
    assert not tiny().output.exists()


def test_without_its_state_a_run_is_not_continued_and_says_what_to_do(tiny, few_streets):
    train(tiny(epochs=1), few_streets, score=False)
    shutil.rmtree(tiny().output / "resume")
    for resume in (False, True):
        with pytest.raises(ConfigError) as caught:
            train(tiny(epochs=1, resume=resume), few_streets)
        assert "no resume/last.ckpt to continue it from" in str(caught.value)
        # What is there may be somebody's: only who wants to continue it hears of deleting it.
        assert (f"delete {tiny().output} or choose" in str(caught.value)) == resume
        assert "hoose another --output" in str(caught.value)
        assert "--resume" not in str(caught.value)


def test_more_than_there_is_cannot_be_in_a_batch(tiny, few_streets):
    with pytest.raises(ConfigError, match="--batch-size 9 is more than the 8 training pictures"):
        train(tiny(batch_size=9), few_streets)
    assert not tiny().output.exists()


@pytest.mark.parametrize(
    ("pictures", "what"),
    [(None, "8 training pictures are 2"), (12, "12 pictures of --pictures-per-epoch are 3")],
)
def test_a_step_needs_no_more_than_an_epoch_has(pictures, what, tiny, few_streets):
    message = f"--accumulate 4 is more than the batches of an epoch: {what} of --batch-size 4"
    with pytest.raises(ConfigError, match=message):
        train(tiny(accumulate=4, pictures_per_epoch=pictures), few_streets)
    assert not tiny().output.exists()


def test_an_epoch_may_be_shorter_or_longer_than_the_training_pictures(tiny, few_streets, steps):
    train(tiny(pictures_per_epoch=21, epochs=2), few_streets, score=False)
    assert steps == [5, 5], "whole batches of 4"
    steps.clear()
    train(tiny(pictures_per_epoch=4, epochs=2, output=tiny().output / "b"), few_streets)
    assert steps == [1, 1]
    with pytest.raises(ConfigError, match="more than the 3 pictures of --pictures-per-epoch"):
        train(tiny(pictures_per_epoch=3, output=tiny().output / "c"), few_streets)


def test_validation_pictures_that_are_learned_from_count(tiny, few_streets):
    train(tiny(batch_size=12, include_validation=True, epochs=1), few_streets, score=False)


def test_what_was_found_out_about_other_weights_goes_with_them(tiny, few_streets):
    """A finished run that is gone on with, and breaks off, shows no figures of before."""
    limited = tiny(keep="last", time_limit=1e-6)
    checkpoint = train(limited, few_streets)
    assert checkpoint.figures("test")
    assert len(checkpoint.history()) == 1
    before = folder.CARD_FILE, folder.REPORT_FILE, folder.METRICS_FILE, folder.PER_IMAGE_FILE
    assert all((checkpoint.path / name).exists() for name in before)

    def stop(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(replace(limited, resume=True, time_limit=None), few_streets, on_epoch=stop)
    assert len(folder.read(checkpoint.path).history()) == 2
    assert not any((checkpoint.path / name).exists() for name in before)


def test_a_start_that_has_seen_the_scored_pictures_is_refused(tiny, few_streets, tmp_path):
    first = tiny(output=tmp_path / "first", epochs=1, include_validation=True)
    train(first, few_streets, score=False)
    later = tiny(start_from=str(first.output), epochs=1)
    with pytest.raises(ConfigError, match="has learned from the validation pictures"):
        train(later, few_streets)
    checkpoint = train(replace(later, include_validation=True), few_streets, score=False)
    assert checkpoint.description["training"]["before"]["epochs_done"] == 1
    assert checkpoint.learned_from_validation
    parts = few_streets.split
    other = with_split(few_streets, parts | {"test": parts["train"], "train": parts["test"]}, "?")
    with pytest.raises(ConfigError, match="was trained on another split of the same pictures"):
        train(replace(later, output=tmp_path / "other"), other)


def test_a_resumed_run_goes_on_in_the_middle_of_a_pass(tiny, few_streets, tmp_path):
    """Epochs of 12 of 8 pictures: each second one begins in the middle of an order."""
    whole, stopped = (
        tiny(pictures_per_epoch=12, epochs=3, output=tmp_path / name) for name in ("a", "b")
    )
    train(whole, few_streets, score=False)

    def stop(row):
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(stopped, few_streets, on_epoch=stop, score=False)
        stopped = replace(stopped, resume=True)
    train(stopped, few_streets, score=False)
    assert figures(stopped) == figures(whole)
    expected = tensors(whole)
    assert all(torch.equal(value, expected[key]) for key, value in tensors(stopped).items())


@pytest.mark.parametrize(
    ("changes", "train_pictures", "validation_pictures"),
    [({}, 8, 4), ({"limit": 5}, 5, 4), ({"include_validation": True}, 12, 0)],
)
def test_the_pictures_that_were_used_are_recorded(
    changes, train_pictures, validation_pictures, tiny, few_streets
):
    checkpoint = train(tiny(epochs=1, **changes), few_streets, score=False)
    sizes = {"train": train_pictures, "validation": validation_pictures, "test": 4}
    assert checkpoint.description["data"]["split_sizes"] == sizes
