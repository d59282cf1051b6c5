"""Tiles against the whole picture, against MONAI's sliding window, and in bounded memory."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.checkpoints.weights import load_network
from model.data.preprocessing import Preprocessing
from model.errors import ConfigError
from model.inference.options import SegmentOptions
from model.inference.resampling import Maps, Painter
from model.inference.segmenter import Segmenter
from model.inference.tiling import TILE, Grid, blended, gaussian
from tests.inference.logits import logits_of


def covers(grid: Grid, multiple: int, overlap: int) -> bool:
    for side, tile, begins in zip(
        grid.size_hw, grid.tile_hw, (grid.rows, grid.columns), strict=True
    ):
        gaps = np.diff(begins)
        if (
            begins[0] != 0
            or begins[-1] + tile < side
            or begins[-1] >= side
            or (gaps > tile - overlap).any()
            or (gaps <= 0).any()
            or any(begin % multiple for begin in begins)
        ):
            return False
    return True


@given(
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    st.integers(2, 30),
    st.data(),
)
def test_tiles_of_a_given_side_cover_the_view_on_the_grid_of_the_poolings(size, tiles, data):
    overlap = 32 * data.draw(st.integers(0, tiles // 2))
    grid = Grid.over(size, tile=32 * tiles, overlap=overlap)
    assert covers(grid, 32, overlap)
    padded = [-(-side // 32) * 32 for side in size]
    assert grid.tile_hw == tuple(min(32 * tiles, side) for side in padded)


@given(
    st.tuples(st.integers(1, 20000), st.integers(1, 20000)), st.sampled_from([1.0, 1.3, 2.0, 4.0])
)
def test_default_tiles_are_few_and_fit_into_memory(size, magnified):
    grid = Grid.over(size, magnified=magnified)
    assert covers(grid, 32, 32)
    assert np.prod(grid.tile_hw) * magnified**2 <= TILE**2
    padded = [-(-side // 32) * 32 for side in size]
    if np.prod(padded) * magnified**2 <= (TILE - 32) ** 2:
        assert len(grid) == 1
    if magnified == 1 and min(size) > 2 * TILE:
        computed = len(grid) * np.prod(grid.tile_hw)
        assert computed < 1.18 * np.prod(size)


@pytest.mark.parametrize("multiple", [32, 64, 256, 1024])
def test_default_tiles_lie_on_the_grid_of_the_poolings_of_any_depth(multiple):
    grid = Grid.over((5000, 7000), multiple=multiple)
    assert covers(grid, multiple, multiple)
    assert not any(side % multiple for side in grid.tile_hw)


@pytest.mark.parametrize(("tile", "overlap"), [(96, 64), (64, 96), (50, 0), (64, 20), (0, 0)])
def test_tiles_that_cannot_be_are_refused(tile, overlap):
    with pytest.raises(ConfigError, match=r"tile|Tiles"):
        Grid.over((100, 100), tile=tile, overlap=overlap)


def test_default_tiles_overlap_by_half_at_most():
    assert len(Grid.over((1536, 1536), overlap=384)) > 4
    with pytest.raises(ConfigError, match=r"768 pixels that overlap by 416 .* half a tile"):
        Grid.over((1536, 1536), overlap=416)
    with pytest.raises(ConfigError, match=r"192 pixels .* Zooms make tiles smaller"):
        Grid.over((1536, 1536), overlap=128, magnified=4.0)


@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.integers(2, 20),
    st.integers(0, 2**32 - 1),
    st.data(),
)
def test_tiles_that_agree_blend_to_what_they_agree_on(size, tile, seed, data):
    """Every pixel comes once, in order, and weights cancel."""
    overlap = data.draw(st.integers(0, tile // 2))
    whole = np.random.default_rng(seed).normal(0, 3, (3, *size)).astype(np.float32)
    grid = Grid.over(size, tile=tile, overlap=overlap, multiple=1)
    result = np.full_like(whole, np.nan)
    last = (-1, -1)
    for y, x, logits in blended(grid, lambda rows, columns: whole[:, rows, columns]):
        assert (y, x) > last
        last = (y, x)
        target = result[:, y : y + logits.shape[1], x : x + logits.shape[2]]
        assert np.isnan(target).all()
        target[:] = logits
    assert np.allclose(result, whole, atol=1e-5)


def test_a_pixel_is_the_weighted_mean_of_its_tiles():
    """By hand: two tiles of 4 pixels that share 2, one says 0 and the other 1."""
    grid = Grid.over((1, 6), tile=4, overlap=2, multiple=1)
    assert grid.columns == (0, 2)
    says = {0: 0.0, 2: 1.0}
    blocks = blended(
        grid, lambda rows, columns: np.full((1, 1, 4), says[columns.start], np.float32)
    )
    row = np.concatenate([logits[0, 0] for _, _, logits in blocks])
    # Sigma is half a pixel; pixel 2 lies 0.5 from the first centre and 1.5 from the second.
    near, far = np.exp(-(0.5**2) / 2 / 0.5**2), np.exp(-(1.5**2) / 2 / 0.5**2)
    share = far / (near + far)
    assert row == pytest.approx([0, 0, share, 1 - share, 1, 1], abs=1e-6)


def test_weights_are_monais():
    from monai.data.utils import compute_importance_map

    expected = compute_importance_map((96, 64), mode="gaussian", sigma_scale=0.125)
    assert np.abs(gaussian((96, 64)) - expected.numpy()).max() < 1e-6


@pytest.fixture(scope="module")
def native(make_checkpoint, tmp_path_factory):
    """A scratch U-Net that sees pictures at their own scale."""
    checkpoint = make_checkpoint(tmp_path_factory.mktemp("tiling") / "tiny")
    return replace(checkpoint, preprocessing=Preprocessing(size_policy="pad"))


@pytest.fixture(scope="module", params=["openvino", "torch"])
def segmenter(request, native) -> Segmenter:
    return Segmenter(native, engine=request.param)


def noise(height: int, width: int) -> np.ndarray:
    """Smooth enough to have regions."""
    coarse = np.random.default_rng(0).normal(size=(1, 3, height // 9 + 1, width // 9 + 1))
    fine = torch.nn.functional.interpolate(
        torch.from_numpy(coarse), size=(height, width), mode="bicubic"
    )
    return (128 + 80 * fine[0]).clamp(0, 255).byte().permute(1, 2, 0).numpy()


def far_from_edges(grid: Grid, margin: int) -> np.ndarray:
    """Pixels at least `margin` inside of every tile that covers them; the view's own edges, which
    the whole picture has as well, do not count. bool (H, W)."""
    lines = []
    for side, tile, begins in zip(
        grid.size_hw, grid.tile_hw, (grid.rows, grid.columns), strict=True
    ):
        good = np.ones(side, bool)
        for begin in begins:
            if begin > 0:
                good[begin : begin + margin] = False
            if begin + tile < side:
                good[begin + tile - margin : begin + tile] = False
        lines.append(good)
    return np.logical_and.outer(*lines)


def test_tiled_is_whole_inside_the_margin_of_the_receptive_field(segmenter):
    image = noise(301, 397)
    options = SegmentOptions(tile=160, overlap=32)
    whole, tiled = logits_of(segmenter, image), logits_of(segmenter, image, options)
    network = load_network(segmenter.checkpoint)
    # The field lies up to half a pooled pixel off the centre.
    margin = network.receptive_field() // 2 + 2**network.depth // 2
    grid = Grid.over((301, 397), tile=160, overlap=32)
    assert len(grid) == 9
    inside = far_from_edges(grid, margin)
    assert 0.2 < inside.mean() < 0.9
    assert np.abs(whole - tiled)[:, inside].max() < 1e-4
    assert np.abs(whole - tiled)[:, ~inside].max() > 1e-2  # there is something to be seen
    labels = [segmenter.segment(image, chosen).labels for chosen in (SegmentOptions(), options)]
    assert len(np.unique(labels[0])) == 3
    # A class can win by less than the arithmetic's precision.
    ranked = np.sort(whole, axis=0)
    clear = inside & (ranked[-1] - ranked[-2] > 1e-3)
    assert np.array_equal(labels[0][clear], labels[1][clear])
    assert (labels[0] == labels[1]).mean() > 0.97


def test_tiled_is_monais_sliding_window(segmenter):
    from monai.inferers import sliding_window_inference

    image = noise(320, 224)
    batch = torch.from_numpy(segmenter.checkpoint.preprocessing.network_input(image))
    network = load_network(segmenter.checkpoint)
    with torch.inference_mode():
        expected = sliding_window_inference(
            batch, (128, 128), 1, network, overlap=0.25, mode="gaussian", sigma_scale=0.125
        )
    logits = logits_of(segmenter, image, SegmentOptions(tile=128, overlap=32))
    assert np.abs(logits - expected[0].numpy()).max() < 1e-4


@pytest.mark.parametrize("size", [(40, 700), (700, 40), (300, 301), (1, 999), (33, 65)])
def test_labels_of_tiles_are_those_of_their_logits(segmenter, size):
    image = noise(*size)
    options = SegmentOptions(confidence=True, entropy=True, tile=96, overlap=32)
    result = segmenter.segment(image, options)
    logits = logits_of(segmenter, image, options)
    assert np.array_equal(result.labels, logits.argmax(0))
    probabilities = torch.from_numpy(logits).double().softmax(0)
    assert np.abs(result.confidence - probabilities.max(0).values.numpy()).max() < 1e-3
    entropy = torch.special.entr(probabilities).sum(0).numpy() / np.log(3)
    assert np.abs(result.entropy - entropy).max() < 1e-3


@pytest.mark.parametrize("size", [(150, 210), (90, 1000), (1000, 90)])
def test_tiles_of_a_scaled_picture_make_the_same_maps_as_their_logits(native, size):
    checkpoint = replace(native, preprocessing=Preprocessing(longest_side=333))
    segmenter = Segmenter(checkpoint, engine="torch")
    options = SegmentOptions(confidence=True, tile=96, overlap=32)
    image = noise(*size)
    logits = logits_of(segmenter, image, options)
    assert max(logits.shape[1:]) == 333
    expected = Maps.empty(size, options)
    Painter(expected, logits.shape[1:]).add(0, 0, logits)
    result = segmenter.segment(image, options)
    assert np.array_equal(result.labels, expected.labels)
    assert np.abs(result.confidence - expected.confidence).max() < 1e-3


def test_a_checkpoint_can_ask_for_tiles(native):
    preprocessing = Preprocessing(size_policy="tile", tile=96)
    segmenter = Segmenter(replace(native, preprocessing=preprocessing), engine="torch")
    image = noise(250, 130)
    expected = logits_of(Segmenter(native, engine="torch"), image, SegmentOptions(tile=96))
    assert np.array_equal(logits_of(segmenter, image), expected)


def test_a_checkpoints_own_tiles_take_no_more_memory_where_they_are_magnified(native):
    preprocessing = Preprocessing(size_policy="tile", tile=128)
    segmenter = Segmenter(replace(native, preprocessing=preprocessing), engine="torch")
    seen = inputs_of(segmenter)
    segmenter.segment(noise(100, 300), SegmentOptions(zooms=(2.0,)))
    assert max(shape[2:] for shape in seen) == (128, 128)


def inputs_of(segmenter: Segmenter) -> list[tuple[int, ...]]:
    """The shapes of what the network will be given, a list that grows."""
    seen = []
    (engine,) = segmenter._engines
    plain = engine.logits
    engine.logits = lambda batch: seen.append(batch.shape) or plain(batch)
    return seen


def test_a_large_picture_is_tiled_without_being_asked(native):
    """What a whole one would take does not fit: 1200 x 900 pixels are over the limit."""
    segmenter = Segmenter(native, engine="torch")
    seen = inputs_of(segmenter)
    segmenter.segment(noise(900, 1200))
    assert len(seen) == 4
    assert np.prod(seen[0]) <= 3 * TILE**2


def test_memory_does_not_grow_with_the_picture():
    """Five classes of 3000 x 2000 pixels are 120 MB as logits; the labels are 6."""

    def peak(height: int) -> int:
        maps = Maps.empty((height, 2000), SegmentOptions())
        grid = Grid.over((height, 2000), tile=256, overlap=32)
        painter = Painter(maps, grid.size_hw)
        tile = np.random.default_rng(0).normal(size=(5, 256, 256)).astype(np.float32)
        tracemalloc.start()
        for block in blended(grid, lambda r, c: tile[:, : r.stop - r.start, : c.stop - c.start]):
            painter.add(*block)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(3000) < 1.1 * peak(600) < 20e6
