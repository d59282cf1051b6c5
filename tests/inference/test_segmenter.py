"""From a picture to labels: any size, both engines, many threads, and a pool that forgets."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from model.checkpoints import zoo
from model.data.classes import ClassTable
from model.errors import CheckpointError, ConfigError, ImageError, UnknownModelError
from model.inference.options import SegmentOptions
from model.inference.segmenter import Cancelled, Segmentation, Segmenter
from tests.inference.logits import logits_of

SIZES = [(1, 1), (1, 500), (500, 1), (33, 65), (64, 64), (7, 3), (201, 133), (2, 3000)]


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint, tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("segmenter") / "tiny")


@pytest.fixture(scope="module", params=["openvino", "torch"])
def segmenter(request, checkpoint) -> Segmenter:
    return Segmenter(checkpoint, engine=request.param)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", SIZES)
def test_labels_have_the_pictures_own_size(segmenter, size):
    result = segmenter.segment(noise(*size), confidence=True)
    assert result.labels.shape == result.confidence.shape == size
    assert result.labels.dtype == np.uint8
    assert result.labels.max() < 3
    assert result.confidence.dtype == np.float16
    assert result.confidence.min() > 1 / 3 - 1e-3
    assert result.confidence.max() <= 1


@pytest.mark.parametrize("size", SIZES)
def test_engines_agree_at_any_size(checkpoint, size):
    both = [Segmenter(checkpoint, engine=name) for name in ("openvino", "torch")]
    logits = [logits_of(segmenter, noise(*size)) for segmenter in both]
    assert np.abs(logits[0] - logits[1]).max() < 1e-3
    labels = [segmenter.segment(noise(*size)).labels for segmenter in both]
    assert (labels[0] == labels[1]).mean() > 0.999


def test_engines_agree_on_a_drawn_scene(checkpoint, picture):
    results = [
        Segmenter(checkpoint, engine=name).segment(picture, confidence=True)
        for name in ("openvino", "torch")
    ]
    assert len(np.unique(results[0].labels)) > 1
    assert (results[0].labels == results[1].labels).mean() > 0.999
    assert np.abs(results[0].confidence - results[1].confidence).max() < 2e-3


def test_path_bytes_and_array_give_the_same(segmenter, picture, tmp_path):
    path = tmp_path / "scene.png"
    Image.fromarray(picture).save(path)
    expected = segmenter.segment(picture).labels
    for source in (path, str(path), path.read_bytes()):
        assert np.array_equal(segmenter.segment(source).labels, expected)


def test_the_same_from_many_threads_at_once(segmenter):
    pictures = [noise(40 + i, 60, seed=i) for i in range(8)]
    alone = [segmenter.segment(image).labels for image in pictures]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(segmenter.segment, pictures * 4))
    for i, result in enumerate(together):
        assert np.array_equal(result.labels, alone[i % 8])


def test_a_result_says_what_made_it(segmenter, picture):
    result = segmenter.segment(picture)
    assert result.model == "tiny"
    assert (result.engine, result.precision) == (segmenter.engine, "f32")
    assert result.classes == segmenter.checkpoint.classes
    assert result.confidence is None
    assert set(result.milliseconds) == {"decode", "network", "labels"}
    assert all(value >= 0 for value in result.milliseconds.values())


def test_what_is_no_picture_is_refused(segmenter):
    with pytest.raises(ImageError):
        segmenter.segment(b"no picture")


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))]
)
def test_arrays_that_are_not_rgb_are_refused(segmenter, array):
    with pytest.raises(ImageError, match=r"expected uint8 \(H, W, 3\)"):
        segmenter.segment(array)


def test_a_checkpoint_is_taken_by_path_name_or_object(checkpoint, monkeypatch):
    monkeypatch.setenv(zoo.WEIGHTS_VARIABLE, str(checkpoint.path.parent))
    for model in (checkpoint, checkpoint.path, str(checkpoint.path), "tiny"):
        assert Segmenter(model, engine="torch").checkpoint.path == checkpoint.path


def test_bad_models_and_engines_are_refused(checkpoint, tmp_path):
    with pytest.raises(UnknownModelError):
        Segmenter("no-such-model")
    with pytest.raises(UnknownModelError):
        Segmenter(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        Segmenter(tmp_path)
    with pytest.raises(ConfigError):
        Segmenter(checkpoint, engine="tpu")


def result_of(labels, confidence=None) -> Segmentation:
    classes = ClassTable.named(sky="#4682b4", road="#804080", car="#00008e")
    confidence = None if confidence is None else np.float16(confidence)
    return Segmentation(np.uint8(labels), classes, "tiny", "torch", "f32", confidence)


def test_shares_are_fractions_of_the_picture():
    assert result_of([[0, 0, 1, 0]]).shares().tolist() == [0.75, 0.25, 0]


def test_mean_confidences_are_over_the_pixels_of_each_class():
    result = result_of([[0, 0, 1, 0]], [[0.5, 1.0, 0.25, 0.75]])
    assert result.mean_confidences() == pytest.approx([0.75, 0.25, np.nan], nan_ok=True)
    with pytest.raises(ValueError, match="confidence=True"):
        result_of([[0, 1]]).mean_confidences()


def test_progress_goes_up_to_one(segmenter):
    fractions = []
    options = SegmentOptions(scale="native", tile=64)
    segmenter.segment(noise(100, 130), options, progress=fractions.append)
    assert fractions == pytest.approx([i / 12 for i in range(1, 13)])
    fractions.clear()
    segmenter.segment(noise(20, 20), progress=fractions.append)
    assert fractions == [1]


def test_a_segmentation_can_be_cancelled(segmenter):
    fractions = []
    options = SegmentOptions(scale="native", tile=64)
    with pytest.raises(Cancelled):
        segmenter.segment(
            noise(100, 130),
            options,
            progress=fractions.append,
            cancelled=lambda: len(fractions) >= 3,
        )
    assert len(fractions) == 3
    assert segmenter.segment(noise(20, 20)).labels.shape == (20, 20)


def test_figures_of_large_maps_are_summed_in_parts():
    rng = np.random.default_rng(0)
    labels, confidence = rng.integers(0, 3, (3000, 1000)), rng.random((3000, 1000), np.float32)
    result = result_of(labels, confidence)
    expected = [(labels == label).mean() for label in range(3)]
    assert result.shares() == pytest.approx(expected, abs=1e-12)
    means = [np.float64(result.confidence[labels == label]).mean() for label in range(3)]
    assert result.mean_confidences() == pytest.approx(means, abs=1e-6)
