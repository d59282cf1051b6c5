"""The REST API over real HTTP: exact masks, honest figures, and a sentence for every error."""

from __future__ import annotations

import io
import shutil
import socket
import struct
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image

from app import models
from app.api.application import create_api
from app.overlay import overlay, shown_at_first
from model import __version__
from model.checkpoints import folder
from model.data.images import MAX_BYTES, decode
from model.data.streets import CLASSES, draw
from model.inference.exports import EXPORTS, Picture, choose
from model.inference.options import SegmentOptions
from model.inference.segmenter import Segmenter
from tests.loops import run_apart


@pytest.fixture(scope="module")
def client(server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    return draw(600, (233, 177))[0]


def encode(image: np.ndarray, kind: str = "png", **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def post(client: httpx.Client, content: bytes, **data: str) -> httpx.Response:
    return client.post("/api/predict", files={"file": ("picture", content)}, data=data)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def test_mask_is_what_the_segmenter_computes_bit_for_bit(client, weights, scene):
    answer = post(client, encode(scene), model="streets-scratch")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    mask = Image.open(io.BytesIO(answer.content))
    expected = Segmenter(weights / "streets-scratch").segment(scene).labels
    assert mask.mode == "P"
    assert np.array_equal(np.asarray(mask), expected)
    assert len(np.unique(expected)) > 2
    palette = np.reshape(mask.getpalette(), (-1, 3))[: len(CLASSES)]
    assert palette.tolist() == [list(info.rgb) for info in CLASSES]


def test_models_may_have_any_name(client, weights, scene):
    named = weights / "дорога 100%"
    shutil.copytree(weights / "streets-scratch", named)
    try:
        answer = post(client, encode(scene), model=named.name)
        assert answer.status_code == 200
        assert unquote(answer.headers["X-Model"]) == named.name
    finally:
        shutil.rmtree(named)


def test_exif_rotation_is_applied(client, weights, scene):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    content = encode(scene, "jpeg", exif=exif.tobytes(), quality=95)
    mask = Image.open(io.BytesIO(post(client, content, model="streets-scratch").content))
    assert mask.size == (scene.shape[0], scene.shape[1])
    expected = Segmenter(weights / "streets-scratch").segment(decode(content)).labels
    assert np.array_equal(np.asarray(mask), expected)


@pytest.mark.parametrize("kind", ["tiff", "webp", "bmp", "gif"])
def test_common_formats_are_read(client, scene, kind):
    mask = Image.open(io.BytesIO(post(client, encode(scene, kind)).content))
    assert mask.size == (scene.shape[1], scene.shape[0])


def test_sixteen_bits_keep_their_contrast(client, weights, scene):
    deep = scene[..., 0].astype(np.uint16) * 257
    answer = post(client, encode(deep), model="streets-scratch")
    grey = np.repeat(scene[..., :1], 3, axis=2)
    expected = Segmenter(weights / "streets-scratch").segment(grey).labels
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), expected)


def test_overlay(client, weights, scene):
    answer = post(client, encode(scene), model="streets-scratch", output="overlay")
    assert answer.headers["content-type"] == "image/png"
    labels = Segmenter(weights / "streets-scratch").segment(scene).labels
    expected = overlay(scene, labels, CLASSES, shown=shown_at_first(CLASSES))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), expected)


def test_json_agrees_with_the_mask(client, scene):
    content = encode(scene)
    mask = np.asarray(Image.open(io.BytesIO(post(client, content, model="streets-wide").content)))
    answer = post(client, content, model="streets-wide", output="json").json()
    assert (answer["width"], answer["height"]) == (scene.shape[1], scene.shape[0])
    assert answer["model"] == "streets-wide"
    assert answer["precision"] == "f32"
    assert answer["engine"] in ("openvino", "torch")
    assert set(answer["milliseconds"]) == {"decode", "network", "labels"}
    pixels = {row["id"]: row["pixels"] for row in answer["classes"]}
    ids, counts = np.unique(mask, return_counts=True)
    assert pixels == dict(zip(ids.tolist(), counts.tolist(), strict=True))
    shares = [row["share"] for row in answer["classes"]]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
    for row in answer["classes"]:
        assert (row["name"], row["colour"]) == (CLASSES[row["id"]].name, CLASSES[row["id"]].colour)
        assert 1 / len(CLASSES) - 1e-3 <= row["mean_confidence"] <= 1


@pytest.mark.parametrize("output", list(EXPORTS))
def test_every_export_is_what_the_library_writes(client, weights, scene, output):
    chosen = ["road", "sky"]
    answer = post(client, encode(scene), model="streets-wide", output=output, classes=chosen)
    assert answer.status_code == 200, answer.text
    export = EXPORTS[output]
    assert answer.headers["content-type"].partition(";")[0] == export.media_type
    assert f'filename="picture-{output}{export.suffix}"' in answer.headers["content-disposition"]
    options = SegmentOptions(**{export.needs: True} if export.needs else {})
    picture = Picture.read(encode(scene), "picture")
    result = Segmenter(weights / "streets-wide").segment(picture.image, options)
    expected = export.write(result, picture, choose(result.classes, chosen))
    if output == "npz":
        ours, theirs = (np.load(io.BytesIO(c)) for c in (answer.content, expected))
        assert np.array_equal(ours["probabilities"], theirs["probabilities"])
    else:
        assert answer.content == expected


def test_the_picture_may_be_the_body_itself(client, scene):
    for kind in ("image/png", "application/octet-stream"):
        name = 'attachment; filename="a/ü.png"'.encode()
        answer = client.post(
            "/api/predict?model=streets-wide",
            content=encode(scene),
            headers={"content-type": kind, "content-disposition": name},
        )
        assert answer.status_code == 200, answer.text
        assert "filename*=UTF-8''%C3%BC-mask.png" in answer.headers["content-disposition"]
        assert answer.content == post(client, encode(scene), model="streets-wide").content


def test_options_do_what_they_do_in_the_library(client, weights, scene):
    asked = {"flips": "both", "zooms": ["0.5", "1.5"], "minimum_area": "50", "scale": "native"}
    asked |= {"tile": "96", "overlap": "32", "minimum_areas": ["sky=900"]}
    answer = post(client, encode(scene), model="streets-wide", **asked)
    options = SegmentOptions(
        flips="both", zooms=(0.5, 1.5), minimum_area=50, minimum_areas=(("sky", 900),),
        scale="native", tile=96, overlap=32,
    )  # fmt: skip
    segmenter = Segmenter(weights / "streets-wide")
    labels = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert np.array_equal(labels, segmenter.segment(scene, options).labels)
    assert not np.array_equal(labels, segmenter.segment(scene).labels)


def test_a_zip_holds_the_maps_that_were_wished(client, scene):
    content = post(client, encode(scene), output="zip", confidence="true").content
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert "picture-confidence.png" in names
    assert "picture-geojson.geojson" in names
    assert "picture-entropy.png" not in names


def batch(client: httpx.Client, files: list[tuple], **data) -> zipfile.ZipFile:
    answer = client.post("/api/predict/batch", files=files, data=data)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    return zipfile.ZipFile(io.BytesIO(answer.content))


def packed(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_several_files_become_a_zip(client, scene):
    files = [("files", (f"{i}.png", encode(draw(i, (70, 50))[0]))) for i in range(3)]
    files += [("files", ("notes.txt", b"no picture")), ("files", ("2.png", encode(scene)))]
    answer = batch(client, files, model="streets-wide", output=["mask", "csv", "yolo", "json"])
    names = set(answer.namelist())
    keys = ("0", "1", "2", "2-2")
    expected = {f"{o}/{k}{s}" for k in keys for o, s in FOLDERS.items()}
    assert names == expected | {"yolo/data.yaml", "failed.txt"}
    for i in range(3):
        alone = post(client, files[i][1][1], model="streets-wide").content
        assert answer.read(f"mask/{i}.png") == alone
    assert answer.read("failed.txt").decode().startswith("notes.txt: The picture is not a picture")


FOLDERS = {"mask": ".png", "csv": ".csv", "yolo": ".txt", "json": ".json"}


def test_a_zip_of_pictures_becomes_a_zip(client, scene):
    content = packed({"a/x.png": encode(scene), "a/": b"", "__MACOSX/a/._x.png": b"junk"})
    answer = batch(client, [("files", ("a.zip", content))])
    assert answer.namelist() == ["mask/a/x.png"]
    raw = client.post(
        "/api/predict/batch", content=content, headers={"content-type": "application/zip"}
    )
    assert raw.content == client.post("/api/predict/batch", files={"files": content}).content


def test_arguments_may_stand_in_the_address(client, scene):
    answer = client.post(
        "/api/predict",
        params={"model": "streets-wide", "output": "json"},
        files={"file": encode(scene)},
    )
    assert answer.json()["model"] == "streets-wide"


def test_without_a_name_the_default_model_answers(client, scene):
    (default,) = [m["name"] for m in client.get("/api/models").json()["models"] if m["default"]]
    assert post(client, encode(scene), output="json").json()["model"] == default == "pets-scratch"


def test_models(client):
    models = {entry["name"]: entry for entry in client.get("/api/models").json()["models"]}
    assert set(models) == {"pets-scratch", "streets-scratch", "streets-wide"}
    streets = models["streets-scratch"]
    assert streets["data"] == "streets"
    assert streets["network"] == "unet"
    assert [info["name"] for info in streets["classes"]] == CLASSES.names
    assert 0 < streets["figures"]["mean_iou"] < 1
    assert streets["figures"]["pictures"] == 2
    assert streets["figures"]["resolution"] == "original"
    assert streets["prices"] == pytest.approx({"bf16": 0.04})
    assert models["pets-scratch"]["figures"] is None
    assert models["pets-scratch"]["prices"] == {}
    assert models["pets-scratch"]["licence"] == "CC BY-SA 4.0"


def test_a_model_by_name(client):
    listed = {entry["name"]: entry for entry in client.get("/api/models").json()["models"]}
    streets = client.get("/api/models/streets-scratch").json()
    assert listed["streets-scratch"].items() <= streets.items()
    kinds = {(figures["split"], figures["precision"]) for figures in streets["splits"]}
    assert kinds == {("validation", "f32"), ("validation", "bf16"), ("test", "f32")}
    (test,) = [figures for figures in streets["splits"] if figures["split"] == "test"]
    assert [row["name"] for row in test["classes"]] == CLASSES.names
    assert all(row["iou"] is None or 0 <= row["iou"] <= 1 for row in test["classes"])
    assert sum(row["pixels"] for row in test["classes"]) > 0
    assert client.get("/api/models/nobody").status_code == 404
    for name in ("streets-large", "reported", "studies"):  # without weights, and no models at all
        assert name not in listed
        assert client.get(f"/api/models/{name}").status_code == 404
    assert client.get("/api/models/broken").status_code == 503


@pytest.mark.parametrize("written", ["owner/name", "owner%2Fname"])
def test_a_model_from_the_hub_is_found_by_its_name(weights, monkeypatch, written):
    """As after `python app.py --model owner/name`."""
    checkpoint = replace(folder.read(weights / "streets-wide"), name="owner/name")
    monkeypatch.setattr(models, "_preselected", checkpoint)

    async def scene() -> httpx.Response:
        transport = httpx.ASGITransport(create_api())
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.get(f"/models/{written}")

    answer = run_apart(scene())
    assert answer.status_code == 200, answer.text
    assert (answer.json()["name"], answer.json()["default"]) == ("owner/name", True)


def test_metrics_count_requests_and_pictures(client, scene):
    def figure(line: str) -> float:
        text = client.get("/api/metrics").text
        found = [row for row in text.splitlines() if row.startswith(line)]
        return float(found[0].split()[-1]) if found else 0.0

    counted = 'unet_studio_requests_total{method="POST",route="/predict",status="200"}'
    pictures = (
        'unet_studio_picture_seconds_count{model="streets-wide",precision="f32",step="network"}'
    )
    before = figure(counted), figure(pictures)
    post(client, encode(scene), model="streets-wide")
    batch(client, [("files", encode(scene))] * 2, model="streets-wide")
    assert (figure(counted), figure(pictures)) == (before[0] + 1, before[1] + 3)
    assert figure("unet_studio_turns") >= 2
    assert figure("unet_studio_running") == 0
    assert figure("process_resident_memory_bytes") > 0
    client.get("/api/" + "x" * 50)
    assert "xxx" not in client.get("/api/metrics").text


def test_health_names_the_damaged_checkpoint(client):
    health = client.get("/api/health").json()
    assert health["ready"] is True
    assert health["version"] == __version__
    assert "pets-scratch" in health["open_models"]
    assert health["queue"]["running"] == 0
    assert set(health["queue"]["waiting"]) == {"page", "api", "batch"}
    assert set(health["damaged"]) == {"broken"}
    assert "config.json" in health["damaged"]["broken"]


PNG = encode(np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8))


@pytest.mark.parametrize(
    ("content", "data", "status", "words"),
    [
        (b"", {}, 422, "empty"),
        (b"This is no picture.", {}, 422, "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", {}, 422, "not a picture"),
        (PNG[:600], {}, 422, "damaged"),
        (png_header(20_000, 10_000), {}, 413, "200 megapixels"),
        (PNG, {"model": "nobody"}, 404, "streets-wide"),
        (PNG, {"model": "../weights/streets-wide"}, 404, "There is no model"),
        (PNG, {"model": "/etc"}, 404, "There is no model"),
        (PNG, {"output": "film"}, 422, "'zip' or 'json'"),
        (PNG, {"model": "broken"}, 503, "config.json"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_gets_a_sentence(client, content, data, status, words):
    answer = post(client, content, **data)
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["detail"]
    assert words in answer.json()["detail"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        ({"method": "POST"}, 422, "empty (0 bytes)"),
        ({"method": "POST", "json": {"file": "cat.jpg"}}, 415, "application/json is not read"),
        ({"method": "POST", "data": {"file": "cat.jpg"}}, 415, "multipart/form-data"),
        ({"method": "POST", "files": {"model": (None, "x")}}, 422, "'file' is missing"),
        ({"method": "POST", "files": {"file": (None, "cat.jpg")}}, 422, "send a file"),
        ({"method": "POST", "files": {"file": (None, "https://x.org/a.png")}}, 422, "send a file"),
        ({"method": "POST", "files": [("file", b"1"), ("file", b"2")]}, 422, "predict/batch"),
        ({"method": "POST", "files": {"file": b"1"}, "data": {"colour": "1"}}, 422, "'colour'"),
        (
            {"method": "POST", "files": {"file": b"1"}, "data": {"tile": "33"}},
            422,
            "multiple of 32",
        ),
        ({"method": "POST", "files": {"file": b"1"}, "data": {"tile": "4096"}}, 422, "1536"),
        (
            {"method": "POST", "files": {"file": b"1"}, "data": {"tile": "1024", "zooms": "4"}},
            422,
            "have 4096; the limit is 1536. Choose tile=384 or less",
        ),
        ({"method": "POST", "files": {"file": b"1"}, "data": {"zooms": ["5"]}}, 422, "zooms"),
        (
            {"method": "POST", "files": {"file": b"1"}, "data": {"minimum_areas": "tree=5"}},
            422,
            "no class 'tree'",
        ),
        ({"method": "POST", "files": {"file": b"1"}, "data": {"classes": "tree"}}, 422, "tree"),
        ({"method": "POST", "files": {"file": b"1"}, "data": {"threshold": "0.3"}}, 422, "two"),
        (
            {"method": "POST", "files": {"file": b"1"}, "data": {"model": ["a", "b"]}},
            422,
            "2 times",
        ),
        (
            {"method": "POST", "content": b"?", "headers": {"content-type": "multipart/form-data"}},
            400,
            "boundary",
        ),
        ({"method": "GET"}, 405, "does not answer GET"),
    ],
)
def test_bad_requests_get_a_sentence(client, request_, status, words):
    answer = client.request(url="/api/predict", **request_)
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["detail"], str)
    assert words in answer.json()["detail"]


def test_unknown_address_gets_a_sentence(client):
    answer = client.get("/api/nothing")
    assert answer.status_code == 404
    assert "/api/docs" in answer.json()["detail"]


def test_damaged_weights_get_a_sentence(client, weights, scene):
    path = weights / "streets-wide" / "model.safetensors"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:1000])
        answer = post(client, encode(scene), model="streets-wide")
        assert answer.status_code == 503
        assert "model.safetensors" in answer.json()["detail"]
    finally:
        path.write_bytes(whole)
    assert post(client, encode(scene), model="streets-wide").status_code == 200


def test_a_declared_length_over_the_limit_is_refused_before_it_is_sent(server):
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(
            b"POST /api/predict HTTP/1.1\r\nHost: test\r\nContent-Length: 10000000000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'{"detail":"The upload is larger' in answer


def test_a_body_of_unknown_length_is_cut_off_at_the_limit(server):
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        while sent < 10 * MAX_BYTES:
            sent += 2**22
            yield bytes(2**22)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    try:
        answer = httpx.post(
            f"{server.url}/api/predict", content=body(), headers=headers, timeout=60
        )
        assert answer.status_code == 413
        assert "128 MiB" in answer.json()["detail"]
    except httpx.WriteError:
        pass  # the server may have closed the connection before the client read the answer
    assert sent < 2 * MAX_BYTES


def test_callers_at_the_same_time_get_their_own_masks(client, weights):
    segmenter = Segmenter(weights / "streets-scratch")
    scenes = [draw(seed, (160, 120))[0] for seed in range(700, 712)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda image: post(client, encode(image), model="streets-scratch"), scenes)
        )
    for image, answer in zip(scenes, answers, strict=True):
        mask = np.asarray(Image.open(io.BytesIO(answer.content)))
        assert np.array_equal(mask, segmenter.segment(image).labels)


def test_nothing_uploaded_stays_on_disk(client, server):
    """Over a megabyte, so that the form's file is spooled to disk while it is read."""
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    before = set(files(server.temporary))
    for content in (encode(noise), encode(noise)[:-500_000], bytes(2**21)):
        post(client, content)
    assert set(files(server.temporary)) == before


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_openapi_describes_answers_and_errors(client):
    document = client.get("/api/openapi.json").json()
    assert document["servers"] == [{"url": "/api"}]
    predict = document["paths"]["/predict"]["post"]
    assert {"200", "404", "413", "422", "503"} <= set(predict["responses"])
    kinds = {export.media_type for export in EXPORTS.values()} | {"application/json"}
    assert set(predict["responses"]["200"]["content"]) == kinds
    assert "multipart/form-data" in predict["requestBody"]["content"]
    assert "image/png" in predict["requestBody"]["content"]
    assert all(
        "examples" in part["schema"] or "default" in part["schema"] or "anyOf" in part["schema"]
        for part in predict["parameters"]
    )
    for status in ("404", "408", "413", "415", "422", "503"):
        schema = predict["responses"][status]["content"]["application/json"]["schema"]
        assert schema["$ref"].endswith("/Problem")
    names = document["components"]["schemas"]
    assert "HTTPValidationError" not in names
    assert {"Prediction", "Problem", "ModelEntry", "Health"} <= set(names)


def test_docs_page_and_redirects(client):
    assert "swagger-ui" in client.get("/api/docs").text
    assert client.get("/docs").headers["location"] == "api/docs"
    compare = client.get("/compare")
    assert compare.is_redirect
    assert client.get("/compare", follow_redirects=True).status_code == 200
