"""`python -m model segment`, as people run it: folders, patterns, videos, and power cuts."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from model.data import annotations, streets
from model.data.drawing import shown_at_first
from model.data.masks import read_index
from model.inference.exports import EXPORTS, Picture
from model.inference.folders import pictures_at_once
from model.inference.options import SegmentOptions
from model.inference.segmenter import Segmenter

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint, tmp_path_factory) -> Path:
    path = make_checkpoint(tmp_path_factory.mktemp("segment") / "tiny").path
    Segmenter(path)  # converts the network once, for all runs
    return path


def save(path: Path, seed: int, size_wh: tuple[int, int] = (60, 44)) -> np.ndarray:
    image = streets.draw(seed, size_wh)[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return image


def files(folder: Path) -> dict[str, bytes]:
    """The content of all files; of the record of sources, whose order does not matter, sorted."""
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    if sources := found.get("sources.txt"):
        found["sources.txt"] = b"".join(sorted(sources.splitlines(keepends=True)))
    return found


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Pictures in folders below each other, two that cannot be read, and what is no picture."""
    root = tmp_path_factory.mktemp("pictures")
    save(root / "a.png", 1)
    save(root / "deep" / "er" / "b.jpg", 2, (31, 70))
    save(root / "deep" / "a.png", 3)
    save(root / "deep" / "same.png", 4)
    save(root / "deep" / "same.bmp", 5)
    save(root / ".hidden" / "c.png", 6)
    whole = (root / "a.png").read_bytes()
    (root / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "deep" / "text.jpg").write_text("no picture")
    (root / "notes.txt").write_text("no picture either")
    return root


GOOD = ["a.png", "deep/a.png", "deep/er/b.jpg", "deep/same.bmp", "deep/same.png"]
KEYS = ["a", "deep/a", "deep/er/b", "deep/same.bmp", "deep/same.png"]


@pytest.fixture(scope="module")
def run(command, checkpoint, pictures, tmp_path_factory):
    before = files(pictures)
    output = tmp_path_factory.mktemp("output") / "all"
    done = command(
        *("segment", pictures, "--checkpoint", checkpoint, "--output", output),
        *("--formats", *EXPORTS),
    )
    assert files(pictures) == before
    return done, output


def test_unreadable_files_are_listed_and_the_exit_code_says_so(run):
    done, output = run
    assert done.returncode == 1, done.stderr
    assert "5 segmented, 2 failed" in done.stdout
    assert "pictures/s" in done.stdout
    listed = done.stderr.splitlines()
    assert len(listed) == 2
    assert listed[0].startswith("  cut.png: ")
    assert listed[1].startswith("  deep/text.jpg: ")
    failed = (output / "failed.txt").read_text().splitlines()
    assert failed == [line.strip() for line in listed]


def test_every_export_of_every_picture_is_what_the_library_makes(run, checkpoint, pictures):
    _, output = run
    segmenter = Segmenter(checkpoint)
    options = SegmentOptions(confidence=True, entropy=True, probabilities=True)
    chosen = shown_at_first(segmenter.classes)
    for name, key in zip(GOOD, KEYS, strict=True):
        picture = Picture.read(pictures / name, name)
        segmentation = segmenter.segment(picture.image, options)
        assert np.array_equal(read_index(output / "mask" / f"{key}.png"), segmentation.labels)
        for export, kind in EXPORTS.items():
            content = (output / export / f"{key}{kind.suffix}").read_bytes()
            assert content == kind.write(segmentation, picture, chosen), export


def test_the_output_holds_nothing_else(run):
    _, output = run
    expected = {f"{e}/{key}{EXPORTS[e].suffix}" for e in EXPORTS for key in KEYS}
    summaries = {"coco.json", "coco-rle.json", "pixels.csv", "yolo/data.yaml"}
    records = {"segment.json", "sources.txt", "failed.txt"}
    assert set(files(output)) == expected | summaries | records


def test_summaries_cover_all_pictures(run, capsys):
    _, output = run
    labels = {n: read_index(output / "mask" / f"{k}.png") for n, k in zip(GOOD, KEYS, strict=True)}
    for name in ("coco.json", "coco-rle.json"):
        read = COCO(output / name)
        for image in read.imgs.values():
            for annotation in read.loadAnns(read.getAnnIds(imgIds=image["id"])):
                mask = labels[image["file_name"]] == annotation["category_id"] - 1
                assert np.array_equal(read.annToMask(annotation), mask)
        assert {image["file_name"] for image in read.imgs.values()} == set(GOOD)
    with open(output / "pixels.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            count = (labels[row["picture"]] == int(row["class_id"])).sum()
            assert int(row["pixels"]) == count
    yolo = annotations.read(output / "yolo")
    assert set(yolo.names()) == set(KEYS)


def test_the_same_again_needs_resume(run, command, checkpoint, pictures):
    _, output = run
    before = files(output)
    done = command("segment", pictures, "--checkpoint", checkpoint, "--output", output)
    assert done.returncode == 2
    assert "--resume" in done.stderr
    assert "Traceback" not in done.stderr
    assert files(output) == before


def test_resume_does_what_is_missing_new_or_changed(command, checkpoint, tmp_path):
    source, output = tmp_path / "in", tmp_path / "out"
    for seed, name in enumerate(["a", "b", "c"]):
        save(source / f"{name}.png", seed)
    (source / "d.png").write_text("not yet a picture")
    words = ("segment", source, "--checkpoint", checkpoint, "--output", output)
    assert command(*words).returncode == 1
    first = {p.name: p.stat().st_mtime_ns for p in (output / "mask").iterdir()}
    assert set(first) == {"a.png", "b.png", "c.png"}

    (output / "mask" / "a.png").unlink()
    image = save(source / "b.png", 9)
    save(source / "d.png", 3)
    done = command(*words, "--resume")
    assert done.returncode == 0, done.stderr
    assert "3 segmented, 1 there already" in done.stdout
    second = {p.name: p.stat().st_mtime_ns for p in (output / "mask").iterdir()}
    assert set(second) == {"a.png", "b.png", "c.png", "d.png"}
    assert second["c.png"] == first["c.png"]
    assert not (output / "failed.txt").exists()
    expected = Segmenter(checkpoint).segment(image).labels
    assert np.array_equal(read_index(output / "mask" / "b.png"), expected)


def started(*words: str | Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "model", *map(str, words)],
        cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for_outputs(process: subprocess.Popen, folder: Path, count: int) -> None:
    until = time.monotonic() + 120
    while sum(1 for _ in folder.glob("*.png")) < count:
        assert process.poll() is None, "it was over too soon"
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_a_run_that_is_stopped_is_completed_by_resume(command, checkpoint, tmp_path, stop):
    source, output, straight = (tmp_path / name for name in ("in", "out", "straight"))
    for seed in range(3):
        save(source / f"{seed}.png", seed, (320, 240))
    for copy in range(3, 80):
        os.link(source / f"{copy % 3}.png", source / f"{copy}.png")
    words = ("segment", source, "--checkpoint", checkpoint, "--formats", "mask", "csv")
    process = started(*words, "--output", output)
    wait_for_outputs(process, output / "mask", 4)
    process.send_signal(stop)
    stdout, stderr = process.communicate(timeout=60)
    if stop == signal.SIGINT:
        assert process.returncode == 130, stderr
        assert "--resume continues" in stdout
        assert "Traceback" not in stderr
    done_before = {p.name: p.stat().st_mtime_ns for p in (output / "mask").glob("*.png")}
    assert 4 <= len(done_before) < 80
    for path in (output / "mask").glob("*.png"):
        assert read_index(path).shape == (240, 320), "half a file has its final name"

    done = command(*words, "--output", output, "--resume")
    assert done.returncode == 0, done.stderr
    assert " there already" in done.stdout
    after = {p.name: p.stat().st_mtime_ns for p in (output / "mask").glob("*.png")}
    assert len(after) == 80
    kept = [name for name, written in done_before.items() if after[name] == written]
    # Of the last ones the second file was missing, or they were not recorded yet.
    assert len(kept) >= len(done_before) - pictures_at_once() - 1
    command(*words, "--output", straight)
    assert files(output) == files(straight)


def test_a_pattern_and_a_single_file(command, checkpoint, pictures, tmp_path):
    output = tmp_path / "out"
    done = command(
        *("segment", f"{pictures}/**/*a.png", pictures / "deep" / "er" / "b.jpg"),
        *("--checkpoint", checkpoint, "--output", output, "--formats", "overlay"),
        *("--classes", "class 1"),
    )
    assert done.returncode == 0, done.stderr
    assert set(files(output)) == {
        "segment.json", "sources.txt", "overlay/a.png", "overlay/deep/a.png", "overlay/b.png",
    }  # fmt: skip
    assert json.loads((output / "segment.json").read_text())["classes"] == ["class 1"]
    segmenter = Segmenter(checkpoint)
    picture = Picture.read(pictures / "a.png")
    expected = EXPORTS["overlay"].write(segmenter.segment(picture.image), picture, {1})
    assert (output / "overlay" / "a.png").read_bytes() == expected


def test_videos_become_videos(command, checkpoint, tmp_path):
    import av

    from model.inference.video import VideoReader

    source, output = tmp_path / "in", tmp_path / "out"
    save(source / "still.png", 1)
    with av.open(str(source / "drive.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for seed in range(11):
            image = streets.draw(seed, (64, 48))[0]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    content = (source / "drive.mp4").read_bytes()
    (source / "cut.mp4").write_bytes(content[: len(content) // 2])
    done = command(
        *("segment", source, "--checkpoint", checkpoint, "--output", output),
        *("--formats", "overlay", "mask", "csv"),
    )
    assert done.returncode == 1, done.stderr
    assert "2 segmented, 1 failed" in done.stdout
    assert "cut.mp4" in done.stderr
    assert set(files(output)) == {
        "segment.json", "sources.txt", "failed.txt", "mask/drive.mkv", "mask/still.png",
        "overlay/drive.mp4", "overlay/still.png", "csv/still.csv", "pixels.csv",
    }  # fmt: skip

    segmenter = Segmenter(checkpoint)
    with VideoReader(source / "drive.mp4") as reader:
        frames = [image for _, image in reader]
        expected = [segmenter.segment(image).labels for image in frames]
    assert len(frames) == 11
    with av.open(str(output / "mask" / "drive.mkv")) as container:
        assert container.streams.video[0].average_rate == pytest.approx(
            Fraction(30000, 1001), rel=1e-3
        )
        masks = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert np.array_equal(masks, expected)
    with VideoReader(output / "overlay" / "drive.mp4") as reader:
        assert reader.rate == Fraction(30000, 1001)
        overlays = [image for _, image in reader]
    assert np.shape(overlays) == np.shape(frames)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "no file or folder nowhere"),
        ([], "Give what to segment"),
        (["README.md", "--classes", "unicorn"], "no class 'unicorn'"),
        (["README.md", "--options"], "unrecognized|Unrecognized"),
        (["README.md", "--threshold", "0.3"], "threshold is for checkpoints with two classes"),
        (["README.md", "--tile", "32"], "cannot overlap by 32"),
        (["README.md", "--ray-workers", "2"], "--ray-workers needs --ray"),
    ],
)
def test_wrong_arguments_are_exit_code_2(command, checkpoint, tmp_path, words, message):
    output = tmp_path / "out"
    done = command("segment", *words, "--checkpoint", checkpoint, "--output", output)
    assert done.returncode == 2
    assert re.search(message, done.stderr)
    assert "Traceback" not in done.stderr
    assert not output.exists()
