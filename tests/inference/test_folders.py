"""Which files are meant, what their outputs are called, and what happens when writing fails."""

import errno
import os
import threading
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model.data.classes import ClassTable
from model.data.preprocessing import Preprocessing
from model.errors import ConfigError, DataError, ImageError
from model.inference import inputs
from model.inference.exports import Picture
from model.inference.folders import Job, segment_files, segment_here
from model.inference.options import SegmentOptions
from model.inference.output import SOURCES_FILE, OutputFolder, output_keys
from model.inference.overlapping import in_order
from model.inference.segmenter import Segmenter
from model.inference.video import VideoWriter


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 6, 3), len(name), np.uint8)).save(path, "PNG")


def found(root: Path, *given: str) -> dict[str, str]:
    items = inputs.find([str(root / g) for g in given], root / "out")
    return {item.name: item.key for item in items}


def test_a_folder_means_all_below_it_but_what_is_hidden(tmp_path):
    touch(tmp_path, "in/b.png", "in/a/x.JPG", "in/.git/c.png", "in/a/._x.jpg")
    (tmp_path / "in" / "notes.txt").touch()
    assert found(tmp_path, "in") == {"a/x.JPG": "a/x", "b.png": "b"}


def test_links_to_folders_are_followed_once(tmp_path):
    touch(tmp_path, "in/a.png", "elsewhere/b.png")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    assert found(tmp_path, "in") == {"a.png": "a", "linked/b.png": "linked/b"}


def test_a_link_to_nothing_is_named_and_stops_no_other(job, tmp_path):
    touch(tmp_path, "in/a.png")
    (tmp_path / "in" / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "in" / "round.png").symlink_to("round.png")
    items = inputs.find([str(tmp_path / "in")], tmp_path / "out")
    report = segment_files(job, items, tmp_path / "out")
    assert report.segmented == ["a.png"]
    assert list(report.failed) == ["gone.png", "round.png"]


def test_a_folder_called_like_a_film_is_none(tmp_path):
    touch(tmp_path, "in/clip.mp4/1.png")
    assert found(tmp_path, "in") == {"clip.mp4/1.png": "clip.mp4/1"}


@pytest.mark.skipif(os.sep != "/", reason="where a backslash is a letter of a name")
def test_a_name_with_backslashes_leads_nowhere_else(tmp_path):
    name = "in/a\\..\\..\\evil.png"
    touch(tmp_path, name)
    (key,) = found(tmp_path, "in").values()
    assert "/" not in key


@pytest.mark.skipif(os.sep != "/", reason="makes names that only POSIX has")
def test_every_name_below_an_address_is_found(tmp_path):
    names = ["a b.png", "a%20b.png", "100%.png", "a#b.png", "q?x.png", "ü.png"]
    touch(tmp_path, *(f"in/{name}" for name in names))
    items = inputs.find([(tmp_path / "in").as_uri()], tmp_path / "out")
    assert sorted(item.name for item in items) == sorted(names)
    for item in items:
        # `touch` paints the length of the name.
        picture = Picture.read(item.source(), item.name)
        assert picture.image[0, 0, 0] == len(f"in/{item.name}")


def test_a_film_that_cannot_be_encoded_stops_no_other(job, tmp_path, monkeypatch):
    touch(tmp_path, "in/a.png")
    path = tmp_path / "in" / "b.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 48, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

    def refuse(*_) -> None:
        raise av.error.ExternalError(1, "Generic error in an external library")

    monkeypatch.setattr(VideoWriter, "add", refuse)
    items = inputs.find([str(tmp_path / "in")], tmp_path / "out")
    report = segment_files(job, items, tmp_path / "out")
    assert report.segmented == ["a.png"]
    assert "cannot be encoded as a video" in report.failed["b.mp4"]


def test_files_that_differ_in_their_suffix_keep_it(tmp_path):
    touch(tmp_path, "in/a.png", "in/a.jpg", "in/A.bmp", "in/b.png", "in/a.jpg.png")
    assert found(tmp_path, "in") == {
        "A.bmp": "A.bmp", "a.jpg": "a.jpg", "a.jpg.png": "a.jpg.png", "a.png": "a.png",
        "b.png": "b",
    }  # fmt: skip


def test_equal_names_get_a_number():
    names = ["a/cat.jpg", "a/cat.png", "b/dog.png", "b/Dog.png", "b/dog.png", "b/dog-2.png"]
    assert output_keys(names) == [
        "a/cat.jpg", "a/cat.png", "b/dog", "b/Dog-2", "b/dog-3", "b/dog-2-2",
    ]  # fmt: skip


@given(
    st.lists(
        st.sampled_from(["a.png", "a.jpg", "A.png", "a-2.png", "b/a.png", "b/a", "a"]), max_size=12
    )
)
def test_outputs_are_kept_apart_also_where_case_does_not_count(names):
    keys = output_keys(names)
    assert len(keys) == len(names)
    assert len({key.casefold() for key in keys}) == len(names)


def test_several_folders_are_kept_apart(tmp_path):
    touch(tmp_path, "one/a.png", "two/a.png")
    assert found(tmp_path, "one", "two") == {"one/a.png": "one/a", "two/a.png": "two/a"}
    assert found(tmp_path, "one") == {"a.png": "a"}


def test_patterns_keep_the_place_below_their_fixed_part(tmp_path):
    touch(tmp_path, "in/x/1.png", "in/x/y/2.png", "in/x/y/3.jpg", "in/z/4.png")
    assert list(found(tmp_path, "in/*/*.png")) == ["x/1.png", "z/4.png"]
    assert list(found(tmp_path, "in/x/**/*.png")) == ["1.png", "y/2.png"]


def test_pictures_in_the_output_folder_are_named_as_the_reason(tmp_path):
    touch(tmp_path, "in/a.png")
    with pytest.raises(ConfigError, match="where files count as results"):
        inputs.find([str(tmp_path / "in")], tmp_path / "in")


def test_a_run_does_not_take_what_another_is_writing(job, tmp_path):
    output = tmp_path / "out"
    touch(tmp_path, "in/a.png")
    items = inputs.find([str(tmp_path / "in")], output)
    segment_files(job, items, output)
    part = output / "mask" / f".b.png.{os.getppid()}.part"
    part.touch()
    with pytest.raises(ConfigError, match="another run is writing"):
        segment_files(job, items, output, resume=True)
    assert part.exists()
    os.utime(part, (0, 0))  # its process has ended, and another has its number
    segment_files(job, items, output, resume=True)
    assert not part.exists()


def test_a_name_that_is_no_text_is_refused(tmp_path):
    touch(tmp_path, "in/a.png")
    os.rename(tmp_path / "in" / "a.png", os.fsencode(tmp_path / "in") + b"/caf\xe9.png")
    with pytest.raises(DataError, match=r"caf\\udce9\.png is not in UTF-8"):
        found(tmp_path, "in")


def test_a_file_that_is_named_twice_is_segmented_once(tmp_path):
    touch(tmp_path, "in/a.png")
    assert found(tmp_path, "in", "in/a.png", "in/*.png") == {"a.png": "a"}


def test_links_within_a_folder_are_files_of_their_own(tmp_path):
    touch(tmp_path, "in/a.png")
    (tmp_path / "in" / "b.png").symlink_to("a.png")
    assert found(tmp_path, "in") == {"a.png": "a", "b.png": "b"}


def test_the_root_beside_another_folder_writes_nowhere_else(tmp_path, monkeypatch):
    touch(tmp_path, "two/b.png")
    root = Path(tmp_path.root)
    monkeypatch.setattr(inputs, "files_in", lambda *_: iter([tmp_path / "two" / "b.png"]))
    with pytest.raises(ConfigError, match="outside of --output"):
        inputs.find([str(root), str(tmp_path / "two")], tmp_path / "out")


@pytest.mark.parametrize("key", ["/a", "../a", "b/../../a"])
def test_outputs_lie_below_their_folder(job, tmp_path, key):
    output = OutputFolder(tmp_path / "out", ["mask"], job.settings(), resume=False)
    with pytest.raises(ConfigError, match="outside of"):
        output.targets(inputs.Item(tmp_path / "a.png", "a.png", key))


def test_results_are_no_inputs(tmp_path):
    touch(tmp_path, "a.png", "out/mask/a.png")
    assert found(tmp_path, ".") == {"a.png": "a"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((), "Give what to segment"),
        (("nowhere",), "no file or folder"),
        (("empty",), "no pictures or videos"),
        (("in/*.gif",), "no pictures or videos"),
        (("in/a.png", "two/a.png"), "same name"),
    ],
)
def test_inputs_that_mean_nothing(tmp_path, given, message):
    touch(tmp_path, "in/a.png", "two/a.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=message):
        found(tmp_path, *given)


@pytest.fixture(scope="module")
def job(make_checkpoint, tmp_path_factory) -> Job:
    segmenter = Segmenter(make_checkpoint(tmp_path_factory.mktemp("folders") / "tiny"))
    return Job(segmenter, ["mask"], {1, 2}, SegmentOptions())


def test_one_output_that_cannot_be_written_stops_no_other(job, tmp_path):
    touch(tmp_path, "in/a.png", "in/sub/b.png")
    output = OutputFolder(tmp_path / "out", ["mask"], job.settings(), resume=False)
    (output.path / "mask").mkdir()
    (output.path / "mask" / "sub").touch()  # a file where a folder must be
    items = inputs.find([str(tmp_path / "in")], output.path)
    report = segment_files(job, items, output.path, resume=True)
    assert report.segmented == ["a.png"]
    assert list(report.failed) == ["sub/b.png"]
    assert "Its outputs: cannot be written" in report.failed["sub/b.png"]


def test_a_full_disk_ends_the_run_with_advice(job, tmp_path, monkeypatch):
    touch(tmp_path, "in/a.png", "in/b.png")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(OutputFolder, "write", full)
    items = inputs.find([str(tmp_path / "in")], tmp_path / "out")
    with pytest.raises(ConfigError, match=r"No space left.*--resume continues"):
        segment_files(job, items, tmp_path / "out")


def test_resume_with_other_settings_is_refused(job, tmp_path):
    touch(tmp_path, "in/a.png")
    items = inputs.find([str(tmp_path / "in")], tmp_path / "out")
    segment_files(job, items, tmp_path / "out")
    other = Job(job.segmenter, ["mask"], {1, 2}, SegmentOptions(minimum_area=9))
    with pytest.raises(ConfigError, match=r"made with options .*minimum_area.*Use the same"):
        segment_files(other, items, tmp_path / "out", resume=True)
    further = Job(job.segmenter, ["mask", "csv", "confidence"], {1, 2},
                  SegmentOptions(confidence=True))  # fmt: skip
    report = segment_files(further, items, tmp_path / "out", resume=True)
    assert report.segmented == ["a.png"]  # an export more is no other setting


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preprocessing": Preprocessing(longest_side=32)}, "preprocessing .*64.* instead of .*32"),
        ({"classes": ClassTable.named(a="#000000", b="#ff0000", c="#00ff00")}, "b #ff0000"),
    ],
)
def test_resume_with_a_checkpoint_that_was_described_anew_is_refused(
    job, tmp_path, change, message
):
    touch(tmp_path, "in/a.png")
    items = inputs.find([str(tmp_path / "in")], tmp_path / "out")
    segment_files(job, items, tmp_path / "out")
    checkpoint = replace(job.segmenter.checkpoint, **change)
    other = replace(job, segmenter=Segmenter(checkpoint))
    with pytest.raises(ConfigError, match=message):
        segment_files(other, items, tmp_path / "out", resume=True)


def segmented(job: Job, given: Path, output: Path, **options) -> list[str]:
    """Names of what is segmented, not skipped, into a folder that may be one of earlier runs."""
    items = inputs.find([str(given)], output)
    resume = output.exists()
    return segment_files(job, items, output, resume=resume, **options).segmented


def size_of_mask(output: Path, key: str) -> tuple[int, int]:
    with Image.open(output / "mask" / f"{key}.png") as mask:
        return mask.size


def test_resume_takes_no_other_file_of_the_same_name_for_the_first_ones(job, tmp_path):
    first, second, output = (tmp_path / name for name in ("first", "second", "out"))
    touch(first, "x.png", "y.png")
    touch(second, "x.png")
    Image.new("RGB", (20, 10)).save(second / "x.png")
    os.utime(second / "x.png", (0, 0))
    assert segmented(job, first, output) == ["x.png", "y.png"]
    assert segmented(job, first, output) == []
    assert segmented(job, second, output) == ["x.png"]
    assert size_of_mask(output, "x") == (20, 10)
    assert segmented(job, second, output) == []
    assert segmented(job, first, output) == ["x.png"]  # y is still its own


def test_resume_notices_an_older_file_in_place_of_the_first_one(job, tmp_path):
    touch(tmp_path, "in/a.png")
    assert segmented(job, tmp_path / "in", tmp_path / "out") == ["a.png"]
    Image.new("RGB", (20, 10)).save(tmp_path / "in" / "a.png")
    os.utime(tmp_path / "in" / "a.png", (0, 0))
    assert segmented(job, tmp_path / "in", tmp_path / "out") == ["a.png"]
    assert size_of_mask(tmp_path / "out", "a") == (20, 10)


def test_resume_in_a_folder_that_was_moved_makes_everything_again(job, tmp_path):
    touch(tmp_path, "in/a.png")
    assert segmented(job, tmp_path / "in", tmp_path / "out") == ["a.png"]
    (tmp_path / "in").rename(tmp_path / "moved")
    assert segmented(job, tmp_path / "moved", tmp_path / "out") == ["a.png"]


def test_resume_makes_again_what_was_not_recorded(job, tmp_path):
    touch(tmp_path, "in/a.png", "in/b.png", "in/ü\n.png")
    output = tmp_path / "out"
    assert len(segmented(job, tmp_path / "in", output)) == 3
    record = output / SOURCES_FILE
    content = record.read_bytes()
    assert content.count(b"\n") == 3
    record.write_bytes(content[: content.index("ü".encode()) + 1])  # cut within a letter
    assert segmented(job, tmp_path / "in", output) == ["ü\n.png"]
    assert record.read_bytes() == content
    record.unlink()
    assert len(segmented(job, tmp_path / "in", output)) == 3


def test_a_run_that_was_stopped_before_it_recorded_leaves_no_wrong_record(job, tmp_path):
    """The first folder's record must not stand for what the second one's run has written."""
    first, second, output = (tmp_path / name for name in ("first", "second", "out"))
    touch(first, "x.png")
    touch(second, "x.png")
    Image.new("RGB", (20, 10)).save(second / "x.png")
    assert segmented(job, first, output) == ["x.png"]

    def stopped(*given):
        list(segment_here(*given))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segmented(job, second, output, run=stopped)
    assert size_of_mask(output, "x") == (20, 10)
    assert segmented(job, first, output) == ["x.png"]
    assert size_of_mask(output, "x") == (6, 4)


def test_a_file_that_can_no_longer_be_read_keeps_no_outputs_of_another(job, tmp_path, monkeypatch):
    def unreachable(*_):
        raise ImageError("cannot be fetched")

    touch(tmp_path, "in/a.png", "in/b.png")
    both, both_and_overlay = (
        replace(job, formats=["mask", "csv", *more]) for more in ([], ["overlay"])
    )
    assert len(segmented(both, tmp_path / "in", tmp_path / "out")) == 2
    (tmp_path / "in" / "a.png").write_text("no picture")
    assert segmented(both, tmp_path / "in", tmp_path / "out") == []
    assert [path.name for path in (tmp_path / "out" / "mask").iterdir()] == ["b.png"]
    assert "a.png" not in (tmp_path / "out" / "pixels.csv").read_text()
    items = inputs.find([str(tmp_path / "in" / "b.png")], tmp_path / "out")
    monkeypatch.setattr(Picture, "read", unreachable)  # but it is the same file
    report = segment_files(both_and_overlay, items, tmp_path / "out", resume=True)
    assert list(report.failed) == ["b.png"]
    assert (tmp_path / "out" / "mask" / "b.png").exists()


def test_an_export_that_was_left_out_meanwhile_is_not_taken_for_the_new_file_s(job, tmp_path):
    touch(tmp_path, "in/a.png")
    both = replace(job, formats=["mask", "csv"])
    segmented(both, tmp_path / "in", tmp_path / "out")
    Image.new("RGB", (20, 10)).save(tmp_path / "in" / "a.png")
    assert segmented(job, tmp_path / "in", tmp_path / "out") == ["a.png"]
    assert segmented(both, tmp_path / "in", tmp_path / "out") == ["a.png"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"engine": 1'])
def test_resume_in_a_folder_of_something_else_is_refused(job, tmp_path, content):
    touch(tmp_path, "in/a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "segment.json").write_text(content)
    items = inputs.find([str(tmp_path / "in")], tmp_path / "out")
    with pytest.raises(ConfigError, match="not the record of an earlier run"):
        segment_files(job, items, tmp_path / "out", resume=True)
    assert (tmp_path / "out" / "segment.json").read_text() == content


def test_an_output_folder_in_use_is_left_alone(job, tmp_path):
    touch(tmp_path, "in/a.png", "out/precious.png")
    items = inputs.find([str(tmp_path / "in")], tmp_path / "out")
    for resume in (False, True):
        with pytest.raises(ConfigError, match="not empty"):
            segment_files(job, items, tmp_path / "out", resume=resume)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["precious.png"]


def test_progress_counts_every_picture(job, tmp_path):
    touch(tmp_path, "in/a.png", "in/b.png")
    (tmp_path / "in" / "c.png").write_text("no picture")
    items = inputs.find([str(tmp_path / "in")], tmp_path / "out")
    steps = []
    segment_files(job, items, tmp_path / "out", progress=lambda more, done: steps.append(done))
    assert sum(steps) == 3


def test_items_are_taken_only_a_few_ahead():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = in_order(lambda number: -number, items(), threads=2)
    assert [next(results) for _ in range(3)] == [0, -1, -2]
    assert len(taken) <= 6
    assert list(results) == [-number for number in range(3, 100)]


def test_an_error_comes_in_its_turn_and_ends_the_work():
    begun = []
    go = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if number == 2:
            raise KeyError(number)
        if number > 2:
            go.wait(10)
        return number

    results = in_order(work, range(50), threads=2)
    assert [next(results), next(results)] == [0, 1]
    go.set()
    with pytest.raises(KeyError):
        next(results)
    assert len(begun) < 10
