"""Thousands of requests that no program means: no 500, no traceback, nothing left behind.

make fuzz                       # 20 times as many as the tests make
UNET_STUDIO_FUZZ=100 python -m pytest -m fuzz
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from functools import lru_cache

import httpx
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin
from schemathesis import GenerationMode
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.api.schema import Output

pytestmark = pytest.mark.fuzz

TIMES = int(os.environ.get("UNET_STUDIO_FUZZ") or 1)
"""How many times as many cases as the tests make."""

ALLOWED = {200, 400, 404, 413, 415, 422, 503}
MOST_GROWTH = 250 * 2**20
"""Bytes of memory: what allocators, and networks for other sizes, take once."""

# Not derandomized: `make fuzz` should find something else every time.
FUZZ = {
    "deadline": None,
    "derandomize": TIMES == 1,
    "suppress_health_check": list(HealthCheck),
    "database": None,
}


@pytest.fixture(scope="module", autouse=True)
def unharmed(server) -> Iterator[None]:
    """After everything, the server is as before: memory, disk, and a mask in time."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        _mask(client)
        before, files = _memory(client), _files(server)
        yield
        assert _mask(client) == 200
        assert client.get("/api/health").json()["queue"]["running"] == 0
        assert _files(server) == files
        assert _memory(client) - before < MOST_GROWTH


def _mask(client: httpx.Client) -> int:
    return client.post("/api/predict", files={"file": originals()["png"]}).status_code


def _memory(client: httpx.Client) -> float:
    for line in client.get("/api/metrics").text.splitlines():
        if line.startswith("process_resident_memory_bytes"):
            return float(line.split()[1])
    raise AssertionError("there is no such figure")


def _files(server) -> set[str]:
    return {str(path) for path in server.temporary.rglob("*") if path.is_file()}


def check(answer: httpx.Response) -> None:
    assert answer.status_code in ALLOWED, (answer.status_code, answer.text)
    if answer.status_code != 200:
        assert list(answer.json()) == ["detail"]
        assert answer.json()["detail"].strip()
        for word in ("Traceback", ".py", "site-packages", "object at 0x"):
            assert word not in answer.text


@pytest.fixture(scope="module")
def client(server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def not_a_server_error_but_busy(_, answer, case) -> None:
    """503 is an answer that the document describes."""
    assert answer.status_code < 500 or answer.status_code == 503, answer.text


@lru_cache
def originals() -> dict[str, bytes]:
    """A small picture in each format, and a ZIP of them."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 17, 3), np.uint8)
    frames = [Image.fromarray(pixels), Image.fromarray(255 - pixels)]
    exif = Image.Exif()
    exif[0x0112] = 6
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33550], tags[33922] = (0.5, 0.5, 0.0), (0.0, 0.0, 0.0, 9.0, 48.0, 0.0)
    tags[34735] = (1, 1, 0, 2, 1024, 0, 1, 2, 2048, 0, 1, 4326)
    tags.tagtype.update({33550: 12, 33922: 12, 34735: 3})
    several = {"save_all": True, "append_images": frames[1:]}
    kinds = {
        "png": ("png", {}),
        "jpeg": ("jpeg", {"exif": exif.tobytes()}),
        "progressive": ("jpeg", {"progressive": True}),
        "webp": ("webp", {"lossless": True}),
        "film": ("webp", several),
        "gif": ("gif", several),
        "bmp": ("bmp", {}),
        "tiff": ("tiff", {"tiffinfo": tags}),
        "lzw": ("tiff", {"compression": "tiff_lzw"}),
        "ppm": ("ppm", {}),
        "avif": ("avif", {}),
        "jpeg2000": ("jpeg2000", {}),
    }
    files = {}
    for name, (kind, options) in kinds.items():
        buffer = io.BytesIO()
        frames[0].save(buffer, kind, **options)
        files[name] = buffer.getvalue()
    for name, array in (("deep", pixels[..., 0] * np.uint16(257)), ("float", pixels[..., 0] / 7)):
        buffer = io.BytesIO()
        array = array.astype(np.float32) if name == "float" else array
        Image.fromarray(array).save(buffer, "tiff" if name == "float" else "png")
        files[name] = buffer.getvalue()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("png", "gif"):
            archive.writestr(f"a/{name}.{name}", files[name])
    files["zip"] = buffer.getvalue()
    return files


OPERATIONS = [
    ("POST", "/predict"),
    ("POST", "/predict/batch"),
    ("GET", "/models"),
    ("GET", "/models/{name}"),
    ("GET", "/health"),
    ("GET", "/metrics"),
]
NO_ARGUMENTS = ("/models", "/health", "/metrics")
CHECKS = [
    not_a_server_error_but_busy,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

EXTREME = [
    b"\0",
    b"\xff",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A picture file with some bytes changed, repeated, left out, or another's put in."""
    files = originals()
    content = bytearray(files[draw(st.sampled_from(sorted(files)))])
    for _ in range(draw(st.integers(1, 6))):
        # Early bytes more often: there stand the headers.
        place = draw(st.one_of(st.integers(0, min(96, len(content))), st.integers(0, len(content))))
        kind = draw(
            st.sampled_from(["set", "extreme", "insert", "remove", "repeat", "cut", "join"])
        )
        if kind == "set":
            piece = draw(st.binary(min_size=1, max_size=4))
            content[place : place + len(piece)] = piece
        elif kind == "extreme":
            piece = draw(st.sampled_from(EXTREME))
            content[place : place + len(piece)] = piece
        elif kind == "insert":
            content[place:place] = draw(st.binary(min_size=1, max_size=16))
        elif kind == "remove":
            del content[place : place + draw(st.integers(1, 64))]
        elif kind == "repeat":
            content[place:place] = content[place : place + 64] * draw(st.integers(1, 8))
        elif kind == "cut":
            del content[place:]
        else:
            content[place:] = files[draw(st.sampled_from(sorted(files)))][place:]
    return bytes(content)


@settings(max_examples=300 * TIMES, **FUZZ)
@given(content=mutated(), output=st.sampled_from([*Output]))
def test_mutated_pictures(client, content, output):
    check(client.post("/api/predict", files={"file": content}, data={"output": output}))


@settings(max_examples=60 * TIMES, **FUZZ)
@given(contents=st.lists(mutated(), min_size=1, max_size=3), name=st.text(max_size=20))
def test_mutated_batches(client, contents, name):
    files = [("files", (f"{name}{i}" or "a", content)) for i, content in enumerate(contents)]
    answer = client.post("/api/predict/batch", files=files, data={"output": ["mask", "geojson"]})
    check(answer)
    if answer.status_code == 200:
        archive = zipfile.ZipFile(io.BytesIO(answer.content))
        assert archive.testzip() is None
        assert not any(".." in name or name.startswith("/") for name in archive.namelist())


@settings(max_examples=60 * TIMES, **FUZZ)
@given(body=st.binary(max_size=300), boundary=st.sampled_from([b"x", b'"x"', b"", b"\xff"]))
def test_mutated_forms(client, body, boundary):
    """Bodies that begin like forms."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    headers = {b"content-type": b"multipart/form-data; boundary=" + boundary}
    for content in (body, head + body, head + body + b"\r\n--x--\r\n"):
        check(client.post("/api/predict", content=content, headers=headers))


@pytest.fixture(scope="module")
def described(server) -> BaseSchema:
    return schemathesis.openapi.from_url(f"{server.url}/api/openapi.json")


def test_every_operation_is_described(described):
    found = [result.ok() for result in described.get_all_operations()]
    assert {(each.method.upper(), each.path) for each in found} == set(OPERATIONS)


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        (*each, mode)
        for each in OPERATIONS
        for mode in GenerationMode
        if mode.is_positive or each[1] not in NO_ARGUMENTS
    ],
)
def test_what_the_openapi_document_describes(described, method, path, mode):
    """Requests made from it, right ones and wrong ones; answers are as it says."""
    pictures = st.sampled_from(sorted(originals().values()))
    schemathesis.openapi.format("binary", pictures)
    for kind in ("image/png", "image/jpeg", "application/octet-stream", "application/zip"):
        schemathesis.openapi.media_type(kind, pictures)

    @settings(max_examples=20 * TIMES, **FUZZ)
    @given(case=described[path][method].as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        answer = case.call(timeout=60)
        case.validate_response(answer, checks=CHECKS)
        if answer.status_code >= 400:
            assert list(answer.json()) == ["detail"]
            assert "Traceback" not in answer.text

    ask()
