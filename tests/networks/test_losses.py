"""Losses against hand-computed cases; void pixels and absent classes count for nothing."""

import math

import pytest
import segmentation_models_pytorch as smp
import torch
from torch.nn import functional

from model.data.classes import VOID
from model.errors import ConfigError
from model.networks.losses import (
    LOSSES,
    CrossEntropy,
    SoftDice,
    balanced_weights,
    loss_by_name,
)

OVERLAP_LOSSES = ("dice", "jaccard", "tversky", "lovasz")


def logits_of(probabilities: list[list[float]]) -> torch.Tensor:
    """Logits (1, C, 1, N) with these softmax probabilities, one row per pixel."""
    return torch.tensor(probabilities).log().T[None, :, None, :]


def target_of(*labels: int) -> torch.Tensor:
    return torch.tensor(labels)[None, None, :]


# Four pixels, three classes, of which the last does not occur.
PROBABILITIES = [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.25, 0.25]]
LABELS = (0, 0, 1, 1)


def test_soft_dice_by_hand():
    # Class 0: hits 0.8 + 0.6 = 1.4, probabilities 2.1, pixels 2. Class 1: 0.95, 1.35, 2.
    expected = ((1 - 2 * 1.4 / (2.1 + 2)) + (1 - 2 * 0.95 / (1.35 + 2))) / 2
    loss = SoftDice()(logits_of(PROBABILITIES), target_of(*LABELS))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_soft_jaccard_by_hand():
    expected = ((1 - 1.4 / (2.1 + 2 - 1.4)) + (1 - 0.95 / (1.35 + 2 - 0.95))) / 2
    loss = loss_by_name("jaccard")(logits_of(PROBABILITIES), target_of(*LABELS))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_tversky_by_hand():
    # Class 0: found too much 2.1 - 1.4 = 0.7, missed 2 - 1.4 = 0.6; class 1: 0.4 and 1.05.
    first = 1 - 1.4 / (1.4 + 0.3 * 0.7 + 0.7 * 0.6)
    second = 1 - 0.95 / (0.95 + 0.3 * 0.4 + 0.7 * 1.05)
    loss = loss_by_name("tversky")(logits_of(PROBABILITIES), target_of(*LABELS))
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-6)


def test_lovasz_by_hand():
    # Errors by size, and by how much 1 - IoU grows when each is added to those before it.
    # Class 0: 0.5 (found too much) 1/3, 0.4 (missed) 1/3, 0.2 (missed) 1/3, the rest 0.
    # Class 1: 0.75 (missed) 1/2, 0.3 and 0.3 (missed, found too much) 1/2 together.
    expected = ((0.5 + 0.4 + 0.2) / 3 + (0.75 / 2 + 0.3 / 2)) / 2
    loss = loss_by_name("lovasz")(logits_of(PROBABILITIES), target_of(*LABELS))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def one_against_all() -> list[list[float]]:
    """What each logit's sigmoid gives to what is true of its pixel and class."""
    sigmoids = [[p / (1 + p) for p in row] for row in PROBABILITIES]  # the logits are log p
    return [
        [s if k == label else 1 - s for k, s in enumerate(row)]
        for row, label in zip(sigmoids, LABELS, strict=True)
    ]


def test_binary_cross_entropy_by_hand():
    expected = -sum(math.log(p) for row in one_against_all() for p in row) / 4
    loss = loss_by_name("bce")(logits_of(PROBABILITIES), target_of(*LABELS))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_focal_by_hand():
    expected = -sum((1 - p) ** 2 * math.log(p) for row in one_against_all() for p in row) / 4
    loss = loss_by_name("focal")(logits_of(PROBABILITIES), target_of(*LABELS))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", OVERLAP_LOSSES)
def test_an_absent_class_has_no_part_in_the_mean(name):
    """Hand case: of two classes only the first occurs, so the mean is its own loss."""
    logits, target = logits_of([[0.75, 0.25]] * 4), target_of(0, 0, 0, 0)
    # Hits 3 of 4 pixels' worth, none too much, 1 missed; Lovasz: the mean error.
    expected = {"dice": 1 - 6 / 7, "jaccard": 1 / 4, "tversky": 1 - 3 / 3.7, "lovasz": 1 / 4}[name]
    assert loss_by_name(name)(logits, target).item() == pytest.approx(expected, abs=1e-6)


def test_soft_dice_sums_over_the_batch_before_it_divides():
    first, second = logits_of(PROBABILITIES[:2]), logits_of(PROBABILITIES[2:])
    batch = torch.cat([first, second])
    target = torch.cat([target_of(*LABELS[:2]), target_of(*LABELS[2:])])
    whole = SoftDice()(logits_of(PROBABILITIES), target_of(*LABELS))
    assert SoftDice()(batch, target).item() == pytest.approx(whole.item(), abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_absent_classes_do_not_dilute(name):
    torch.manual_seed(0)
    few = torch.randn(2, 2, 8, 8)
    target = torch.randint(0, 2, (2, 8, 8))
    # Twenty classes more, all with probability 0.
    many = torch.cat([few, torch.full((2, 20, 8, 8), -60.0)], dim=1)
    loss = loss_by_name(name)
    assert loss(many, target).item() == pytest.approx(loss(few, target).item(), abs=1e-6)


def test_soft_dice_is_smps_where_all_classes_occur():
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    theirs = smp.losses.DiceLoss("multiclass", smooth=0.0)(logits, target)
    assert SoftDice()(logits, target).item() == pytest.approx(theirs.item(), abs=1e-6)


def test_cross_entropy_by_hand():
    expected = -sum(math.log(p[k]) for p, k in zip(PROBABILITIES, LABELS, strict=True)) / 4
    loss = CrossEntropy()(logits_of(PROBABILITIES), target_of(*LABELS))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", [*LOSSES, "ce+dice"])
def test_a_perfect_prediction_costs_nothing(name):
    target = torch.randint(0, 3, (2, 8, 8))
    logits = 60 * (2 * functional.one_hot(target, 3).permute(0, 3, 1, 2).float() - 1)
    assert loss_by_name(name)(logits, target).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", [*LOSSES, "ce+dice"])
def test_void_pixels_count_for_nothing(name):
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, requires_grad=True)
    target = torch.randint(0, 3, (2, 8, 8))
    target[:, :, 5:] = VOID
    loss = loss_by_name(name)
    value = loss(logits, target)
    (gradient,) = torch.autograd.grad(value, logits)
    assert not gradient[..., 5:].any()
    assert gradient[..., :5].any()
    cropped = loss(logits[..., :5], target[..., :5])
    assert value.item() == pytest.approx(cropped.item(), abs=1e-6)


@pytest.mark.parametrize("name", [*LOSSES, "ce+dice"])
def test_a_batch_of_nothing_but_void_costs_nothing_and_teaches_nothing(name):
    logits = torch.randn(2, 3, 8, 8, requires_grad=True)
    loss = loss_by_name(name)(logits, torch.full((2, 8, 8), VOID))
    assert loss.shape == ()
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == 0
    assert not gradient.any()  # NaN would count as any


def test_names_are_weighted_sums():
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    ce, dice = CrossEntropy()(logits, target).item(), SoftDice()(logits, target).item()
    for name, expected in {
        "ce": ce,
        "dice": dice,
        "ce+dice": ce + dice,
        "ce+2*tversky": ce + 2 * loss_by_name("tversky")(logits, target).item(),
        " 0.5*ce + 2 * dice ": 0.5 * ce + 2 * dice,
        "0.25*ce": 0.25 * ce,
    }.items():
        assert loss_by_name(name)(logits, target).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "name", ["", "hinge", "ce+", "x*ce", "ce*0.5", "-1*ce", "0*dice", "nan*ce", "inf*ce"]
)
def test_names_that_cannot_be_read_are_refused(name):
    with pytest.raises(ConfigError, match=r"--loss: .* cannot be read .*'ce', .*'lovasz'\]"):
        loss_by_name(name)


def test_a_misspelt_name_gets_the_nearest():
    with pytest.raises(ConfigError, match=r"at 'lovas'\. Perhaps you meant 'lovasz'"):
        loss_by_name("ce+lovas")


def test_balanced_weights_by_hand():
    # Frequencies 400 : 100 : 25 have the median 100; the last class does not occur.
    assert balanced_weights([400, 100, 25, 0]).tolist() == pytest.approx([0.5, 1, 2, 1])


def test_balanced_weights_are_bounded():
    assert balanced_weights([10**6, 10**6, 1]).max() == 10


def test_weighted_cross_entropy_by_hand():
    weights = torch.tensor([1.0, 3.0, 1.0])
    terms = [
        (w, -math.log(row[label]))
        for row, label, w in zip(PROBABILITIES, LABELS, (1, 1, 3, 3), strict=True)
    ]
    expected = sum(w * value for w, value in terms) / 8
    loss = loss_by_name("ce", weights)(logits_of(PROBABILITIES), target_of(*LABELS))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_weighted_cross_entropy_of_void_alone_is_zero():
    loss = loss_by_name("ce", torch.ones(3))(logits_of(PROBABILITIES), target_of(*[VOID] * 4))
    assert loss.item() == 0
