"""The segment page in a real browser, as a visitor uses it."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import zipfile
from fractions import Fraction
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio.media import get_image
from PIL import Image

from app.overlay import OPACITY, confidence_colours, drawn_as, overlay
from app.uploads import trim
from model.data.classes import VOID
from model.data.datasets import DATA_SETS
from model.data.images import decode
from model.data.masks import index_png, read_index
from model.data.streets import CLASSES, draw
from model.evaluation.metrics import Metrics, confusion_matrix
from model.inference.exports import EXPORTS, Picture
from model.inference.options import SegmentOptions
from model.inference.segmenter import Segmentation, Segmenter
from model.inference.video import VideoReader, VideoWriter

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


def open_page(page, model: str = "") -> None:
    page.goto(f"/?model={model}" if model else "/")
    wait_for(page, "Drawn street 1" if model == STREETS else "Cheetah")


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


def spoken(page) -> str:
    """What the canvas is called for who cannot see it."""
    return page.locator(".studio-stage canvas").get_attribute("aria-label")


def open_part(page, title: str) -> None:
    page.get_by_role("button", name=title).click()


def result_of(weights: Path, model: str, picture, **options) -> Segmentation:
    options = SegmentOptions(confidence=True, entropy=True, **options)
    return Segmenter(weights / model).segment(picture, options)


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
    open_page(page, STREETS)
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
    result = result_of(weights, "pets-scratch", image)
    assert spoken(page).startswith("Classes: ")
    for name, values in (("confidence", result.confidence), ("entropy", result.entropy)):
        show(page, name)
        assert spoken(page).lower().startswith(f"{name}: ")
        assert page.locator(".scale").is_visible()
        levels = np.rint(values.astype(np.float32) * 255).astype(np.uint8)
        expected = confidence_colours()[levels].astype(int)
        assert np.abs(drawn(page)[..., :3] - expected).max() <= 1
        assert (drawn(page)[..., 3] == 255).all()
    show(page, "classes")
    assert spoken(page).startswith("Classes: ")
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
    open_page(page, STREETS)
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
        # Whoever comes with it sees the sentence as well, and can choose another one.
        page.goto("/?model=streets-wide")
        page.locator(".studio-notice", has_text="model.safetensors").wait_for()
        choose_model(page, "pets-scratch")
        wait_for(page, "Cheetah")
        page.select_option("#model select", "streets-wide")
        page.get_by_test_id("toast-text").wait_for()
        # What is on the page was made with the other one.
        page.wait_for_function("document.querySelector('#model select').value === 'pets-scratch'")
        assert not page.locator("#cancel").is_visible()
    finally:
        path.write_bytes(whole)


def test_large_pictures_are_shown_reduced_and_saved_whole(page, weights, tmp_path):
    picture = draw(601, (1760, 1320))[0]
    path = tmp_path / "large.png"
    Image.fromarray(picture).save(path, compress_level=1)
    open_page(page, STREETS)
    upload(page, path)
    assert drawn(page).shape == (1200, 1600, 4)
    expected = Segmenter(weights / "streets-scratch").segment(picture).labels
    assert np.array_equal(saved(page, "#mask"), expected)
    assert saved(page, "#save").shape == (1320, 1760, 3)


def test_phone_width_does_not_scroll_sideways(page):
    page.set_viewport_size({"width": 360, "height": 740})
    open_page(page)
    for title in ("More formats", "Options", "Check it", "About this model"):
        open_part(page, title)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    stage = page.locator(".studio-stage").bounding_box()
    assert stage["width"] > 280
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


def ask_to_segment(url: str, path: str) -> dict:
    """What the server answers to an upload event that names a file on its disk."""
    config = httpx.get(f"{url}/config").json()
    components = {component["id"]: component for component in config["components"]}
    upload, truth = [
        dependency
        for dependency in config["dependencies"]
        if ("upload" in [event for _, event in dependency["targets"]])
    ]
    assert upload["id"] < truth["id"]
    file = {"path": path, "orig_name": "a.png", "meta": {"_type": "gradio.FileData"}}
    values = {
        i: [file]
        if components[i]["type"] == "uploadbutton"
        else components[i]["props"].get("value")
        for i in upload["inputs"]
    }
    who = f"forger of {path}"
    request = {"data": list(values.values()), "fn_index": upload["id"], "session_hash": who}
    httpx.post(f"{url}/gradio_api/queue/join", json=request).raise_for_status()
    address = f"{url}/gradio_api/queue/data"
    with httpx.stream("GET", address, params={"session_hash": who}, timeout=60) as stream:
        events = (json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))
        return next(event for event in events if event["msg"] == "process_completed")


def test_a_forged_path_is_refused(server):
    """Only what was uploaded can be segmented, not any picture on the server's disk."""
    secret = server.temporary / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    files = {"files": secret.read_bytes()}
    (uploaded,) = httpx.post(f"{server.url}/gradio_api/upload", files=files).json()
    assert ask_to_segment(server.url, uploaded)["success"]
    done = ask_to_segment(server.url, str(secret))
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
    being_made = tmp_path / "new" / ".work" / "mask.png"
    being_made.parent.mkdir()
    being_made.write_bytes(bytes(500))
    trim(tmp_path, 0)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [being_made]


def test_the_page_begins_with_the_opacity_of_the_api(page):
    open_page(page)
    assert page.locator(".opacity output").inner_text() == f"{100 * OPACITY:.0f} %"


def test_before_and_after_outlines_hatching_and_names(page, weights, scene, scene_file):
    open_page(page, STREETS)
    upload(page, scene_file)
    labels = result_of(weights, STREETS, scene).labels
    page.get_by_label("Before and after").fill("40")
    clip = page.evaluate("getComputedStyle(document.querySelector('canvas')).clipPath")
    assert clip == "inset(0px 0px 0px 40%)"
    for style in ("outline", "hatch"):
        page.select_option(".style", style)
        assert np.array_equal(drawn(page), shown(drawn_as(labels, style)))
    expected = overlay(scene, drawn_as(labels, "hatch"), CLASSES)
    assert np.array_equal(saved(page, "#save"), expected)
    page.locator(".names input").check()
    names = page.locator(".labels span").all_inner_texts()
    assert names
    assert set(names) <= set(legend(page))


def test_class_and_confidence_under_the_pointer_and_by_keys(page, weights, scene, scene_file):
    open_page(page, STREETS)
    upload(page, scene_file)
    result = result_of(weights, STREETS, scene)

    def words(column: int, row: int) -> str:
        sure = round(100 * float(result.confidence[row, column]))
        return f"{CLASSES[result.labels[row, column]].name} · {sure} %"

    box = page.locator(".studio-stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 80.5 / 320, box["y"] + box["height"] * 180.5 / 240)
    assert page.locator(".pointer").inner_text() == words(80, 180)
    page.locator(".studio-stage").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.locator(".pointer").inner_text() == words(166, 124)


def test_options_are_followed_and_a_link_restores_them(page, weights, scene, scene_file):
    open_page(page, STREETS)
    upload(page, scene_file)
    open_part(page, "Options")
    page.locator("#flips").get_by_label("All four ways").check()
    page.wait_for_selector('.studio-stage[data-ready][data-query*="flips=both"]')
    page.locator("#tile").get_by_label("256").check()
    page.wait_for_selector('.studio-stage[data-ready][data-query*="tile=256"]')
    labels = result_of(weights, STREETS, scene, flips="both", tile=256).labels
    assert np.array_equal(saved(page, "#mask"), labels)
    prices = page.locator("#precision label").all_inner_texts()
    assert "f32: exact" in prices

    page.goto(page.url)
    wait_for(page, "Drawn street 1")
    assert page.locator("#model select").input_value() == STREETS
    open_part(page, "Options")
    assert page.locator("#flips").get_by_label("All four ways").is_checked()
    assert page.locator("#tile").get_by_label("256").is_checked()


def test_a_true_mask_is_scored_and_its_errors_shown(page, weights, tmp_path, scene_file):
    picture, truth = draw(600, (320, 240))
    path = tmp_path / "truth.png"
    path.write_bytes(index_png(truth, CLASSES))
    open_page(page, STREETS)
    upload(page, scene_file)
    open_part(page, "Check it")
    with page.expect_file_chooser() as chooser:
        page.click("#truth")
    chooser.value.set_files(path)
    page.wait_for_selector(".studio-scores")
    labels = result_of(weights, STREETS, picture).labels
    metrics = Metrics.of(confusion_matrix(truth, labels, len(CLASSES)))
    rows = page.locator(".studio-scores tbody tr").all_inner_texts()
    known = np.flatnonzero(~np.isnan(metrics.iou))
    assert [row.split("\t")[0] for row in rows] == [*(CLASSES[i].name for i in known), "mean"]
    for label, row in zip(known, rows, strict=False):
        figures = (metrics.iou, metrics.dice, metrics.precision, metrics.recall)
        texts = [percent(figure[label]) for figure in figures]
        assert row.split("\t")[1:] == texts
    page.wait_for_selector(".studio-stage[data-ready][data-truth]")
    show(page, "errors")
    assert spoken(page) == "Errors: bright where the model and the mask differ"
    wrong = (truth != labels) & (truth != VOID)
    assert np.array_equal(drawn(page)[..., 0] == 255, wrong)
    page.click("#drop-truth")
    page.wait_for_selector(".studio-stage[data-ready]:not([data-truth])")
    assert page.locator(".views input[value=errors]").count() == 0


def percent(value: float) -> str:
    return "–" if np.isnan(value) else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"  # noqa: RUF001


def test_a_second_model_shows_where_the_two_disagree(page, weights, scene, scene_file):
    open_page(page, STREETS)
    upload(page, scene_file)
    open_part(page, "Check it")
    page.click("#second input")
    page.locator("li[role=option]", has_text="streets-wide").click()
    page.wait_for_selector(".studio-stage[data-ready][data-other]")
    first, second = (result_of(weights, model, scene).labels for model in (STREETS, "streets-wide"))
    assert f"differs on {percent((first != second).mean())}" in page.inner_text("#checks")
    show(page, "differ")
    assert np.array_equal(drawn(page)[..., 0] == 255, first != second)
    show(page, "other")
    assert np.array_equal(drawn(page), shown(second))
    page.click("text=Open in compare")
    page.wait_for_url(f"**/compare/?*{STREETS}*streets-wide*")


def test_hidden_classes_that_the_picture_lacks_stay_hidden(page):
    """In the files of other pictures; segment/test_page.py looks at which classes these are."""
    open_page(page)
    background = DATA_SETS["pets"].classes.names.index("background")
    hidden = "window.studioView().hidden"
    assert page.evaluate(hidden) == [background]
    for attribute in ("data-hidden-at-first", ""):
        page.evaluate(
            """(html) => document.querySelector(".class-list")
                .insertAdjacentHTML("beforeend", html)""",
            f'<i class="absent" {attribute} data-id="{7 if attribute else 8}" hidden>absent</i>',
        )
    assert page.evaluate(hidden) == [background, 7]


def test_every_export_can_be_taken_home(page, weights, scene, scene_file):
    """Each is checked in segment/test_downloads.py, three of them also by a click."""
    open_page(page, STREETS)
    upload(page, scene_file)
    open_part(page, "More formats")
    options = SegmentOptions(confidence=True, entropy=True, probabilities=True)
    result = Segmenter(weights / STREETS).segment(scene, options)
    offered = page.locator("[data-export]").all()
    names = {button.get_attribute("data-export") for button in offered}
    assert names | {"mask", "overlay"} == set(EXPORTS)
    page.locator(".class-row input").first.uncheck()
    hidden = CLASSES.names.index(next(iter(legend(page))))
    picture, ids = Picture.read(scene_file), {info.id for info in CLASSES} - {hidden}
    for name in ("coco", "entropy", "zip"):
        with page.expect_download() as download:
            page.click(f"[data-export={name}]")
        assert download.value.suggested_filename == f"my street-{name}{EXPORTS[name].suffix}"
        content = Path(download.value.path()).read_bytes()
        assert content == EXPORTS[name].write(result, picture, ids), name


def test_several_pictures_and_a_zip(page, weights, tmp_path):
    paths = []
    for seed in (600, 601):
        paths.append(tmp_path / f"street {seed}.png")
        Image.fromarray(draw(seed, (160, 120))[0]).save(paths[-1])
    open_page(page, STREETS)
    page.set_input_files("input[type=file]", paths)
    wait_for(page, "street 600.png")
    page.click('[data-example="1"]')
    wait_for(page, "street 601.png")
    labels = Segmenter(weights / STREETS).segment(decode(paths[1])).labels
    assert np.array_equal(saved(page, "#mask"), labels)
    with page.expect_download() as download:
        page.click("#all")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert {"mask/street 600.png", "overlay/street 601.png"} <= set(archive.namelist())
        assert np.array_equal(read_index(archive.read("mask/street 601.png")), labels)

    packed = tmp_path / "both.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in paths:
            archive.write(path, f"inner/{path.name}")
    page.reload()
    wait_for(page, "Drawn street 1")
    page.set_input_files("input[type=file]", packed)
    wait_for(page, "street 600.png")
    assert page.inner_text("#all") == "Segment all 2 and save them"


def test_a_film_plays_and_can_be_taken_home(page, weights, tmp_path):
    path = tmp_path / "drive.mp4"
    with VideoWriter(path, Fraction(10), Fraction(1, 10)) as writer:
        for time in range(12):
            writer.add(time, draw(time, (65, 49))[0])
        writer.finish()
    open_page(page, STREETS)
    upload(page, path)
    assert not page.locator("#film").is_visible()
    with page.expect_download() as download:
        page.click("#all")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert {"overlay/drive.mp4", "mask/drive.mkv"} <= set(archive.namelist())
        content = archive.read("overlay/drive.mp4")

    page.wait_for_selector("#film video")
    video = "document.querySelector('#film video')"
    page.wait_for_function(f"{video}.readyState >= 2 && {video}.videoWidth === 66")
    page.wait_for_function(f"{video}.currentTime > 0.3")
    assert page.evaluate(f"{video}.error") is None
    assert httpx.get(page.evaluate(f"{video}.currentSrc")).content == content

    # Its classes: those of all frames together.
    with VideoReader(path) as reader:
        results = [result_of(weights, STREETS, image) for _, image in reader]
    shares = np.mean([result.shares() for result in results], axis=0)
    rows = page.locator(".studio-found li").all_inner_texts()
    expected = sorted(np.flatnonzero(shares), key=lambda label: -shares[label])
    assert [row.split("\n")[0] for row in rows] == [CLASSES[label].name for label in expected]
    assert rows[0].split("\n")[1] == f"{100 * shares[expected[0]]:.0f} %"
    assert page.locator(".studio-found").inner_text().startswith("12 frames")

    # Another picture takes its place.
    page.click('[data-example="1"]')
    wait_for(page, "Drawn street 2")
    assert not page.locator("#film").is_visible()
    assert page.locator(".studio-found").count() == 0


def test_a_picture_from_the_camera(page):
    open_page(page)
    page.click("text=Camera")
    page.wait_for_function("document.querySelector('.camera video')?.videoWidth > 0")
    page.get_by_text("Take picture").click()
    wait_for(page, "camera.png")
    assert page.locator(".camera").count() == 0


def test_cancelling_keeps_what_was_there(page, tmp_path, scene):
    """All four ways at every pixel of a large picture takes far longer than a click."""
    path = tmp_path / "large.png"
    Image.fromarray(np.tile(scene, (10, 10, 1))).save(path, compress_level=1)
    page.goto("/?model=streets-wide&native=1&flips=both")
    wait_for(page, "Drawn street 1")
    page.set_input_files("input[type=file]", path)
    page.click("#cancel")
    page.wait_for_selector("#cancel", state="hidden")
    wait_for(page, "Drawn street 1")
    assert page.get_by_test_id("toast-text").count() == 0
    page.click('[data-example="1"]')
    wait_for(page, "Drawn street 2")


def test_what_was_cancelled_is_not_shown_as_chosen(page, tmp_path, scene):
    path = tmp_path / "large.png"
    Image.fromarray(np.tile(scene, (10, 10, 1))).save(path, compress_level=1)
    page.goto("/?model=streets-wide&flips=both")
    wait_for(page, "Drawn street 1")
    upload(page, path)
    open_part(page, "Options")
    native = page.locator("#native input")
    native.check()
    page.click("#cancel")
    page.wait_for_selector("#cancel", state="hidden")
    page.wait_for_function("!document.querySelector('#native input').checked")
    assert page.locator("#flips").get_by_label("All four ways").is_checked()
    assert "native" not in page.locator(".studio-stage").get_attribute("data-query")
    # It can be chosen again.
    native.check()
    page.click("#cancel")
    page.wait_for_function("!document.querySelector('#native input').checked")


def test_a_model_from_a_folder_for_who_sits_at_the_machine(page, weights, tmp_path):
    shutil.copytree(weights / STREETS, tmp_path / "mine")
    open_page(page)
    open_part(page, "About this model")
    page.get_by_label("Another model").fill(str(tmp_path / "mine"))
    page.get_by_role("button", name="Add").click()
    wait_for(page, "Drawn street 1")
    chosen = "name => document.querySelector('#model select').value === name"
    page.wait_for_function(chosen, arg=str(tmp_path / "mine"))  # the menu may follow the picture
    page.get_by_label("Another model").fill(str(tmp_path / "nothing"))
    page.get_by_role("button", name="Add").click()
    page.get_by_test_id("toast-text").wait_for()
    assert "nothing" in sentence(page)


def test_a_link_to_a_folder_is_followed_by_a_click(page, weights, tmp_path):
    shutil.copytree(weights / STREETS, tmp_path / "linked")
    page.goto(f"/?model={tmp_path / 'linked'}")
    wait_for(page, "Cheetah")
    field = page.get_by_label("Another model")
    field.wait_for()
    assert field.input_value() == str(tmp_path / "linked")
    assert "press Add" in sentence(page)
    page.get_by_role("button", name="Add").click()
    wait_for(page, "Drawn street 1")
    page.reload()
    wait_for(page, "Drawn street 1")


def test_visitors_from_elsewhere_cannot_open_folders(page, weights, tmp_path):
    shutil.copytree(weights / STREETS, tmp_path / "mine")
    page.set_extra_http_headers({"X-Forwarded-For": "10.0.0.1"})
    page.goto(f"/?model={tmp_path / 'mine'}")
    wait_for(page, "Cheetah")
    assert page.locator("#model select").input_value() == "pets-scratch"
    open_part(page, "About this model")
    page.locator(".studio-facts").wait_for()
    assert not page.get_by_label("Another model").is_visible()


def test_everything_is_reached_by_keys_and_has_a_name(page):
    open_page(page)
    for title in ("More formats", "Options", "Check it", "About this model"):
        page.get_by_role("button", name=title).focus()
        page.keyboard.press("Enter")
    page.locator("#flips input").first.wait_for()
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, a, [tabindex='0']")]
            .filter((e) => e.checkVisibility({ visibilityProperty: true }) && e.type !== "file")
            .filter((e) => !(e.getAttribute("aria-label") || e.innerText?.trim() || e.title ||
                [...(e.labels ?? [])].some((label) => label.innerText.trim()) ||
                e.querySelector("img[alt]")))
            .map((e) => e.outerHTML)"""
    )
    assert unnamed == []
    page.locator(".class-row input").first.focus()
    before = drawn(page)
    page.keyboard.press("Space")
    assert not np.array_equal(drawn(page), before)
    page.get_by_label("Before and after").focus()
    page.keyboard.press("End")
    clip = page.evaluate("getComputedStyle(document.querySelector('canvas')).clipPath")
    assert clip == "inset(0px 0px 0px 100%)"
    page.locator("[data-example]").nth(1).focus()
    page.keyboard.press("Enter")
    wait_for(page, "Lion")
