"""Zips, several pictures, films: what is taken in, what is refused, what comes out."""

from __future__ import annotations

import io
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app import archives
from app.segment import many
from app.segment.desk import Desk
from app.segment.examples import Example
from app.segment.jobs import Watch
from model.data.masks import read_index
from model.data.streets import draw
from model.errors import ImageError, ImageTooLargeError
from model.inference.segmenter import Cancelled, Segmenter
from model.inference.video import VideoReader, VideoWriter


def png(seed: int, size: tuple[int, int] = (48, 32)) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(draw(seed, size)[0]).save(buffer, "png")
    return buffer.getvalue()


def pack(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


def bring(files: list[tuple[Path, str]], cache: Path, watch: Watch | None = None) -> Desk:
    with many.removed_on_failure(cache) as folder:
        return many.brought(files, folder, watch or Watch())


def test_a_zip_is_its_pictures_and_stays_in_its_folder(tmp_path, folder):
    files = {
        "../../outside.png": png(1),
        "deep/er/b.png": png(2),
        "other/b.png": png(3),
        "/abs.jpg": png(4),
        "notes.txt": b"no",
        "__MACOSX/x.png": b"no",
        ".hidden.png": b"no",
    }
    path = pack(tmp_path / "some.zip", files)
    desk = bring([(path, "some.zip")], folder)
    assert [entry.title for entry in desk.pictures] == ["abs.jpg", "b.png", "b.png", "outside.png"]
    assert all(entry.path.is_relative_to(folder) for entry in desk.pictures)
    assert {entry.path.read_bytes() for entry in desk.pictures} == {png(i) for i in (1, 2, 3, 4)}
    assert set(tmp_path.rglob("*.png")) == set(folder.rglob("*.png"))


def test_names_may_be_long_in_any_script(tmp_path, folder):
    path = pack(tmp_path / "some.zip", {"写" * 95 + ".png": png(1), "é" * 120 + "/ok.png": png(2)})
    titles = [entry.title for entry in bring([(path, "some.zip")], folder).pictures]
    assert titles == ["ok.png", "写" * 48 + ".png"]


@pytest.mark.parametrize("kind", ["bomb", "lying", "many", "none", "torn"])
def test_zips_that_are_refused_leave_nothing_behind(tmp_path, folder, monkeypatch, kind):
    monkeypatch.setattr(many, "PAGE_UNPACKED_BYTES", 10_000)
    monkeypatch.setattr(archives, "MOST_FILES", 3)
    path = pack(
        tmp_path / "bad.zip",
        {
            "bomb": {"a.png": bytes(1_000_000)},
            "lying": {"a.png": bytes(100), "b.png": bytes(9_000)},
            "many": {f"{i}.png": b"x" for i in range(4)},
            "none": {"a.txt": b"x"},
            "torn": {"a.png": png(1)},
        }[kind],
    )
    content = path.read_bytes()
    if kind == "lying":  # about the size of the last file, in the list of contents
        size = content.rindex(b"PK\x01\x02") + 24
        path.write_bytes(content[:size] + (10).to_bytes(4, "little") + content[size + 4 :])
    if kind == "torn":
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match=r"bad\.zip") as refused:
        bring([(path, "bad.zip")], folder)
    assert isinstance(refused.value, ImageTooLargeError) == (kind in ("bomb", "many"))
    assert not list(folder.iterdir())


@pytest.mark.parametrize("limit", ["PAGE_UNPACKED_BYTES", "MOST_FILES"])
def test_several_zips_are_counted_together_before_anything_is_unpacked(
    tmp_path, folder, monkeypatch, limit
):
    files = {f"{i}.png": png(i) for i in range(2)}
    paths = [(pack(tmp_path / f"{i}.zip", files), f"{i}.zip") for i in range(2)]
    alone = {"PAGE_UNPACKED_BYTES": sum(map(len, files.values())), "MOST_FILES": 2}
    monkeypatch.setattr(many, limit, alone[limit])
    monkeypatch.setattr(Path, "write_bytes", None)
    with pytest.raises(ImageTooLargeError, match=r"together|4 pictures"):
        bring(paths, folder)
    assert not list(folder.iterdir())
    monkeypatch.undo()
    assert len(bring(paths, folder).pictures) == 4


def test_unpacking_ends_where_nobody_wants_it_and_leaves_nothing_behind(tmp_path, folder):
    path = pack(tmp_path / "some.zip", {f"{i}.png": png(i) for i in range(3)})

    class Impatient(Watch):
        def cancelled(self) -> bool:
            return len(list(folder.rglob("*.png"))) == 2

    with pytest.raises(Cancelled):
        bring([(path, "some.zip")], folder, Impatient())
    assert not list(folder.iterdir())


def test_what_cannot_be_opened_is_left_out_by_name(tmp_path):
    pictures = []
    for name in ("first.heic", "one.png", "Thumbs.db", "two.png"):
        (tmp_path / name).write_bytes(png(1) if name.endswith("png") else b"no picture")
        pictures.append(Example(name, tmp_path / name))
    opened = many.laid_out(Desk(pictures[0].path, "first.heic", pictures=tuple(pictures)), Watch())
    assert opened.desk.name == "one.png"
    assert opened.desk.path == pictures[1].path
    assert opened.desk.pictures == (pictures[1], pictures[3])
    assert [entry for entry, _ in opened.thumbnails] == [pictures[1], pictures[3]]
    assert opened.refused == ["first.heic", "Thumbs.db"]

    # One that is left is as one that came alone.
    pair = tuple(pictures[:2])
    opened = many.laid_out(Desk(pair[0].path, "first.heic", pictures=pair), Watch())
    assert (opened.desk, opened.thumbnails) == (Desk(pictures[1].path, "one.png"), [])

    none = tuple(pictures[::2])
    with pytest.raises(ImageError, match=r"None of the 2 files .* first\.heic is not a picture"):
        many.laid_out(Desk(none[0].path, "first.heic", pictures=none), Watch())


def test_all_pictures_are_segmented_under_their_names(tmp_path, folder, weights):
    segmenter = Segmenter(weights / "streets-scratch")
    given = []
    for number, name in enumerate(["one.png", "One.png", "bad.png"]):
        path = tmp_path / f"{number}.png"
        path.write_bytes(b"no picture" if name == "bad.png" else png(number))
        given.append((path, name))
    desk = bring(given, folder)
    done: list[float] = []
    made = many.segment_all(desk, segmenter, {0}, folder / "all.zip", Watch(done.append))
    assert len(made.failed) == 1
    assert made.film is None
    assert done[-1] == 1
    with zipfile.ZipFile(folder / "all.zip") as archive:
        assert {"mask/one.png", "mask/One-2.png", "overlay/one.png", "pixels.csv"} <= set(
            archive.namelist()
        )
        labels = read_index(archive.read("mask/One-2.png"))
    assert np.array_equal(labels, segmenter.segment(given[1][0]).labels)
    assert [file.name for file in folder.rglob("*")] == ["all.zip"]


def film(path: Path, frames: int) -> Path:
    with VideoWriter(path, Fraction(10), Fraction(1, 10)) as writer:
        for time in range(frames):
            writer.add(time, draw(time, (64, 48))[0])
        writer.finish()
    return path


def test_a_film_shows_its_first_frame_and_comes_back_whole(tmp_path, folder, weights):
    path = film(tmp_path / "drive.mp4", 4)
    desk = bring([(path, "drive.mp4")], folder)
    assert desk.film == path
    with VideoReader(path) as reader:
        _, first = next(iter(reader))
    assert np.array_equal(np.asarray(Image.open(desk.path)), first)
    segmenter = Segmenter(weights / "streets-scratch")
    made = many.segment_all(desk, segmenter, {0, 1}, folder / "f.zip", Watch())
    assert made.film == folder / "drive.mp4"
    assert made.frames == 4
    assert sum(row.pixels for row in made.legend) == 4 * 64 * 48
    assert all(0 < row.confidence <= 1 for row in made.legend)
    with zipfile.ZipFile(folder / "f.zip") as archive:
        archive.extract("overlay/drive.mp4", tmp_path)
    with VideoReader(tmp_path / "overlay" / "drive.mp4") as reader:
        assert len(list(reader)) == 4


def test_long_films_and_films_among_others_are_refused(tmp_path, folder, monkeypatch):
    path = film(tmp_path / "drive.mp4", 4)
    with pytest.raises(ImageError, match="alone"):
        bring([(path, "drive.mp4"), (path, "b.mp4")], folder)
    monkeypatch.setattr(many, "MOST_FRAMES", 3)
    with pytest.raises(ImageTooLargeError, match="4 frames"):
        bring([(path, "drive.mp4")], folder)


def test_results_have_a_limit_and_leave_nothing_behind(tmp_path, folder, weights, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(png(1))
    desk = bring([(path, "a.png"), (path, "b.png")], folder)
    monkeypatch.setattr(many, "MADE_BYTES", 100)
    with pytest.raises(ImageTooLargeError, match="fewer or smaller"):
        many.segment_all(
            desk, Segmenter(weights / "streets-scratch"), {0}, folder / "a.zip", Watch()
        )
    assert not list(folder.iterdir())


def test_cancelling_leaves_nothing_behind(tmp_path, folder, weights):
    path = tmp_path / "a.png"
    path.write_bytes(png(1))
    desk = bring([(path, "a.png"), (path, "b.png")], folder)
    watch = Watch()
    watch.cancel()
    segmenter = Segmenter(weights / "streets-scratch")
    with pytest.raises(Cancelled):
        many.segment_all(desk, segmenter, {0}, folder / "a.zip", watch)
    assert not list(folder.iterdir())
