"""Hostile input is refused with a reason, costs little, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import io
import json
import pickle
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageCms, TiffImagePlugin

from app import limits
from app.api.application import create_api
from app.archives import Archive, ArchiveWriter
from app.bodies import LimitedBody
from app.headers import ORIGINS_VARIABLE, allowed_origins
from app.limits import (
    base_name,
    check_outlines,
    check_probabilities,
    most_seconds,
    safe_name,
)
from model.checkpoints.folder import WEIGHTS_FILE
from model.checkpoints.zoo import WEIGHTS_VARIABLE
from model.data.images import MAX_BYTES, MAX_PIXELS, MAX_SCANS
from model.errors import ConfigError, ImageError, ImageTooLargeError
from tests.loops import run_apart

REPOSITORY = Path(__file__).resolve().parents[2]
PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def client(server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def encoded(kind: str, pixels: np.ndarray = PIXELS, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png(*chunks: bytes, size: tuple[int, int] = (32, 24)) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(bytes(33 * 24)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + rows + chunk(b"IEND", b"")


def many_passes(count: int) -> bytes:
    content = encoded("jpeg", progressive=True)
    scan = content[content.rfind(b"\xff\xda") : -2]
    return content[:-2] + scan * count + content[-2:]


def float_tiff(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values.astype(np.float32)).save(buffer, "tiff")
    return buffer.getvalue()


def huge_exif() -> bytes:
    exif = Image.Exif()
    exif[0x9286] = b"x" * 60_000
    exif[0x0112] = 6
    return encoded("jpeg", exif=exif.tobytes())


def animation(kind: str) -> bytes:
    frames = [Image.fromarray(np.full_like(PIXELS, 20 * i)) for i in range(12)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], duration=1, loop=0)
    return buffer.getvalue()


def endless_tiff() -> bytes:
    """A page that names itself as the next one."""
    content = bytearray(encoded("tiff"))
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    struct.pack_into("<I", content, start + 2 + 12 * count, start)
    return bytes(content)


def broken_geotiff() -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33550], tags[33922] = (0.0, float("nan"), 1.0), (float("inf"),) * 6
    tags[34735] = (1, 1, 0, 9, 1024, 0, 1, 2)
    tags.tagtype[33550] = tags.tagtype[33922] = 12
    tags.tagtype[34735] = 3
    return encoded("tiff", tiffinfo=tags)


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
NAN = np.full((24, 32), np.nan)

# Strange, but pictures: they are segmented.
READ = {
    "animated gif": animation("gif"),
    "animated webp": animation("webp"),
    "animated png": animation("png"),
    "many pages": animation("tiff"),
    "endless tiff": endless_tiff(),
    "nan tiff": float_tiff(NAN),
    "infinite tiff": float_tiff(np.where(np.arange(32) % 2, np.inf, -np.inf) + NAN * 0 + 0 * NAN),
    "huge exif": huge_exif(),
    "icc profile": encoded("jpeg", icc_profile=PROFILE),
    "nonsense profile": encoded("png", icc_profile=b"not a profile" * 5000),
    "jpeg and zip": encoded("jpeg") + zipfile.ZipFile.__doc__.encode(),
    "png and html": encoded("png") + b"<script>alert(1)</script>",
    "broken geotiff": broken_geotiff(),
    "one pixel": encoded("png", PIXELS[:1, :1]),
    "one row": encoded("png", np.zeros((1, 9000, 3), np.uint8)),
    "one column": encoded("png", np.zeros((9000, 1, 3), np.uint8)),
}

REFUSED = {
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422, "not a picture"),
    "svg as xml": (b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY a 'b'>]><svg/>", 422, "format"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 422, "not a picture"),
    "photoshop": (b"8BPS\0\1" + bytes(60), 422, "not a picture"),
    "pdf": (b"%PDF-1.7\n", 422, "not a picture"),
    "html and png": (b"<html>" + encoded("png"), 422, "not a picture"),
    "program": (b"\x7fELF" + bytes(99), 422, "not a picture"),
    "film": (b"\0\0\0\x18ftypmp42" + bytes(99), 422, "not a picture"),
    "pickle": (pickle.dumps({"a": 1}), 422, "not a picture"),
    "gigapixels": (png(size=(2**31 - 1, 2**31 - 1)), 413, "megapixels"),
    "too many pixels": (png(size=(10_001, 10_000)), 413, "100 megapixels"),
    "no pixels": (png(size=(0, 9)), 422, "not a picture"),
    "missing pixels": (png(size=(9_000, 9_000)), 422, "damaged"),
    "text bomb": (png(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**26)))), 422, ""),
    "jpeg of many passes": (many_passes(MAX_SCANS), 413, "passes"),
    "cut short": (encoded("jpeg")[:300], 422, "cannot be read"),
}


@pytest.mark.parametrize("name", READ)
def test_strange_pictures_are_segmented(client, name):
    with Image.open(io.BytesIO(READ[name])) as image:
        size = image.size
    answer = client.post("/api/predict", files={"file": (name, READ[name])})
    assert answer.status_code == 200, answer.text
    mask = Image.open(io.BytesIO(answer.content))
    assert mask.size == (size[::-1] if name == "huge exif" else size)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_picture_is_refused_with_a_reason(client, name):
    content, status, words = REFUSED[name]
    answer = client.post("/api/predict", files={"file": (name, content)})
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]
    assert not re.search(r"Traceback|File \"|/work|/usr|/tmp|0x[0-9a-f]{6}", answer.text)


def packed(names: dict[str, bytes], **options) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def link() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("a.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


def with_method(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("a.png", READ["one pixel"])
    return buffer.getvalue()


def changed(content: bytes, offset: int, kind: str, value: int) -> bytes:
    """A ZIP with a field of its only member's entry in the list of contents changed."""
    changed = bytearray(content)
    struct.pack_into(kind, changed, content.rfind(b"PK\x01\x02") + offset, value)
    return bytes(changed)


ONE = packed({"a.png": READ["one pixel"]})

HOSTILE_ZIPS = {
    "bomb": (packed({"a.bmp": bytes(2**24)}), 413, "200 times"),
    "bomb of many": (packed({f"{i}.bmp": bytes(2**20) for i in range(2000)}), 413, "2000 files"),
    "many files": (packed({f"{i}.png": b"" for i in range(201)}), 413, "limit is 200"),
    "large file": (changed(ONE, 24, "<I", 2**28), 413, "256 MiB"),
    "long list": (
        packed({"a" * 60_000 + str(i): b"" for i in range(20)}),
        413,
        "too large for 200 files",
    ),
    "encrypted": (changed(ONE, 8, "<H", 1), 422, "encrypted"),
    "lzma": (with_method(zipfile.ZIP_LZMA), 422, "rare"),
    "link": (link(), 422, "is a link"),
    "cut short": (ONE[:-30], 422, "cut short"),
    "list elsewhere": (ONE[:-10] + struct.pack("<IIH", 10**5, 0, 0), 422, "damaged"),
    "zip64": (ONE[:-22] + b"PK\x06\x07" + bytes(16) + ONE[-22:], 422, "ZIP64"),
    "no files": (packed({"a/": b""}), 422, "no files"),
}


@pytest.mark.parametrize("name", HOSTILE_ZIPS)
def test_hostile_zips_are_refused_with_a_reason(client, name):
    content, status, words = HOSTILE_ZIPS[name]
    answer = client.post("/api/predict/batch", files={"files": content})
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]


def test_members_that_cannot_be_segmented_are_listed(client):
    inner = packed({"b.png": READ["one pixel"]})
    lying = changed(ONE, 24, "<I", 10)  # says that it unpacks to less than it does
    files = {
        "../../../etc/passwd": READ["one pixel"],
        "/etc/cron.d/x.png": READ["one pixel"],
        "C:\\windows\\y.png": READ["one pixel"],
        "a\u202egnp.exe": READ["one pixel"],
        "inner.zip": inner,
        "bad.png": READ["one pixel"][:40],
    }
    answer = client.post(
        "/api/predict/batch", files=[("files", packed(files)), ("files", ("lying.zip", lying))]
    )
    assert answer.status_code == 200
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert set(archive.namelist()) == {
        "mask/etc/passwd.png", "mask/etc/cron.d/x.png", "mask/C_/windows/y.png",
        "mask/a_gnp.png", "failed.txt",
    }  # fmt: skip
    failed = archive.read("failed.txt").decode().splitlines()
    assert [line.partition(":")[0] for line in failed] == ["inner.zip", "bad.png", "a.png"]


@given(st.text(max_size=300))
@example("a\u2028b\ue000\u00ad\udce9.png")
def test_safe_names_lead_nowhere(name):
    safe = safe_name(name)
    assert safe
    assert len(safe.encode()) <= 200
    assert not safe.startswith("/")
    assert not {"..", ".", ""} & set(safe.split("/"))
    assert "\\" not in safe
    assert ":" not in safe
    assert safe.encode()
    assert safe_name(safe) == safe
    assert "/" not in base_name(name)
    assert safe.isprintable()


@given(st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=8)), max_size=6))
def test_mutated_zips_are_read_or_refused(edits):
    content = bytearray(packed({f"{i}.png": bytes(50) for i in range(3)}))
    for place, piece in edits:
        content[place : place + len(piece)] = piece
    try:
        archive = Archive(io.BytesIO(content))
        assert sum(len(archive.read(i)) for i in range(len(archive.names()))) <= 2**20
    except ImageError:
        pass


def test_an_archive_is_written_in_pieces():
    writer = ArchiveWriter()
    pieces = []
    for name in ("a.png", "b.txt"):
        writer.add(name, name.encode() * 100)
        pieces.append(writer.take())
    writer.close()
    pieces.append(writer.take())
    assert all(pieces)
    archive = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert archive.testzip() is None
    assert archive.read("b.txt") == b"b.txt" * 100


def test_outlines_have_a_limit(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 2, (300, 300), np.uint8)
    check_outlines(noise)
    monkeypatch.setattr(limits, "MOST_CORNERS", 40_000)
    with pytest.raises(ImageTooLargeError, match="million corners"):
        check_outlines(noise)
    calm = np.zeros((3000, 3000), np.uint8)
    calm[500:1500, 500:1500] = 1
    check_outlines(calm)


def test_probabilities_have_a_limit():
    check_probabilities(10_000_000, 20)
    with pytest.raises(ImageTooLargeError, match="13 megapixels; this one has 100"):
        check_probabilities(100_000_000, 20)


@pytest.mark.parametrize("text", ["0", "-1", "soon", "inf", "nan"])
def test_wrong_seconds_in_the_environment_get_a_sentence(monkeypatch, text):
    monkeypatch.setenv(limits.SECONDS_VARIABLE, text)
    with pytest.raises(ConfigError, match=text):
        most_seconds()


@pytest.fixture(scope="module")
def strict(weights, free_server) -> Iterator[httpx.Client]:
    """A server that gives each picture a moment, and lets one origin in."""
    environment = {
        WEIGHTS_VARIABLE: str(weights),
        limits.SECONDS_VARIABLE: "0.4",
        ORIGINS_VARIABLE: "https://example.org",
    }
    with free_server(environment) as (url, _), httpx.Client(base_url=url, timeout=60) as client:
        yield client


class Trap:
    """A pickle that leaves a mark when it is opened."""

    sprung = Path("/tmp") / "unet-studio-test-trap"

    def __reduce__(self):
        return (Path.touch, (self.sprung,))


def bad_weights(other: Path) -> dict[str, bytes]:
    header = json.dumps({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 2**40]}}).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # as torch.save does
        archive.writestr("archive/data.pkl", pickle.dumps(Trap()))
    return {
        "a-pickle": pickle.dumps(Trap()),
        "a-torch-file": buffer.getvalue(),
        "another-network": other.read_bytes(),
        "no-tensors": struct.pack("<Q", 2) + b"{}",
        "endless-header": struct.pack("<Q", 2**60) + b"{}",
        "endless-tensor": struct.pack("<Q", len(header)) + header,
        "empty": b"",
    }


def test_bad_checkpoints_are_refused_and_no_pickle_is_opened(weights, tmp_path, monkeypatch):
    bad = bad_weights(weights / "pets-scratch" / WEIGHTS_FILE)
    for name, content in bad.items():
        shutil.copytree(weights / "streets-wide", tmp_path / name)
        (tmp_path / name / WEIGHTS_FILE).write_bytes(content)
        (tmp_path / name / "pytorch_model.bin").write_bytes(bad["a-torch-file"])
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path))

    async def scene() -> None:
        transport = httpx.ASGITransport(create_api())
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            for name in bad:
                form = {"files": {"file": READ["one pixel"]}, "data": {"model": name}}
                answer = await client.post("/predict", **form)
                assert answer.status_code == 503, (name, answer.text)
                assert "model.safetensors" in answer.json()["detail"]
                assert str(tmp_path) not in answer.text
                assert "retry-after" not in answer.headers

    run_apart(scene())
    assert not Trap.sprung.exists()


def test_a_picture_over_its_time_is_given_up(strict):
    content = encoded("png", np.zeros((3000, 3000, 3), np.uint8))
    answer = strict.post("/api/predict?scale=native&flips=both", files={"file": content})
    assert answer.status_code == 422, answer.text
    assert "longer than the limit of 0.4 s" in answer.json()["detail"]
    answer = strict.post("/api/predict/batch?scale=native&flips=both", files={"file": content})
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert "longer than the limit" in archive.read("failed.txt").decode()


def test_other_sites_are_let_in_only_where_asked(client, strict):
    def allowed(client: httpx.Client, path: str, origin: str) -> str | None:
        headers = {"origin": origin, "host": "studio.example"}
        simple = client.get(path, headers=headers)
        before = client.options(path, headers=headers | {"access-control-request-method": "POST"})
        answers = {a.headers.get("access-control-allow-origin") for a in (simple, before)}
        assert len(answers) == 1
        return answers.pop()

    for path in ("/api/health", "/", "/gradio_api/info"):
        assert allowed(client, path, "https://evil.example") is None
        assert allowed(strict, path, "https://evil.example") is None
        assert allowed(strict, path, "https://example.org") == "https://example.org"


def test_wrong_origins_get_a_sentence(monkeypatch):
    monkeypatch.setenv(ORIGINS_VARIABLE, "https://a.example *")
    with pytest.raises(ConfigError, match=r"'\*'"):
        allowed_origins()


def test_headers_let_other_sites_embed_the_pages(client):
    for path in ("/", "/compare/", "/api/docs"):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "object-src 'none'" in policy
        assert "frame-ancestors" not in policy
        assert "x-frame-options" not in answer.headers
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers
        assert "sandbox" not in policy
    assert "sandbox" in client.get("/api/health").headers["content-security-policy"]


def test_what_a_visitor_uploads_is_never_run_as_a_page(client):
    script = b"<html><script>alert(1)</script></html>"
    for name in ("a.html", "a.svg", "a.png"):
        (path,) = client.post("/gradio_api/upload", files={"files": (name, script)}).json()
        for address in (f"file={path}", f"file/{path}"):
            answer = client.get(f"/gradio_api/{address}")
            assert answer.status_code == 200
            assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    ["/gradio_api/process_recording", "/gradio_api/vibe-edit", "/login", "/gradio_api/stream/a"],
)
def test_what_gradio_offers_besides_is_not_there(client, path):
    answer = client.post(path, files={"file": ("x.mp4", bytes(1000))})
    assert (answer.status_code, answer.text) == (404, "Not found.")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "app.py",
        str(REPOSITORY / "app.py"),
        "{temporary}",
        "{temporary}/../../etc/passwd",
        "{weights}/streets-wide/model.safetensors",
        "https://example.org/a.png",
        "..%2f..%2fetc%2fpasswd",
    ],
)
def test_no_other_file_can_be_had(client, server, weights, path):
    path = path.format(temporary=server.temporary, weights=weights)
    answer = client.get(f"/gradio_api/file={path}")
    assert answer.status_code in (403, 404), answer.text
    assert "root:" not in answer.text


def call(app: LimitedBody, size: int | None, chunks: list[bytes], seconds: float = 0) -> object:
    """What reading a body through the middleware raises, else its length."""
    from starlette.exceptions import HTTPException

    headers = [] if size is None else [(b"content-length", str(size).encode())]
    left = [*chunks]

    async def receive() -> dict:
        await asyncio.sleep(seconds)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def scene() -> object:
        try:
            await app({"type": "http", "headers": headers}, receive, None)
        except HTTPException as error:
            return error.status_code
        return None

    return run_apart(scene())


def test_bodies_have_limits_of_size_time_and_number():
    held = []

    async def inner(_, receive, __) -> None:
        while (await receive())["more_body"]:
            pass
        held.append(app.held)

    app = LimitedBody(inner, limit=10, total=15, seconds=0.2)
    assert call(app, 5, [b"12345"]) is None
    assert call(app, None, [b"12345", b"12345"]) is None
    assert call(app, 11, [b"12345"]) == 413
    assert call(app, None, [b"12345"] * 3) == 413
    assert call(app, 5, [b"12345"] * 3) == 413
    assert call(app, 5, [b"12345"], seconds=0.5) == 408
    assert held == [5, 10]
    assert app.held == 0
    app.held = 12  # others are sending
    assert call(app, 5, [b"12345"]) == 503
    assert call(app, None, [b"12345"]) == 503
    assert app.held == 12
    app.held = 0
    app.kept = lambda: 12  # and have sent
    assert call(app, 5, [b"12345"]) == 503


def test_more_files_than_a_batch_may_have(client):
    files = [("files", (f"{i}.png", b"x")) for i in range(limits.MOST_FILES + 1)]
    answer = client.post("/api/predict/batch", files=files)
    assert answer.status_code == 413
    assert f"more than {limits.MOST_FILES} files" in answer.text


def test_a_zip_without_pictures_says_so():
    content = packed({"a.heic": b"x", "notes.txt": b"x"})
    with pytest.raises(ImageError, match=r"no pictures that are read here: \.jpg, \.png"):
        Archive(io.BytesIO(content), (".png", ".jpg"))
    with pytest.raises(ImageError, match="holds no files"):
        Archive(io.BytesIO(packed({"__MACOSX/a.png": b"x"})), (".png",))


def test_what_is_only_announced_takes_no_place_from_others():
    async def inner(_, receive, __) -> None:
        await receive()

    app = LimitedBody(inner, limit=10, total=15)
    idle = asyncio.Event()

    async def scene() -> None:
        async def never() -> dict:
            await idle.wait()
            return {"type": "http.disconnect"}

        async def at_once() -> dict:
            return {"type": "http.request", "body": b"12345"}

        announced = {"type": "http", "headers": [(b"content-length", b"10")]}
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(app(announced, never, None))
            await asyncio.sleep(0)
            await app(announced, at_once, None)
            idle.set()

    run_apart(scene())


def test_security_md_states_the_limits_as_they_are():
    text = " ".join((REPOSITORY / "SECURITY.md").read_text(encoding="utf-8").split())
    for promise in (
        f"{MAX_BYTES // 2**20} MiB",
        f"{MAX_PIXELS // 10**6} megapixels",
        f"{limits.MOST_FILES} pictures",
        f"{limits.UNPACKED_BYTES // 2**30} GiB",
        f"at once | {limits.UPLOAD_BYTES // 2**30} GiB",
        f"come in together {limits.UPLOADS_BYTES // 2**30} GiB",
        f"{limits.MOST_RATIO} times",
        f"{limits.MOST_SECONDS:g} s",
        f"{limits.BODY_SECONDS} s",
        f"{limits.SEND_SECONDS} s",
        f"{MAX_SCANS} passes",
        f"{limits.MOST_CORNERS // 10**6} million corners",
        f"{limits.LARGEST_TILE} pixels",
        f"{limits.PAGE_UNPACKED_BYTES // 2**20} MiB",
        f"{limits.MOST_FRAMES} frames",
        f"of a film | {limits.MADE_BYTES // 2**30} GiB",
        f"computation {limits.PAGE_SECONDS} s",
        f"{limits.MESSAGE_BYTES // 2**20} MiB of JSON",
        f"{limits.UPLOADS_BYTES // 2**30} GiB together",
        f"visitors together {limits.COMPARED_BYTES // 2**30} GiB",
        limits.SECONDS_VARIABLE,
        ORIGINS_VARIABLE,
    ):
        assert promise in text, promise
