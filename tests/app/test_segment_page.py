"""The segment page in a real browser, as a visitor uses it."""

from __future__ import annotations

import base64
import io
import json
import os
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio.media import get_image
from PIL import Image

from app.overlay import OPACITY, confidence_colours, overlay
from app.uploads import trim
from model.data.images import decode
from model.data.streets import CLASSES, draw
from model.inference.options import SegmentOptions
from model.inference.segmenter import Segmenter

pytestmark = pytest.mark.browser

STREETS = "streets-scratch"


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    return draw(600, (320, 240))[0]


@pytest.fixture
def scene_file(tmp_path: Path, scene: np.ndarray) -> Path:
    path = tmp_path / "my street.png"
    Image.fromarray(scene).save(path)
    return path


def wait_for(page, name: str) -> None:
    """Until the classes of the picture of that name are drawn."""
    page.wait_for_selector(f'.studio-stage[data-ready]:has(img[alt="{name}"])')


def open_page(page) -> None:
    page.goto("/")
    wait_for(page, "Cheetah")


def upload(page, path: Path) -> None:
    page.set_input_files("input[type=file]", path)
    wait_for(page, path.name)


def choose_model(page, name: str) -> None:
    page.select_option("#model select", name)
    page.wait_for_function(
        """(name) => document.querySelector(`.studio-stage[data-ready][data-query*="=${name}"]`)""",
        arg=name,
    )


def legend(page) -> dict[str, tuple[str, str]]:
    """Share and confidence by class, in the order on the page."""
    rows = page.locator(".class-row").all()
    texts = [
        [row.locator(f".{part}").inner_text() for part in ("name", "share", "sure")] for row in rows
    ]
    return {name: (share, sure) for name, share, sure in texts}


def drawn(page) -> np.ndarray:
    """The class colours on the stage, RGBA, uint8 (H, W, 4)."""
    url = page.evaluate("document.querySelector('.studio-stage canvas').toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def shown(labels: np.ndarray, hidden: set[int] = frozenset()) -> np.ndarray:
    """What `drawn` must give."""
    palette = np.zeros((256, 4), np.uint8)
    for info in CLASSES:
        if info.id not in hidden:
            palette[info.id] = (*info.rgb, 255)
    return palette[labels]


def show(page, name: str) -> None:
    page.locator(f".views input[value={name}]").check(force=True)


def saved(page, button: str) -> np.ndarray:
    with page.expect_download() as download:
        page.click(button)
    return np.asarray(Image.open(download.value.path()))


def sentence(page) -> str:
    return page.get_by_test_id("toast-text").last.inner_text()


def test_a_first_visit_shows_an_example_segmented(page):
    open_page(page)
    assert page.title() == "U-Net Studio"
    assert "See what a U-Net sees." in page.inner_text("header")
    assert set(legend(page)) <= {"pet", "background", "border"}
    assert re.search(r"OpenVINO f32 · 256\s.\s256\spx · \d+\sms", page.inner_text("#status"))
    # What has no name is better seen than covered.
    assert not page.locator(".class-row", has_text="background").locator("input").is_checked()


def test_own_picture_legend_toggle_opacity_and_files(page, weights, scene, scene_file):
    open_page(page)
    choose_model(page, STREETS)
    upload(page, scene_file)
    result = Segmenter(weights / "streets-scratch").segment(scene, confidence=True)

    # The legend says what the segmenter says, the largest share first.
    shares, confidences = result.shares(), result.mean_confidences()
    expected = sorted(np.flatnonzero(shares), key=lambda label: -shares[label])
    rows = legend(page)
    assert list(rows) == [CLASSES[label].name for label in expected]
    first = expected[0]
    assert rows[CLASSES[first].name] == (
        f"{100 * shares[first]:.0f} %",
        f"{100 * confidences[first]:.0f}\N{NO-BREAK SPACE}%",
    )

    # The colours on the stage are exactly those of the labels.
    assert np.array_equal(drawn(page), shown(result.labels))

    # A class goes at a click, and nothing is asked of the server.
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator(".class-row").first.click()
    assert np.array_equal(drawn(page), shown(result.labels, hidden={first}))
    page.locator(".opacity input").fill("80")
    assert page.locator(".opacity output").inner_text() == "80 %"
    assert page.evaluate("getComputedStyle(document.querySelector('canvas')).opacity") == "0.8"
    assert asked == []

    # Files: the mask exactly, the overlay as it looks on the page.
    assert np.array_equal(saved(page, "#mask"), result.labels)
    expected_overlay = overlay(
        scene, result.labels, CLASSES, 0.8, {info.id for info in CLASSES} - {first}
    )
    assert np.array_equal(saved(page, "#save"), expected_overlay)


def test_views(page, weights):
    open_page(page)

    def visible(selector: str) -> bool:
        return page.locator(f".studio-stage {selector}").is_visible()

    assert visible("canvas")
    image = decode(get_image("cheetah1.jpg"))
    options = SegmentOptions(confidence=True, entropy=True)
    result = Segmenter(weights / "pets-scratch").segment(image, options)
    for name, values in (("confidence", result.confidence), ("entropy", result.entropy)):
        show(page, name)
        assert page.locator(".scale").is_visible()
        levels = np.rint(values.astype(np.float32) * 255).astype(np.uint8)
        expected = confidence_colours()[levels].astype(int)
        assert np.abs(drawn(page)[..., :3] - expected).max() <= 1
        assert (drawn(page)[..., 3] == 255).all()
    show(page, "picture")
    assert not visible("canvas")
    assert visible(".photo")


def test_switching_the_model_segments_the_same_picture_again(page, weights, scene, scene_file):
    open_page(page)
    upload(page, scene_file)
    assert set(legend(page)) <= {"pet", "background", "border"}
    choose_model(page, STREETS)
    wait_for(page, scene_file.name)
    labels = Segmenter(weights / "streets-scratch").segment(scene).labels
    assert np.array_equal(saved(page, "#mask"), labels)


def test_examples_follow_the_model(page):
    open_page(page)
    page.click('[data-example="1"]')
    wait_for(page, "Lion")
    choose_model(page, STREETS)
    wait_for(page, "Drawn street 1")
    page.click('[data-example="2"]')
    wait_for(page, "Drawn street 3")


def test_dropped_and_pasted_pictures(page, scene_file):
    open_page(page)
    content = base64.b64encode(scene_file.read_bytes()).decode()
    make = """([content, name]) => {
        const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], name, { type: "image/png" }));
        return transfer;
    }"""
    transfer = page.evaluate_handle(make, [content, "dropped.png"])
    page.dispatch_event("body", "dragover", {"dataTransfer": transfer})
    assert "dropping" in page.locator("body").get_attribute("class")
    page.dispatch_event(".studio-stage", "drop", {"dataTransfer": transfer})
    wait_for(page, "dropped.png")
    assert "dropping" not in page.locator("body").get_attribute("class")
    page.evaluate(
        """(transfer) => document.body.dispatchEvent(
            new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }))""",
        page.evaluate_handle(make, [content, "pasted.png"]),
    )
    wait_for(page, "pasted.png")


@pytest.mark.parametrize("kind", ["tif", "sixteen bits", "turned jpg"])
def test_the_decoder_gets_the_file_as_it_was(page, weights, scene, tmp_path, kind):
    """Each of these goes wrong when Gradio re-encodes the picture first."""
    path = tmp_path / {"tif": "scan.tif", "sixteen bits": "deep.png", "turned jpg": "p.jpg"}[kind]
    exif = Image.Exif()
    if kind == "sixteen bits":
        Image.fromarray(scene[..., 0].astype(np.uint16) * 257).save(path)
    else:
        exif[0x0112] = 6 if kind == "turned jpg" else 1
        Image.fromarray(scene).save(path, exif=exif)
    open_page(page)
    choose_model(page, STREETS)
    upload(page, path)
    expected = Segmenter(weights / "streets-scratch").segment(decode(path)).labels
    assert np.array_equal(saved(page, "#mask"), expected)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"This is no picture.", "notes.txt is not a picture"),
        ("empty.png", b"", "empty.png is empty"),
        ("cut.jpg", None, "cut.jpg is damaged or cut short"),
    ],
)
def test_a_bad_file_gets_a_sentence_and_the_picture_stays(
    page, scene, tmp_path, name, content, words
):
    if content is None:
        buffer = io.BytesIO()
        Image.fromarray(scene).save(buffer, "jpeg")
        content = buffer.getvalue()[: buffer.tell() // 2]
    path = tmp_path / name
    path.write_bytes(content)
    open_page(page)
    page.set_input_files("input[type=file]", path)
    page.get_by_test_id("toast-text").wait_for()
    assert sentence(page).startswith(words)
    assert "Traceback" not in page.content()
    wait_for(page, "Cheetah")


def test_a_picture_that_was_cleared_away_gets_a_sentence(page, server, scene_file):
    open_page(page)
    upload(page, scene_file)
    (kept,) = server.temporary.rglob(scene_file.name)
    kept.unlink()
    page.click("#save")
    page.get_by_test_id("toast-text").wait_for()
    assert "Choose it again" in sentence(page)


def test_damaged_weights_get_a_sentence(page, weights):
    path = weights / "streets-wide" / "model.safetensors"
    whole = path.read_bytes()
    open_page(page)
    try:
        path.write_bytes(whole[:999])
        page.select_option("#model select", "streets-wide")
        page.get_by_test_id("toast-text").wait_for()
        assert "model.safetensors" in sentence(page)
    finally:
        path.write_bytes(whole)


def test_large_pictures_are_shown_reduced_and_saved_whole(page, weights, tmp_path):
    picture = draw(601, (2400, 1800))[0]
    path = tmp_path / "large.png"
    Image.fromarray(picture).save(path, compress_level=1)
    open_page(page)
    choose_model(page, STREETS)
    upload(page, path)
    assert drawn(page).shape == (1200, 1600, 4)
    expected = Segmenter(weights / "streets-scratch").segment(picture).labels
    assert np.array_equal(saved(page, "#mask"), expected)
    assert saved(page, "#save").shape == (1800, 2400, 3)


def test_phone_width_does_not_scroll_sideways(page):
    page.set_viewport_size({"width": 390, "height": 844})
    open_page(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    stage = page.locator(".studio-stage").bounding_box()
    assert stage["width"] > 300
    assert stage["y"] < 300  # the picture is on the first screen


def test_model_facts_state_their_protocol(page):
    open_page(page)
    page.click("text=About this model")
    page.locator(".studio-facts").get_by_text("not measured yet").wait_for()
    choose_model(page, STREETS)
    facts = page.locator(".studio-facts")
    facts.get_by_text("test split of 2 pictures, original resolution").wait_for()
    assert "trained from scratch" in facts.inner_text()


def test_the_header_leads_to_the_compare_page(page):
    open_page(page)
    page.click("text=Compare models")
    page.wait_for_url("**/compare/**")


def test_a_forged_path_is_refused(server):
    """Only what was uploaded can be segmented, not any picture on the server's disk."""
    config = httpx.get(f"{server.url}/config").json()
    upload, truth = [
        dependency["id"]
        for dependency in config["dependencies"]
        if ("upload" in [event for _, event in dependency["targets"]])
    ]
    assert upload < truth
    secret = server.temporary / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    forged = {"path": str(secret), "meta": {"_type": "gradio.FileData"}}
    request = {
        "data": [[forged], None, "pets-scratch"],
        "fn_index": upload,
        "session_hash": "forger",
    }
    httpx.post(f"{server.url}/gradio_api/queue/join", json=request).raise_for_status()
    address = f"{server.url}/gradio_api/queue/data?session_hash=forger"
    with httpx.stream("GET", address, timeout=20) as stream:
        events = (json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))
        done = next(event for event in events if event["msg"] == "process_completed")
    secret.unlink()
    assert done["success"] is False
    assert "base64" not in json.dumps(done)


def test_nothing_is_fetched_for_a_visitor(server):
    """Neither as a proxy nor through a forged upload."""
    for slashes in ("//", "/"):
        answer = httpx.get(f"{server.url}/gradio_api/file=https:{slashes}example.org/a.png")
        assert answer.status_code in (403, 404)
    assert "fetches nothing" in httpx.get(f"{server.url}/gradio_api/file=https://a.example/").text


def test_oldest_files_go_first(tmp_path):
    for age, name in enumerate(["new", "middle", "old"]):
        path = tmp_path / name / "picture.png"
        path.parent.mkdir()
        path.write_bytes(bytes(100))
        os.utime(path, (1000 - age, 1000 - age))
    trim(tmp_path, 250)
    assert {path.parent.name for path in tmp_path.glob("*/*")} == {"new", "middle"}
    trim(tmp_path, 250)
    assert len(list(tmp_path.glob("*/*"))) == 2


def test_the_page_begins_with_the_opacity_of_the_api(page):
    open_page(page)
    assert page.locator(".opacity output").inner_text() == f"{100 * OPACITY:.0f} %"
