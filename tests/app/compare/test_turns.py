"""What decodes or segments on the compare page waits for its turn, and does not take for ever."""

from __future__ import annotations

import hashlib
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from app import models
from app.compare import predictions, turns
from app.compare.sources import Entry, Picture
from app.limits import SECONDS_VARIABLE, Deadline, TooLongError
from model.checkpoints import zoo
from model.checkpoints.zoo import WEIGHTS_VARIABLE
from model.evaluation.report.candidate import Candidate, candidates
from model.inference.segmenter import Segmenter

NAMES = ("streets-scratch", "streets-wide")


@pytest.fixture
def chosen(weights, monkeypatch) -> list[Candidate]:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(weights))
    return candidates({name: zoo.find(name) for name in NAMES}, dict.fromkeys(NAMES))


class Place:
    """Where progress would be shown."""

    def progress(self, done: float, text: str) -> None:
        pass

    def empty(self) -> None:
        pass


def picture(seed: int, source: bytes | None = None) -> Picture:
    """One that no other test has, as its predictions are remembered."""
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)
    return Picture(hashlib.sha256(pixels).hexdigest(), source or pixels, None, "made up")


def test_pictures_are_decoded_and_segmented_in_a_turn(chosen, monkeypatch):
    held: list[int] = []
    shown, ranked = (picture(seed, b"a file") for seed in (9001, 9002))
    pixels = picture(9001).source
    segment = Segmenter.segment

    def decode(source):
        held.append(models.QUEUE.running)
        return pixels

    def segment_decoded(self, source, *arguments, **others):
        held.append(models.QUEUE.running)
        return segment(self, pixels, *arguments, **others)

    monkeypatch.setattr(predictions, "decode", decode)
    monkeypatch.setattr(Segmenter, "segment", segment_decoded)
    predictions.reduced(shown)
    predictions.predict(chosen[0], shown)
    shares, failures = predictions.disagreements(chosen, [Entry("9002", lambda: ranked)], Place())
    assert (list(shares), failures) == ([0], [])
    # Two are decoded and three segmented; one turn at a time, or who holds it would wait for it.
    assert held == [1] * 5
    assert models.QUEUE.idle


def test_a_picture_has_its_time(chosen, monkeypatch):
    monkeypatch.setenv(SECONDS_VARIABLE, "1e-9")
    with pytest.raises(TooLongError, match="longer than the limit of 1e-09 s"):
        predictions.predict(chosen[0], picture(9003))
    shares, failures = predictions.disagreements(
        chosen, [Entry("9004", lambda: picture(9004))], Place()
    )
    assert not shares
    assert failures[0].startswith("9004 is left out. This takes longer than the limit")
    assert models.QUEUE.idle


def test_what_was_done_before_the_time_ended_counts(chosen, monkeypatch):
    ended = threading.Event()

    def last() -> Picture:
        ended.set()
        return picture(9006)

    monkeypatch.setattr(predictions, "patience", lambda: SimpleNamespace(passed=ended.is_set))
    entries = [Entry("9005", lambda: picture(9005)), Entry("9006", last), Entry("9007", last)]
    shares, failures = predictions.disagreements(chosen, entries, Place())
    assert list(shares) == [0]
    assert failures[0].startswith("9006 is left out. This took longer than 10 minutes")
    assert failures[1].endswith("1 more are left out: the same button goes on.")
    assert models.QUEUE.idle


def test_only_who_sits_at_the_machine_has_all_the_time(monkeypatch):
    monkeypatch.setattr(turns, "PAGE_SECONDS", -1)
    for local in (True, False):
        monkeypatch.setattr(turns, "is_local", lambda local=local: local)
        assert turns.patience().passed() != local


def test_who_waits_for_a_turn_gives_up_in_time(monkeypatch):
    monkeypatch.setattr(models.QUEUE, "_free", 0)
    with pytest.raises(TooLongError, match="longer than 10 minutes"), turns.turn(Deadline(0)):
        pass
    assert not models.QUEUE.jobs()["page"]
