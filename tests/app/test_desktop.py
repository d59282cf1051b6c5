"""`python app.py --desktop`: a real window on a screen of its own, with the real page in it."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import numpy as np
import pytest
from PIL import Image, ImageGrab

from app import desktop
from app.look import TITLE
from model.checkpoints.zoo import WEIGHTS_VARIABLE
from tests.app.conftest import REPOSITORY, free_port

APP = str(REPOSITORY / "app.py")

needs_pywebview = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in desktop.NEEDED),
    reason="pywebview is not installed: pip install -r requirements-desktop.txt",
)


# What is said where there can be no window


def run(*command: str, **environment: str) -> subprocess.CompletedProcess:
    kept = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.run(
        [sys.executable, *command],
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=200,
    )


def assert_sentence(done: subprocess.CompletedProcess, words: str) -> None:
    assert done.returncode == 2
    assert re.fullmatch(f"error: .*{re.escape(words)}.*\n", done.stderr), done.stderr
    assert done.stdout == ""


def test_without_pywebview_it_says_what_to_install():
    program = f"""
import runpy, sys
sys.path[0] = {str(REPOSITORY)!r}
sys.modules["webview"] = None
sys.argv = ["app.py", "--desktop"]
runpy.run_path({APP!r}, run_name="__main__")
"""
    done = run("-c", program, DISPLAY=":1")
    assert_sentence(done, "--desktop needs: pip install -r requirements-desktop.txt")


@pytest.mark.skipif(not desktop.LINUX, reason="other systems always have a display")
def test_without_a_display_it_says_so():
    assert_sentence(run(APP, "--desktop"), "--desktop needs a display")


@pytest.mark.parametrize(
    "flags", [("--host", "0.0.0.0"), ("--port", "1"), ("--root-path", "/a"), ("--open",)]
)
def test_flags_that_make_no_sense_for_a_window_are_refused(flags):
    assert_sentence(run(APP, "--desktop", *flags, DISPLAY=":1"), f"--desktop or {flags[0]}.")


def test_ci_installs_what_qt_needs():
    assert set(desktop.DEBIAN.split()) <= set((REPOSITORY / ".ci" / "run").read_text().split())


# The window


class Screen:
    """An X server of the test's own, with nothing on it but the app."""

    def __init__(self, name: str) -> None:
        from Xlib.display import Display

        self.name = name
        self.display = Display(name)

    def picture(self) -> Image.Image:
        return ImageGrab.grab(xdisplay=self.name)

    def window(self, title: str):
        """The window with this title, once it is there."""
        return until(lambda: self.find(title), f"no window is called '{title}'")

    def find(self, title: str):
        from Xlib import X
        from Xlib.error import BadWindow

        for window in self.display.screen().root.query_tree().children:
            with contextlib.suppress(BadWindow):  # it may just have gone
                seen = window.get_attributes().map_state == X.IsViewable
                if seen and window.get_wm_name() == title:
                    return window
        return None

    def close(self, title: str) -> None:
        """What the cross in the title bar does."""
        from Xlib.protocol.event import ClientMessage

        window = self.window(title)
        atom = self.display.intern_atom
        data = (32, [atom("WM_DELETE_WINDOW"), 0, 0, 0, 0])
        window.send_event(ClientMessage(window=window, client_type=atom("WM_PROTOCOLS"), data=data))
        self.display.flush()

    def press(self, title: str, *keys: str) -> None:
        """Presses keys of these X names in the window, one after the other."""
        from Xlib import XK, X
        from Xlib.ext.xtest import fake_input

        self.window(title).set_input_focus(X.RevertToParent, X.CurrentTime)
        for name in keys:
            key = self.display.keysym_to_keycode(XK.string_to_keysym(name))
            fake_input(self.display, X.KeyPress, key)
            fake_input(self.display, X.KeyRelease, key)
        self.display.sync()

    def click(self, title: str, x: int, y: int) -> None:
        """Clicks so many pixels from the window's upper left corner."""
        from Xlib import X
        from Xlib.ext.xtest import fake_input

        where = self.window(title).get_geometry()
        fake_input(self.display, X.MotionNotify, x=where.x + x, y=where.y + y)
        fake_input(self.display, X.ButtonPress, 1)
        fake_input(self.display, X.ButtonRelease, 1)
        self.display.sync()


Found = TypeVar("Found")


def until(look: Callable[[], Found], failure: str, seconds: float = 90) -> Found:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, failure
        time.sleep(0.1)
    return found


@pytest.fixture
def screen() -> Iterator[Screen]:
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("needs Xvfb (on Debian: apt install xvfb)")
    reader, writer = os.pipe()
    command = [program, "-displayfd", str(writer), "-screen", "0", "1400x1000x24"]
    process = subprocess.Popen([*command, "-nolisten", "tcp"], pass_fds=[writer])
    os.close(writer)
    try:
        with os.fdopen(reader) as number:
            screen = Screen(f":{number.readline().strip()}")
        yield screen
        screen.display.close()
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True)
class App:
    """The app that was started, its address, and what it has logged."""

    process: subprocess.Popen
    url: str
    log: Path
    inspector: str

    def ended(self) -> int:
        code = self.process.wait(40)
        assert "Traceback" not in self.log.read_text()
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(self.url.rpartition(":")[2]))) != 0
        return code


@pytest.fixture
def app(screen, weights, tmp_path) -> Iterator[App]:
    """The app as a user starts it; links that leave it are written to `tmp_path`/visited."""
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/visited\n')
    browser.chmod(0o755)
    (tmp_path / "Downloads").mkdir()
    inspector = f"127.0.0.1:{free_port()}"
    environment = {
        WEIGHTS_VARIABLE: str(weights),
        "DISPLAY": screen.name,
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "BROWSER": f"{browser} %s",
        # Chromium refuses to have a sandbox for root, as whom CI runs.
        "QTWEBENGINE_CHROMIUM_FLAGS": "--no-sandbox",
        "QTWEBENGINE_REMOTE_DEBUGGING": inspector,
    }
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, APP, "--desktop"],
            cwd=tmp_path,
            env=os.environ | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        match = until(
            lambda: (
                re.search(r"segment (http://127\.0\.0\.1:\d+)/", log.read_text())
                or process.poll() is not None
            ),
            "the app has not said where it is",
        )
        assert isinstance(match, re.Match), log.read_text()
        yield App(process, match[1], log, f"http://{inspector}")
    finally:
        process.kill()
        process.wait()


def page_in(app: App, driver):
    """The page in the window, in Playwright's hands."""
    until(lambda: answers(app.inspector), "the window cannot be inspected")
    # What Playwright sets by default, Qt's Chromium refuses.
    browser = driver.chromium.connect_over_cdp(app.inspector, no_defaults=True)
    page = browser.contexts[0].pages[0]
    page.set_default_timeout(60_000)
    page.wait_for_url(f"{app.url}/")
    page.wait_for_selector(".studio-stage[data-ready]")
    return page


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/json/list").json() != []
    return False


@needs_pywebview
def test_a_visit_in_the_window(app, screen, driver, tmp_path):
    screen.window(TITLE)
    page = page_in(app, driver)
    page.click('[data-example="1"]')
    page.wait_for_selector(".studio-stage[data-ready]")
    # The page is not only loaded, it is to be seen: a picture has thousands of colours.
    until(lambda: not screen.picture().getcolors(2000), "the window shows no picture")

    page.click("#mask")
    screen.press("Save", "Return")
    (mask,) = until(lambda: [*tmp_path.glob("Downloads/*.png")], "nothing was saved")
    until(lambda: classes_in(mask) > 1, "the mask is not complete")

    page.evaluate(
        """document.body.insertAdjacentHTML("afterbegin",
           '<a id="out" href="https://example.org/" target="_blank">out</a>')"""
    )
    page.click("#out")
    visited = tmp_path / "visited"
    until(lambda: visited.exists() and visited.stat().st_size, "no browser was asked")
    assert visited.read_text() == "https://example.org/\n"
    assert page.url.startswith(app.url)

    page.click("text=Compare models")
    page.wait_for_url(f"{app.url}/compare/**")
    page.get_by_role("link", name="API").click()
    page.wait_for_url(f"{app.url}/api/docs")
    page.wait_for_selector(".opblock")
    # That page has no link back that stays in the window: its menu has.
    screen.click(TITLE, 20, 12)
    screen.press(TITLE, "Down", "Return")
    page.wait_for_url(f"{app.url}/")
    screen.close(TITLE)
    assert app.ended() == 0


def classes_in(mask: Path) -> int:
    with contextlib.suppress(OSError):  # it is still being written
        return len(np.unique(Image.open(mask)))
    return 0


@needs_pywebview
def test_closing_the_window_lets_finish_what_runs(app, screen):
    noise = np.random.default_rng(0).integers(0, 256, (800, 1200), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")

    def segment(flips: str) -> httpx.Response:
        address = f"{app.url}/api/predict?scale=native&flips={flips}&model=streets-wide"
        return httpx.post(address, files={"file": buffer.getvalue()}, timeout=90)

    def running() -> int:
        return httpx.get(f"{app.url}/api/health", timeout=90).json()["queue"]["running"]

    screen.window(TITLE)
    segment("none")
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(segment, "both")
        until(running, "it was done too soon")
        screen.close(TITLE)
        assert answer.result().status_code == 200
    assert app.ended() == 0
    assert screen.find(TITLE) is None


@needs_pywebview
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_the_window_goes_with_the_server(app, screen, number, code):
    screen.window(TITLE)
    # The page is open, and keeps a connection.
    until(lambda: answers(app.inspector), "the window cannot be inspected")
    app.process.send_signal(number)
    assert app.ended() == code
    until(lambda: screen.find(TITLE) is None, "the window stayed", 20)


def test_a_page_that_never_answers_does_not_outlive_its_window(tmp_path):
    """As pywebview does when a window is closed just after a page was loaded."""
    fake = tmp_path / "webview"
    (fake / "platforms").mkdir(parents=True)
    (fake / "__init__.py").write_text(
        "import threading\nfrom unittest.mock import Mock\n"
        "settings, create_window = {}, Mock()\n"
        "def start(*_, **__):\n    threading.Thread(target=threading.Event().wait).start()\n"
    )
    (fake / "menu.py").write_text("Menu = MenuAction = lambda *_: None\n")
    (fake / "platforms" / "qt.py").write_text("class BrowserView: pass\n")
    (tmp_path / "qtpy").mkdir()
    (tmp_path / "qtpy" / "__init__.py").touch()
    (tmp_path / "qtpy" / "QtCore.py").write_text("QStandardPaths = None\n")
    (tmp_path / "qtpy" / "QtWidgets.py").write_text("QFileDialog = None\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "app.desktop", "http://127.0.0.1:1/"],
        cwd=REPOSITORY, env=os.environ | {"PYTHONPATH": str(tmp_path)}, stdin=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.wait(40) == 0
    finally:
        process.kill()
        process.stdin.close()


@needs_pywebview
def test_a_window_that_fails_ends_the_app_with_a_sentence(weights):
    flags = {"QTWEBENGINE_CHROMIUM_FLAGS": "--no-sandbox", "QT_QPA_PLATFORM": "xcb"}
    done = run(APP, "--desktop", DISPLAY=":nowhere", **{WEIGHTS_VARIABLE: str(weights)}, **flags)
    assert done.returncode == 2
    assert "error: The window failed" in done.stderr.splitlines()[-1]
    assert "apt install" in done.stderr
    assert "Traceback" not in done.stderr
