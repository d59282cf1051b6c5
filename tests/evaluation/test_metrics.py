"""The confusion matrix and its figures: by hand, against torchmetrics and smp, and the contract."""

import json

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics import classification, segmentation

from model.data.classes import VOID
from model.evaluation.metrics import (
    Metrics,
    accuracy,
    class_figures,
    class_iou,
    confusion_matrix,
    mean_of_known,
)

NAN = float("nan")


def random_labels(seed: int, classes: int, *, void: bool) -> tuple[np.ndarray, np.ndarray]:
    """Truth and a prediction that is mostly right, (4, 16, 16)."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, (4, 16, 16)).astype(np.uint8)
    prediction = np.where(
        rng.random(truth.shape) < 0.6, truth, rng.integers(0, classes, truth.shape)
    )
    if void:
        truth[rng.random(truth.shape) < 0.2] = VOID
    return truth, prediction.astype(np.uint8)


def test_rows_are_truth_and_columns_prediction():
    truth = np.uint8([[0, 0, 1], [2, 2, 2]])
    prediction = np.uint8([[0, 1, 1], [2, 0, 2]])
    assert confusion_matrix(truth, prediction, 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 2]]


def test_void_pixels_are_left_out_whatever_is_predicted_there():
    truth = np.uint8([0, 1, VOID, VOID])
    matrices = [confusion_matrix(truth, np.uint8([0, 0, 1, p]), 2).tolist() for p in (0, 1, VOID)]
    assert matrices == [[[1, 0], [1, 0]]] * 3


@pytest.mark.parametrize(
    ("truth", "prediction"), [([3], [0]), ([0], [3]), ([0], [VOID]), ([1], [-1]), ([-1], [1])]
)
def test_ids_out_of_range_are_refused(truth, prediction):
    with pytest.raises(ValueError, match=r"not in \[0, 3\)"):
        confusion_matrix(np.array(truth), np.array(prediction), 3)


def test_arrays_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        confusion_matrix(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 2)


def test_figures_by_hand():
    metrics = Metrics.of([[6, 2, 0], [1, 3, 0], [0, 0, 0]])
    assert metrics.iou == pytest.approx([6 / 9, 3 / 6, NAN], nan_ok=True)
    assert metrics.dice == pytest.approx([12 / 15, 6 / 9, NAN], nan_ok=True)
    assert metrics.precision == pytest.approx([6 / 7, 3 / 5, NAN], nan_ok=True)
    assert metrics.recall == pytest.approx([6 / 8, 3 / 4, NAN], nan_ok=True)
    assert metrics.support.tolist() == [8, 4, 0]
    assert metrics.accuracy == pytest.approx(9 / 12)
    assert metrics.mean_iou == pytest.approx((6 / 9 + 3 / 6) / 2)
    assert metrics.mean_dice == pytest.approx((12 / 15 + 6 / 9) / 2)
    assert metrics.mean_precision == pytest.approx((6 / 7 + 3 / 5) / 2)
    assert metrics.mean_recall == pytest.approx(3 / 4)


def test_a_class_that_is_only_predicted_has_an_iou_of_zero_and_no_recall():
    metrics = Metrics.of([[8, 2], [0, 0]])
    assert metrics.iou.tolist() == [0.8, 0.0]
    assert metrics.precision.tolist() == [1.0, 0.0]
    assert np.isnan(metrics.recall[1])
    assert metrics.mean_iou == pytest.approx(0.4)
    assert metrics.mean_recall == pytest.approx(0.8)


def test_nothing_counted_gives_no_figures_rather_than_zero_or_one():
    metrics = Metrics.of(np.zeros((2, 2)))
    assert np.isnan([metrics.mean_iou, metrics.mean_dice, metrics.accuracy]).all()
    assert metrics.to_json()["mean_iou"] is None


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_figures_of_many_sets_at_once_are_those_of_each(dtype):
    matrices = np.array([[[6, 2, 0], [1, 3, 0], [0, 0, 0]], [[5, 0, 0], [0, 0, 0], [1, 2, 4]]])
    counts = np.stack(
        [np.diagonal(matrices, axis1=1, axis2=2), matrices.sum(2), matrices.sum(1)], 1
    ).astype(dtype)
    each = [Metrics.of(matrix) for matrix in matrices]
    figures = class_figures(counts)
    for name, values in figures.items():
        assert np.array_equal(values, [getattr(m, name) for m in each], equal_nan=True)
        means = [getattr(m, f"mean_{name}") for m in each]
        assert np.array_equal(mean_of_known(values), means)
    assert np.array_equal(class_iou(counts), figures["iou"], equal_nan=True)
    assert np.array_equal(accuracy(counts), [9 / 12, 9 / 12])


def test_a_mean_of_nothing_known_is_not_known():
    assert np.array_equal(mean_of_known(np.array([[NAN, NAN], [1, NAN]])), [NAN, 1], equal_nan=True)


def test_json_has_plain_numbers_and_none_for_absent_classes():
    values = Metrics.of([[6, 2, 0], [1, 3, 0], [0, 0, 0]]).to_json()
    values = json.loads(json.dumps(values, allow_nan=False))
    assert values["per_class"]["iou"] == [0.666667, 0.5, None]
    assert values["per_class"]["support"] == [8, 4, 0]
    assert values["confusion_matrix"] == [[6, 2, 0], [1, 3, 0], [0, 0, 0]]
    assert values["accuracy"] == 0.75


@given(st.integers(0, 10_000), st.integers(1, 3))
def test_matrices_of_parts_add_up_to_that_of_the_whole(seed, cut):
    truth, prediction = random_labels(seed, 5, void=True)
    parts = [
        confusion_matrix(truth[part], prediction[part], 5)
        for part in (slice(None, cut), slice(cut, None))
    ]
    assert np.array_equal(sum(parts), confusion_matrix(truth, prediction, 5))


@given(st.integers(0, 10_000))
def test_dice_follows_from_iou(seed):
    metrics = Metrics.of(confusion_matrix(*random_labels(seed, 4, void=True), 4))
    assert metrics.dice == pytest.approx(2 * metrics.iou / (1 + metrics.iou))


@pytest.mark.parametrize("void", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_figures_agree_with_torchmetrics(seed, void):
    truth, prediction = random_labels(seed, 6, void=void)
    ours = Metrics.of(confusion_matrix(truth, prediction, 6))
    tensors = torch.from_numpy(prediction).long(), torch.from_numpy(truth).long()
    options = {"num_classes": 6, "average": None, "ignore_index": VOID}
    for theirs, figure in {
        classification.MulticlassJaccardIndex: ours.iou,
        classification.MulticlassF1Score: ours.dice,
        classification.MulticlassPrecision: ours.precision,
        classification.MulticlassRecall: ours.recall,
    }.items():
        assert theirs(**options)(*tensors).numpy() == pytest.approx(figure, abs=1e-6)
    matrix = classification.MulticlassConfusionMatrix(6, ignore_index=VOID)(*tensors)
    assert np.array_equal(matrix.numpy(), ours.matrix)
    accuracy = classification.MulticlassAccuracy(6, average="micro", ignore_index=VOID)
    assert accuracy(*tensors).item() == pytest.approx(ours.accuracy, abs=1e-6)


def test_torchmetrics_macro_mean_leaves_absent_classes_out_as_ours_does():
    truth, prediction = random_labels(0, 4, void=True)
    ours = Metrics.of(confusion_matrix(truth, prediction, 7))  # three classes never occur
    theirs = classification.MulticlassJaccardIndex(7, ignore_index=VOID)
    mean = theirs(torch.from_numpy(prediction).long(), torch.from_numpy(truth).long())
    assert mean.item() == pytest.approx(ours.mean_iou, abs=1e-6)


def smp_counts(truth: np.ndarray, prediction: np.ndarray, classes: int):
    """smp's true and false positives and negatives, summed over the pictures: (C,) each."""
    counts = smp.metrics.get_stats(
        torch.from_numpy(prediction).long(),
        torch.from_numpy(truth).long(),
        mode="multiclass",
        num_classes=classes,
    )
    return [count.sum(0, keepdim=True) for count in counts]


@pytest.mark.parametrize("seed", range(5))
def test_figures_agree_with_smp_where_all_classes_occur(seed):
    truth, prediction = random_labels(seed, 6, void=False)
    ours = Metrics.of(confusion_matrix(truth, prediction, 6))
    counts = smp_counts(truth, prediction, 6)
    for function, figure, mean in (
        (smp.metrics.iou_score, ours.iou, ours.mean_iou),
        (smp.metrics.f1_score, ours.dice, ours.mean_dice),
        (smp.metrics.precision, ours.precision, ours.mean_precision),
        (smp.metrics.recall, ours.recall, ours.mean_recall),
    ):
        assert function(*counts)[0].numpy() == pytest.approx(figure, abs=1e-6)
        assert function(*counts, reduction="macro").item() == pytest.approx(mean, abs=1e-6)


def test_smp_counts_an_absent_class_as_perfect_and_we_do_not():
    truth, prediction = np.uint8([[[0, 0, 1, 1]]]), np.uint8([[[0, 1, 1, 1]]])
    theirs = smp.metrics.iou_score(*smp_counts(truth, prediction, 3), reduction="macro")
    ours = Metrics.of(confusion_matrix(truth, prediction, 3)).mean_iou
    assert ours == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert theirs.item() == pytest.approx((1 / 2 + 2 / 3 + 1) / 3)


def test_torchmetrics_mean_iou_averages_over_pictures_and_ours_pools_them():
    # Class 1 is one pixel, missed, in the first picture, and half of the second, found.
    truth, prediction = np.zeros((2, 1, 8), np.uint8), np.zeros((2, 1, 8), np.uint8)
    truth[0, 0, 0] = 1
    truth[1, 0, :4] = prediction[1, 0, :4] = 1
    ours = Metrics.of(confusion_matrix(truth, prediction, 2)).mean_iou
    theirs = segmentation.MeanIoU(2, input_format="index")(
        torch.from_numpy(prediction).long(), torch.from_numpy(truth).long()
    )
    assert ours == pytest.approx((11 / 12 + 4 / 5) / 2)
    assert theirs.item() == pytest.approx(((7 / 8 + 0) / 2 + 1) / 2)
