"""The commands under `data`, as the command line calls them, and the download behind `get`."""

import hashlib
import http.server
import io
import re
import subprocess
import sys
import tarfile
import threading
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import tyro
from PIL import Image

from model.data import datasets, split_file
from model.data.commands import DataCommand, run
from model.data.download import fetch_archive
from model.data.masks import read_index
from model.data.statistics import Statistics, histogram, measure
from model.errors import ConfigError, DataError


def data(*arguments: str | Path) -> int:
    return run(tyro.cli(DataCommand, args=[str(a) for a in arguments]))


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def potholes(tmp_path) -> Path:
    """A data root with made-up potholes: 20 pictures, each with one polygon."""
    for number in range(20):
        save(tmp_path / f"potholes/images/train/p{number}.jpg", np.zeros((10, 20, 3), np.uint8))
        labels = tmp_path / f"potholes/labels/train/p{number}.txt"
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text("0 0 0 0.5 0 0.5 1 0 1\n")
    return tmp_path


def test_list_shows_what_is_here(potholes, capsys):
    assert data("list", "--data-root", potholes) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert set(datasets.DATA_SETS) <= set(lines)
    assert lines["potholes"].split()[1] == "20"
    assert lines["streets"].split()[1] == "560"
    assert lines["carla"].split()[1] == "-"
    assert "CC BY 4.0" in lines["potholes"]


def test_info_tells_what_a_data_set_is(potholes, capsys):
    assert data("info", "potholes", "--data-root", potholes) == 0
    out = capsys.readouterr().out
    assert "CC BY 4.0" in out
    assert "by photograph" in out
    assert re.search(r"1  #D55E00  pothole", out)
    assert "14 train, 3 validation, 3 test" in out


def test_info_without_the_files_says_so(tmp_path, capsys):
    assert data("info", "drivable", "--data-root", tmp_path) == 0
    out = capsys.readouterr().out
    assert "not for publication" in out
    assert "Not here: The data set 'drivable' needs the folder" in out


def test_info_writes_the_split(tmp_path, capsys):
    path = tmp_path / "split.json"
    assert data("info", "streets", "--write-split", path) == 0
    assert split_file.read(path).parts == datasets.load("streets").split


def test_info_of_an_unknown_name_or_folder_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="no data set 'cityscapes'"):
        data("info", "cityscapes")
    with pytest.raises(DataError, match="does not exist"):
        data("info", f"folder:{tmp_path / 'nowhere'}")


def test_get_says_how_and_then_checks(potholes, tmp_path_factory, capsys):
    empty = tmp_path_factory.mktemp("empty")
    assert data("get", "aerial", "--data-root", empty) == 1
    out = capsys.readouterr().out
    assert "kaggle datasets download humansintheloop/semantic-segmentation-of-aerial" in out
    assert f"{empty}/aerial/Tile 1/masks/image_part_001.png" in out
    assert "CC0" in out
    assert data("get", "potholes", "--data-root", potholes) == 0
    assert "20 samples, every picture and mask was read" in capsys.readouterr().out
    label = potholes / "potholes/labels/train/p3.txt"
    label.write_text("4 0 0 1 0 1 1\n")
    with pytest.raises(DataError, match=r"p3\.txt, line 1: there is no class 4"):
        data("get", "potholes", "--data-root", potholes)
    with pytest.raises(ConfigError, match="to get; choose one of"):
        data("get", "folder")


def test_preview_is_one_page_with_figures_and_pictures(potholes, tmp_path_factory, capsys):
    output = tmp_path_factory.mktemp("preview")
    arguments = ("preview", "potholes", "--data-root", potholes, "--output", output)
    assert data(*arguments, "--pictures", "2") == 0
    page = (output / "index.html").read_text()
    sheet = Image.open(output / "contact_sheet.png")
    assert sheet.format == "PNG"
    assert "pothole" in page
    # Half of every picture is pothole, in each part.
    assert page.count("50.00</td>") == 6
    assert "20 x 10" in page
    assert "20 samples" in page
    assert page.count("data:image/jpeg;base64,") == 3
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)  # nothing is loaded from elsewhere
    with pytest.raises(ConfigError, match="is not empty"):
        data(*arguments)
    with pytest.raises(ConfigError, match="--pictures"):
        data(*arguments, "--pictures", "0")


def test_preview_escapes_what_files_are_called(tmp_path):
    for number in range(10):
        save(tmp_path / f"own/masks/{number}.png", np.uint8([[0, 1]] * 4))
        save(tmp_path / f"own/images/{number}.png", np.zeros((4, 2, 3), np.uint8))
    (tmp_path / "own/classes.yaml").write_text("classes: [<script>alert(1)</script>, b]\n")
    output = tmp_path / "out"
    assert data("preview", f"folder:{tmp_path / 'own'}", "--output", output) == 0
    assert "<script" not in (output / "index.html").read_text()


def test_masks_writes_masks_and_a_summary(potholes, tmp_path, capsys):
    root = potholes / "potholes"
    (root / "labels/train/p7.txt").unlink()
    (root / "labels/train/extra.txt").write_text("")
    output = tmp_path / "masks"
    arguments = ("masks", root / "labels", "--images", root / "images", "--output", output)
    with pytest.raises(DataError, match="1 of 20 pictures have no annotation: train/p7"):
        data(*arguments)
    assert data(*arguments, "--missing", "background", "--classes", "pothole") == 0
    out = capsys.readouterr().out
    assert "20 masks written" in out
    assert re.search(r"1  pothole +47\.50 %", out)
    assert "1 pictures without annotations: all background" in out
    assert "1 annotated pictures are not in" in out
    assert read_index(output / "train/p0.png").sum() == 100
    assert "name: pothole" in (output / "classes.yaml").read_text()


def test_commands_do_not_wait_for_heavy_imports():
    code = "import sys, model.data.commands, model.data.datasets as d; d.load('streets')\n"
    code += (
        "heavy = {'torch', 'sklearn', 'pycocotools', 'torchvision', 'jinja2'} & set(sys.modules)"
    )
    code += "\nassert not heavy, heavy"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_statistics_count_pixels_pictures_and_void():
    statistics = Statistics.empty(3)
    for labels in (np.uint8([[0, 0, 1], [255, 0, 1]]), np.uint8([[0, 255]])):
        statistics.add(histogram(labels), labels.shape)
    assert statistics.pixels.tolist() == [4, 2, 0]
    assert statistics.images.tolist() == [2, 1, 0]
    assert statistics.shares.tolist() == pytest.approx([4 / 6, 2 / 6, 0])
    assert statistics.void_share == pytest.approx(2 / 8)
    assert statistics.sizes_wh == {(3, 2): 1, (2, 1): 1}
    double = statistics + statistics
    assert double.num_images == 4
    assert double.shares.tolist() == statistics.shares.tolist()


def test_measuring_goes_over_the_named_samples():
    streets = datasets.load("streets")
    names = streets.names("test")[:3]
    counted = measure(streets, names)
    expected = np.bincount(np.concatenate([streets.labels(n).ravel() for n in names]), minlength=7)
    assert counted.pixels.tolist() == expected.tolist()
    assert counted.num_images == 3


# The download


class Server:
    """A web server for one file that can break off, and says which ranges were asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.ranges: list[str | None] = []
        self.break_after: int | None = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                outer.ranges.append(asked)
                start = int(asked[len("bytes=") :].rstrip("-")) if asked else 0
                body = outer.content[start:]
                self.send_response(206 if asked else 200)
                self.send_header("Content-Length", str(len(body)))
                if asked:
                    total = len(outer.content)
                    self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
                self.end_headers()
                self.wfile.write(body[: outer.break_after])

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/images.tar.gz"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def archive(folder: str, files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


CONTENT = archive("images", {"a.txt": np.random.default_rng(0).bytes(50_000)})
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server():
    server = Server(CONTENT)
    yield server
    server.server.shutdown()
    server.server.server_close()


def test_a_download_is_checked_unpacked_and_not_repeated(server, tmp_path):
    assert fetch_archive(server.url, MD5, tmp_path) == tmp_path / "images"
    assert (tmp_path / "images/a.txt").stat().st_size == 50_000
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
    fetch_archive(server.url, MD5, tmp_path)
    assert server.ranges == [None]


def test_a_download_cut_short_continues_where_it_stopped(server, tmp_path):
    (tmp_path / "images.tar.gz.part").write_bytes(CONTENT[:20_000])
    fetch_archive(server.url, MD5, tmp_path)
    assert server.ranges == ["bytes=20000-"]
    assert (tmp_path / "images/a.txt").exists()


def test_a_complete_download_is_not_asked_for_again(server, tmp_path):
    (tmp_path / "images.tar.gz.part").write_bytes(CONTENT)
    fetch_archive(server.url, MD5, tmp_path)
    assert server.ranges == []


def test_a_wrong_hash_is_refused_and_discarded(server, tmp_path):
    with pytest.raises(DataError, match=f"has the MD5 {MD5} instead of 0000"):
        fetch_archive(server.url, "0000", tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unreachable_server_is_said_and_what_came_is_kept(tmp_path):
    (tmp_path / "images.tar.gz.part").write_bytes(CONTENT[:20_000])
    with pytest.raises(DataError, match=r"could not be downloaded .* Run the command again"):
        fetch_archive("http://127.0.0.1:9/images.tar.gz", MD5, tmp_path)
    assert (tmp_path / "images.tar.gz.part").stat().st_size == 20_000


def test_get_pets_downloads_through_torchvision_s_addresses(tmp_path, monkeypatch, capsys):
    from torchvision.datasets import OxfordIIITPet

    def encoded(pixels, kind):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind)
        return buffer.getvalue()

    trimap = np.uint8([[1, 2, 3]] * 3)
    names = [f"Bengal_{number}" for number in range(20)]
    pictures = {f"{n}.jpg": encoded(np.zeros((3, 3, 3), np.uint8), "JPEG") for n in names}
    trimaps = {f"trimaps/{n}.png": encoded(trimap, "PNG") for n in names}
    trimaps |= {f"trimaps/._{n}.png": b"AppleDouble" for n in names}  # as in the real archive
    servers = [Server(archive("images", pictures)), Server(archive("annotations", trimaps))]
    servers[1].url = servers[1].url.replace("images", "annotations")
    resources = [(s.url, hashlib.md5(s.content).hexdigest()) for s in servers]
    monkeypatch.setattr(OxfordIIITPet, "_RESOURCES", resources)
    assert data("get", "pets", "--data-root", tmp_path) == 0
    assert "20 samples, every picture and mask was read" in capsys.readouterr().out
    pets = datasets.load("pets", tmp_path)
    assert sorted(chain.from_iterable(pets.split.values())) == sorted(names)
    assert np.array_equal(pets.labels("Bengal_3"), trimap - 1)
    binary = datasets.load("pets-binary", tmp_path)
    assert np.array_equal(binary.labels("Bengal_3"), [[1, 0, 1]] * 3)
    for server in servers:
        server.server.shutdown()
        server.server.server_close()
