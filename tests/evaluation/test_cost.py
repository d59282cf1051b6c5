"""Operations against PyTorch's own counter; time and memory without asserting any."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from model.checkpoints.folder import WEIGHTS_FILE
from model.checkpoints.weights import load_network
from model.errors import CheckpointError
from model.evaluation.cost import SIZES_WH, flops, measure, peak_memory
from model.inference.segmenter import Segmenter


@pytest.mark.parametrize("network", ["unet", "unet-mobilenet_v2"])
def test_operations_are_those_that_pytorch_counts(make_checkpoint, tmp_path, network):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    checkpoint = make_checkpoint(tmp_path / "a", network, longest_side=64)
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        load_network(checkpoint)(torch.zeros(1, 3, 64, 64))  # 64 x 48, padded
    assert flops(checkpoint, (640, 480)) == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_models_take_turns(make_checkpoint, tmp_path, monkeypatch):
    segmenters = {
        name: Segmenter(make_checkpoint(tmp_path / name, seed=seed))
        for seed, name in enumerate(("a", "b"))
    }
    order: list[str] = []
    original = Segmenter.segment

    def segment(self, picture):
        order.append(self.name)
        return original(self, picture)

    monkeypatch.setattr(Segmenter, "segment", segment)
    monkeypatch.setattr("model.evaluation.cost.peak_memory", lambda checkpoint: 123)
    shares: list[float] = []
    costs = measure(segmenters, rounds=2, progress=shares.append)
    assert order == ["a", "b"] * 9  # three rounds at three sizes, the first of them to warm up
    assert shares == sorted(shares)
    assert shares[-1] == 1
    for cost in costs.values():
        assert set(cost.latency) == set(SIZES_WH)
        assert all(time.least <= time.median <= time.most for time in cost.latency.values())
        assert (cost.memory_bytes, cost.precision) == (123, "f32")


def test_waiting_for_others_is_no_part_of_the_time(make_checkpoint, tmp_path, monkeypatch):
    segmenter = Segmenter(make_checkpoint(tmp_path / "a"))
    stated = replace(
        segmenter.segment(np.zeros((8, 8, 3), np.uint8)), milliseconds={"network": 0.5}
    )
    monkeypatch.setattr("model.evaluation.cost.peak_memory", lambda checkpoint: 123)

    def in_a_queue(self, picture):
        time.sleep(0.01)
        return stated

    monkeypatch.setattr(Segmenter, "segment", in_a_queue)
    latency = measure({"a": segmenter}, rounds=1)["a"].latency
    assert {time.most for time in latency.values()} == {0.5}


def test_memory_is_measured_in_a_process_of_its_own(make_checkpoint, tmp_path):
    checkpoint = make_checkpoint(tmp_path / "a")
    assert peak_memory(checkpoint) > 10_000
    (checkpoint.path / WEIGHTS_FILE).write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="memory of a cannot be measured"):
        peak_memory(checkpoint)
