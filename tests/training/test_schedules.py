"""Each schedule's shape over a run, against its formula."""

import math

import pytest
import torch

from model.training.schedules import Plateau, make_schedule


def rates(schedule: str, steps: int, lr: float = 0.1, **options) -> list[float]:
    """The learning rate that each step of a run takes."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=lr, momentum=0.9)
    course = make_schedule(optimizer, schedule, steps, **options)
    taken = []
    for _ in range(steps):
        taken.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        course.step()
    return taken


def test_constant_stays():
    assert rates("constant", 5) == [0.1] * 5


def test_cosine_falls_in_half_a_wave():
    expected = [0.1 * (1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)]
    assert rates("cosine", 8) == pytest.approx(expected)


def test_poly_falls_to_the_power_of_0_9():
    assert rates("poly", 4) == pytest.approx([0.1 * (1 - step / 4) ** 0.9 for step in range(4)])


@pytest.mark.parametrize("schedule", ["constant", "cosine", "poly", "plateau"])
def test_the_warm_up_rises_in_a_line_to_the_peak(schedule):
    taken = rates(schedule, 20, warmup=0.25)
    assert taken[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert taken[5] == pytest.approx(0.1)
    assert taken[5:] == sorted(taken[5:], reverse=True)


@pytest.mark.parametrize(("warmup", "peak"), [(0.0, 0.15), (0.4, 0.4)])
def test_one_cycle_rises_from_a_25th_and_falls_to_nearly_nothing(warmup, peak):
    taken = rates("one-cycle", 101, warmup=warmup)
    top = taken.index(max(taken))
    assert top == pytest.approx(peak * 101, abs=2)
    assert taken[0] == pytest.approx(0.1 / 25)
    assert taken[top] == pytest.approx(0.1, rel=0.01)
    assert taken == sorted(taken[:top]) + sorted(taken[top:], reverse=True)
    assert 0 < taken[-1] < 1e-6


@pytest.mark.parametrize("steps", [1, 2, 5, 20, 100])
def test_one_cycle_may_rise_in_a_single_step(steps):
    taken = rates("one-cycle", steps, warmup=1 / steps if steps > 1 else 0.0)
    assert len(taken) == steps
    assert all(0 < rate <= 0.1 for rate in taken)


def test_a_schedule_keeps_the_ratio_of_encoder_and_decoder():
    groups = [{"params": [torch.zeros(1)], "lr": lr} for lr in (0.01, 0.1)]
    for schedule in ("one-cycle", "cosine", "poly", "constant"):
        optimizer = torch.optim.AdamW([dict(group) for group in groups])
        course = make_schedule(optimizer, schedule, 10)
        for _ in range(9):
            optimizer.step()
            course.step()
            encoder, decoder = (group["lr"] for group in optimizer.param_groups)
            assert encoder == pytest.approx(decoder / 10)


def test_plateau_halves_when_nothing_better_comes():
    plateau = Plateau(patience=2)
    factors = []
    for score in (0.1, 0.3, 0.3, 0.2, 0.1, 0.4, 0.4, 0.4, 0.4):
        plateau.step(score)
        factors.append(plateau.factor)
    assert factors == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]


def test_plateau_goes_on_where_it_was():
    scores = (0.5, 0.4, 0.3, 0.6, 0.5, 0.4)
    whole, first, second = (Plateau(patience=1) for _ in range(3))
    for score in scores:
        whole.step(score)
    for score in scores[:2]:
        first.step(score)
    second.load_state_dict(first.state_dict())
    for score in scores[2:]:
        second.step(score)
    assert second.factor == whole.factor == 0.25


def test_the_plateaus_factor_reaches_the_optimizer():
    plateau = Plateau(patience=1)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    course = make_schedule(optimizer, "plateau", 10, plateau=lambda: plateau.factor)
    for _ in range(3):
        plateau.step(0.5)
    optimizer.step()
    course.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05)
