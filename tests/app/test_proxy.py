"""Behind nginx as docs/proxy.md has it: below a path, in a frame, in a real browser."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import gradio_client
import httpx
import pytest
from PIL import Image

from app.proxy import VisitorsAddress, checked_root_path
from app.visitors import sits_here
from model.checkpoints.zoo import WEIGHTS_VARIABLE
from model.data.streets import draw
from model.errors import ConfigError
from tests.app.conftest import REPOSITORY, free_port
from tests.loops import run_apart
from tests.mcp_client import call_tool, data_url
from tests.servers import wait_until_all_answer

DOCUMENT = (REPOSITORY / "docs" / "proxy.md").read_text(encoding="utf-8")
BLOCK, FRAME_RULE = re.findall(r"```nginx\n(.*?)```", DOCUMENT, re.DOTALL)
MAP, SERVER = re.fullmatch(r"(.*?)(server \{.*)", BLOCK, re.DOTALL).groups()
SSL = " ssl; ssl_certificate certificate.pem; ssl_certificate_key key.pem"


# The middleware alone


def seen(path: str, root_path: str = "", **headers: str) -> tuple[str, str, dict[str, str]]:
    """Path, root path and headers that the application gets."""
    scopes: list[dict] = []

    async def app(scope, receive, send):
        scopes.append(scope)

    named = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": "websocket", "path": path, "root_path": "", "headers": named}
    run_apart(VisitorsAddress(app, root_path)(scope, None, None))
    assert scope["path"] == path, "the server's own scope is left alone"
    kept = {key.decode(): value.decode() for key, value in scopes[0]["headers"]}
    return scopes[0]["path"], scopes[0]["root_path"], kept


@pytest.mark.parametrize("path", ["/compare/", "/studio/compare/"])
@pytest.mark.parametrize(
    ("root_path", "headers"),
    [
        ("/studio", {}),
        ("", {"x_forwarded_prefix": "/studio"}),
        ("", {"x_forwarded_prefix": "/studio/, /inner"}),
        ("/studio", {"x_forwarded_prefix": "/other"}),
    ],
)
def test_paths_come_out_the_same_whether_the_proxy_cut_them_or_not(path, root_path, headers):
    assert seen(path, root_path, **headers)[:2] == ("/studio/compare/", "/studio")


def test_a_path_that_only_begins_alike_is_not_the_prefix():
    assert seen("/studios", "/studio")[0] == "/studio/studios"
    assert seen("/studio", "/studio")[0] == "/studio"


@pytest.mark.parametrize("prefix", ["", "/", "studio", "//evil.org", "https://evil.org", '/a"b'])
def test_a_header_that_is_no_path_counts_for_nothing(prefix):
    assert seen("/api", x_forwarded_prefix=prefix)[:2] == ("/api", "")


def test_the_visitors_host_counts():
    headers = {"host": "inner:1", "x_forwarded_host": "example.org:99, middle", "accept": "*/*"}
    kept = seen("/", x_forwarded_prefix="/studio", **headers)[2]
    assert kept["host"] == "example.org:99"
    assert "x-forwarded-host" not in kept
    assert kept["accept"] == "*/*"


@pytest.mark.parametrize("headers", [{}, {"x_forwarded_host": "localhost"}])
def test_nobody_behind_a_proxy_sits_at_the_machine(headers):
    """Not even where the proxy says nothing, and --root-path alone tells of it."""
    assert not sits_here("127.0.0.1", seen("/", "/studio", host="localhost:7860", **headers)[2])


@pytest.mark.parametrize("text", ["studio", "/a b", "//a", "/a//b", "https://example.org/a"])
def test_root_path_must_be_a_path(text):
    with pytest.raises(ConfigError, match=f"--root-path {re.escape(text)}"):
        checked_root_path(text)


@pytest.mark.parametrize(
    ("text", "path"), [("", ""), ("/", ""), ("/studio/", "/studio"), ("/a/b.c", "/a/b.c")]
)
def test_root_path_loses_the_slash_at_its_end(text, path):
    assert checked_root_path(text) == path


# Through nginx


@dataclass(frozen=True)
class Site:
    """The app behind nginx, and a page on another site that shows it in a frame.

    Attributes:
        direct: the app's address without nginx.
    """

    url: str
    frame: str
    direct: str


@contextmanager
def nginx(folder: Path, configuration: str) -> Iterator[None]:
    """Runs nginx as this user, with nothing outside of `folder`, once all its ports answer."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("needs nginx (on Debian: apt install nginx)")
    own = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{name}_temp_path {name};\n" for name in own)
    (folder / "nginx.conf").write_text(
        "daemon off; master_process off; pid nginx.pid; events {}\n"
        f"http {{ access_log off; default_type text/html;\n{paths}{configuration}}}\n"
    )
    log = folder / "error.log"
    process = subprocess.Popen([program, "-p", folder, "-c", folder / "nginx.conf", "-e", log])
    try:
        ports = re.findall(r"listen 127\.0\.0\.1:(\d+)", configuration)
        wait_until_all_answer([f"http://127.0.0.1:{port}/" for port in ports], process, log, 20)
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def sites(server, weights, free_server, tmp_path_factory) -> Iterator[dict[str, Site]]:
    """By what nginx is told, in the words of docs/proxy.md.

    "cut": as documented. "encrypted": over https. "left": the path stays on the requests, and
    nothing but --root-path tells the app. "guarded": with the rule for frames.
    """
    with free_server({WEIGHTS_VARIABLE: str(weights)}, "--root-path", "/studio") as (other, _):
        said = "proxy_set_header X-Forwarded-Prefix /studio;"
        folder = tmp_path_factory.mktemp("nginx")
        make_certificate(folder)
        changes = {
            "cut": (("http://127.0.0.1:7860", server.url),),
            "encrypted": (("http://127.0.0.1:7860", server.url),),
            "left": (("http://127.0.0.1:7860/", other), (said, "")),
            "guarded": (("http://127.0.0.1:7860", server.url), (said, said + FRAME_RULE)),
        }
        sites, blocks, frames = {}, [MAP], free_port()
        for name, replacements in changes.items():
            port, block = free_port(), SERVER
            ssl = SSL if name == "encrypted" else ""
            for old, new in (("listen 80;", f"listen 127.0.0.1:{port}{ssl};"), *replacements):
                assert block.count(old) == 1, f"docs/proxy.md has no {old}"
                block = block.replace(old, new)
            blocks.append(block)
            url = f"http{'s' if ssl else ''}://127.0.0.1:{port}/studio/"
            # For a browser, localhost is another site than 127.0.0.1.
            sites[name] = Site(url, f"http://localhost:{frames}/{name}", replacements[0][1])
        pages = "".join(
            f'location /{name} {{ return 200 \'<iframe src="{site.url}" '
            f"width=1200 height=800></iframe>'; }}\n"
            for name, site in sites.items()
        )
        blocks.append(f"server {{ listen 127.0.0.1:{frames}; {pages} }}")
        with nginx(folder, "\n".join(blocks)):
            yield sites


def make_certificate(folder: Path) -> None:
    """For 127.0.0.1, signed by nobody."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("needs openssl (on Debian: apt install openssl)")
    files = ["-out", "certificate.pem", "-keyout", "key.pem"]
    arguments = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"]
    subprocess.run([program, *arguments, *files], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def tab(browser):
    """A browser's page, with nothing remembered."""
    size = {"width": 1280, "height": 900}
    context = browser.new_context(viewport=size, accept_downloads=True, ignore_https_errors=True)
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


@pytest.mark.browser
@pytest.mark.parametrize(("site", "framed"), [("encrypted", False), ("cut", True), ("left", True)])
def test_uploads_results_and_files_on_both_pages(sites, site, framed, tab, tmp_path):
    url = sites[site].url
    asked, refused, sockets = [], [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("response", lambda r: refused.append((r.status, r.url)) if r.status >= 400 else None)
    tab.on("websocket", lambda socket: sockets.append(socket.url))
    picture = tmp_path / "street.png"
    Image.fromarray(draw(600, (320, 240))[0]).save(picture)
    tab.goto(sites[site].frame if framed else url)
    app = tab.frame_locator("iframe") if framed else tab

    # The segment page
    app.locator(".studio-stage[data-ready]").wait_for()
    app.locator("input[type=file]").set_input_files(picture)
    app.locator('.studio-stage[data-ready]:has(img[alt="street.png"])').wait_for()
    with tab.expect_download() as download:
        app.locator("#mask").click()
    answer = httpx.post(f"{url}api/predict", files={"file": picture.read_bytes()}, verify=False)
    assert Path(download.value.path()).read_bytes() == answer.raise_for_status().content
    with tab.expect_download() as download:
        app.locator("#save").click()
    assert Image.open(download.value.path()).size == (320, 240)

    # The compare page
    app.get_by_role("link", name="Compare models").click()
    app.get_by_text("Your own", exact=True).click()
    app.locator("input[type=file]").set_input_files(picture)
    app.get_by_text("320 by 240 pixels").wait_for()
    # Drawn once the picture itself has come, in its shape.
    panel = app.locator(".st-key-panels canvas").last
    panel.scroll_into_view_if_needed()
    assert panel.evaluate("canvas => canvas.style.aspectRatio") == "320 / 240"

    # The API's own page, and back
    app.get_by_role("link", name="API").click()
    app.get_by_text("Segment a picture").first.wait_for()

    assert sockets == [f"{url.replace('http', 'ws', 1)}compare/_stcore/stream"]
    assert not refused
    outside = {u for u in asked if u.startswith("http") and not u.startswith(url)}
    assert outside <= {sites[site].frame, url.replace("/studio/", "/favicon.ico")}
    assert not tab.context.cookies()


@pytest.mark.browser
def test_frames_can_be_forbidden(sites, tab):
    """Else the test above would prove nothing about frames on other sites."""
    with tab.expect_console_message(lambda message: "frame-ancestors" in message.text):
        tab.goto(sites["guarded"].frame)


@pytest.mark.parametrize("site", ["cut", "left"])
def test_addresses_without_a_slash_lead_to_those_with_one(sites, site):
    url = sites[site].url
    for path, goal in (("", ""), ("compare", "compare/"), ("docs", "api/docs")):
        answer = httpx.get(f"{url}{path}".rstrip("/"), follow_redirects=True)
        assert (answer.status_code, str(answer.url)) == (200, url + goal)
    described = httpx.get(f"{url}api/openapi.json").json()
    assert described["servers"] == [{"url": "/studio/api"}]


@pytest.mark.parametrize("site", ["cut", "left", "encrypted"])
def test_gradio_client_and_mcp(sites, site, tmp_path):
    url = sites[site].url
    picture = tmp_path / "street.png"
    Image.fromarray(draw(600, (64, 48))[0]).save(picture)
    answer = httpx.post(f"{url}api/predict", files={"file": picture.read_bytes()}, verify=False)
    client = gradio_client.Client(url, verbose=False, ssl_verify=False)
    mask, *_ = client.predict(gradio_client.handle_file(picture), api_name="/segment")
    assert Path(mask).read_bytes() == answer.content
    endpoint = f"{url}gradio_api/mcp/"
    shown, told, *_ = call_tool(
        endpoint, "segment", verify=False, picture=data_url(picture)
    ).content
    assert base64.b64decode(shown.data) == answer.content
    address = told.text.partition(": ")[2]
    assert address.startswith(url)
    assert httpx.get(address, verify=False).content == answer.content


def test_app_started_for_a_path_answers_without_the_proxy_too(sites):
    """Health checks ask it directly."""
    direct = sites["left"].direct
    for path in ("/api/health", "/compare/", "/", "/studio/config"):
        assert httpx.get(f"{direct}{path}").status_code == 200
    assert httpx.get(f"{direct}/config").json()["root"] == f"{direct}/studio"
