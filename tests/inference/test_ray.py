"""Two workers of a local Ray: what they write is what one process writes, also if one is killed."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from model.data import streets
from model.data.masks import read_index
from model.errors import ConfigError
from model.inference import inputs
from model.inference.cluster import Cluster, Worker, require_library
from model.inference.folders import Job, segment_files
from model.inference.options import SegmentOptions
from model.inference.output import OutputFolder
from model.inference.segmenter import Segmenter

REPOSITORY = Path(__file__).resolve().parents[2]

COUNT = 160
COLUMNS = ("number", "path", "name", "key")

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None,
    reason="Ray is not installed: pip install -r requirements-ray.txt",
)


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint, tmp_path_factory) -> Path:
    path = make_checkpoint(tmp_path_factory.mktemp("ray") / "tiny").path
    Segmenter(path)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for seed in range(3):
        Image.fromarray(streets.draw(seed, (320, 240))[0]).save(root / f"{seed}.png")
    for number in range(3, COUNT):
        folder = root / f"{number % 7}"
        folder.mkdir(exist_ok=True)
        os.link(root / f"{number % 3}.png", folder / f"{number}.png")
    (root / "broken.png").write_text("no picture")
    return root


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


def workers_below(pid: int) -> list[int]:
    """The processes that this one has started, itself or through others, and that are workers."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            name = (stat.parent / "cmdline").read_bytes()
        except OSError:  # just ended
            continue
        parents[int(stat.parent.name)] = int(fields[1]), name
    found = []
    for candidate, (parent, name) in parents.items():
        while parent in parents and parent != pid:
            parent = parents[parent][0]
        if parent == pid and name.startswith(b"ray::") and b"Worker" in name:
            found.append(candidate)
    return found


@needs_ray
def test_a_killed_worker_costs_no_picture_and_doubles_none(command, checkpoint, pictures, tmp_path):
    output, straight = tmp_path / "out", tmp_path / "straight"
    words = ("segment", pictures, "--checkpoint", checkpoint, "--formats", "mask", "csv")
    with subprocess.Popen(
        [sys.executable, "-m", "model", *map(str, words), "--output", output,
         "--ray", "local", "--ray-workers", "2"],
        cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        written = 0
        while written < 20:
            assert process.poll() is None, process.communicate()
            written = sum(1 for _ in output.glob("mask/**/*.png"))
            time.sleep(0.01)
        workers = workers_below(process.pid)
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        assert sum(1 for _ in output.glob("mask/**/*.png")) < COUNT, "it was over too soon"
        stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == 1, stderr
    assert f"{COUNT} segmented, 1 failed" in stdout
    assert stderr.splitlines()[-1].startswith("  broken.png: ")
    assert "Traceback" not in stderr

    command(*words, "--output", straight)
    assert files(output) == files(straight)
    assert len(list(output.glob("mask/**/*.png"))) == COUNT


@needs_ray
def test_a_worker_that_must_refuse_ends_the_run(checkpoint, make_checkpoint, pictures, tmp_path):
    other = make_checkpoint(tmp_path / "other", seed=1)
    job = Job(Segmenter(checkpoint), ["mask"], {1, 2}, SegmentOptions())
    items = inputs.find([str(pictures / "0.png")], tmp_path / "out")
    with pytest.raises(ConfigError, match=r"^--ray: The machine .* has another checkpoint"):
        segment_files(job, items, tmp_path / "out", run=Cluster("local", str(other.path)))


@needs_ray
def test_a_cluster_that_does_not_answer_is_said_at_once(command, checkpoint, pictures, tmp_path):
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1"):
        done = command(
            *("segment", pictures, "--checkpoint", checkpoint, "--output", tmp_path / "out"),
            *("--ray", address, "--resume"),
        )
        assert done.returncode == 2
        assert f"no Ray cluster at {address}" in done.stderr
        assert "Traceback" not in done.stderr


def worker(checkpoint: Path, folder: OutputFolder, settings: dict) -> Worker:
    return Worker(
        str(checkpoint), ["mask"], {1, 2}, SegmentOptions(), folder=folder, settings=settings
    )


def test_a_worker_does_what_is_missing_of_its_batch(checkpoint, pictures, tmp_path):
    job = Job(Segmenter(checkpoint), ["mask"], {1, 2}, SegmentOptions())
    folder = OutputFolder(tmp_path / "out", ["mask"], job.settings(), resume=False)
    one = worker(checkpoint, folder, job.settings())
    names = ["0.png", "broken.png", "1.png"]
    batch = {
        "number": np.array([4, 5, 6]),
        "path": np.array([str(pictures / name) for name in names]),
        "name": np.array(names),
        "key": np.array(["0", "broken", "1"]),
    }
    first = one(batch)
    assert first["number"].tolist() == [4, 5, 6]
    assert not first["stop"].any()
    assert [bool(reason) for reason in first["reason"]] == [False, True, False]
    written = {path: path.stat().st_mtime_ns for path in folder.path.glob("mask/*")}
    assert {path.name for path in written} == {"0.png", "1.png"}
    again = one(batch)
    assert again["reason"].tolist() == first["reason"].tolist()
    assert written == {path: path.stat().st_mtime_ns for path in folder.path.glob("mask/*")}


def test_a_worker_elsewhere_needs_the_same_folder_and_checkpoint(
    checkpoint, make_checkpoint, tmp_path
):
    other = make_checkpoint(tmp_path / "other", seed=1)
    job = Job(Segmenter(checkpoint), ["mask"], {1, 2}, SegmentOptions())
    folder = OutputFolder(tmp_path / "out", ["mask"], job.settings(), resume=False)
    batch = {name: np.array([0 if name == "number" else "a.png"]) for name in COLUMNS}
    for path, message in ((other.path, "another checkpoint"), (checkpoint, "machines share")):
        said = worker(path, folder, job.settings())(batch)
        assert said["stop"].tolist() == [True]
        assert message in said["reason"][0]
        shutil.rmtree(folder.path, ignore_errors=True)


def test_without_ray_its_file_is_named(monkeypatch):
    for name in ("ray", "ray.data"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"pip install -r requirements-ray\.txt"):
        require_library()
    with pytest.raises(ConfigError, match="--ray-workers must be at least 1"):
        Cluster("local", "pets-mobilenet", 0)


def listed(path: Path, paths: list) -> Path:
    parquet.write_table(pyarrow.table({"path": paths, "other": list(range(len(paths)))}), path)
    return path


def test_a_parquet_file_lists_addresses(command, checkpoint, pictures, tmp_path):
    names = ["0.png", "3/3.png", "4/gone.png"]
    listing = listed(tmp_path / "a.parquet", [(pictures / name).as_uri() for name in names])
    output = tmp_path / "out"
    done = command("segment", listing, "--checkpoint", checkpoint, "--output", output)
    assert done.returncode == 1
    assert "4/gone.png: " in done.stderr
    assert "cannot be fetched" in done.stderr
    records = {"segment.json", "sources.txt", "failed.txt"}
    assert set(files(output)) == records | {"mask/0.png", "mask/3/3.png"}
    expected = Segmenter(checkpoint).segment(pictures / "0.png").labels
    assert np.array_equal(read_index(output / "mask" / "0.png"), expected)


def test_a_video_at_an_address_is_a_file_that_failed(here, checkpoint, pictures, tmp_path):
    addresses = [(pictures / "0.png").as_uri(), "s3://bucket/clip.mp4"]
    listing = listed(tmp_path / "a.parquet", addresses)
    words = ("segment", listing, "--checkpoint", checkpoint, "--output", tmp_path / "out")
    code, output, errors = here(*words)
    assert code == 1, errors
    assert "1 segmented, 1 failed" in output
    assert "clip.mp4 is a video at an address. Videos must be files" in errors


def test_what_a_parquet_file_lists_stays_within_the_output(pictures, tmp_path):
    below = tmp_path / "lists"
    below.mkdir()
    listing = listed(below / "a.parquet", ["../x/a.png", "b.png", str(pictures / "0.png")])
    items = inputs.find([str(listing)], tmp_path / "out")
    keys = {item.key for item in items}
    assert {"x/a", "b"} < keys
    assert not any(key.startswith("/") or ".." in key for key in keys)
    assert below / "../x/a.png" in [item.path for item in items]


def test_the_pictures_below_an_address(pictures, tmp_path):
    (found,) = inputs.find([(pictures / "5").as_uri() + "/"], tmp_path / "out")[:1]
    assert found.name.endswith(".png")
    assert found.path == (pictures / "5" / found.name).as_uri()
    everything = inputs.find([pictures.as_uri()], tmp_path / "out")
    assert len(everything) == COUNT + 1
    assert "5/5.png" in [item.name for item in everything]


@pytest.mark.parametrize("column", ["path", "file"])
def test_a_parquet_file_of_something_else(tmp_path, column):
    parquet.write_table(pyarrow.table({column: [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match="a column 'path' of text"):
        inputs.find([str(tmp_path / "a.parquet")], tmp_path / "out")


def test_addresses_that_lead_nowhere(tmp_path):
    for url in ((tmp_path / "none").as_uri(), "gopher://old/pictures"):
        with pytest.raises(ConfigError, match="cannot be listed"):
            inputs.find([url], tmp_path / "out")
