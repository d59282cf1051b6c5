"""The app in a window of its own (`python app.py --desktop`), by pywebview.

The window is a process beside the server's: both need their program's main thread, and a web view
that crashes takes no work along. It lives as long as its standard input, whose other end the
server's process holds, is open.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

from app import look
from model.errors import ConfigError

LINUX = sys.platform == "linux"
NEEDED = ("webview", "qtpy", "PySide6") if LINUX else ("webview",)
DEBIAN = (
    "libegl1 libgl1 libnss3 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxkbcommon-x11-0 "
    "libxkbfile1 libxtst6"
)

PATIENCE = 5.0
"""Seconds that the window is given to close."""

# Shown until the server answers: the web view keeps a page until the next one begins.
STARTING = f"""<!doctype html><title>{look.TITLE}</title><style>
:root {{ color-scheme: light dark; font: 1.1rem {look.FONT} }}
body {{ display: grid; place-content: center; height: 100vh; margin: 0; text-align: center }}
h1 {{ color: light-dark({look.ACCENT}, {look.ACCENT_DARK}) }}
</style><h1>{look.TITLE}</h1><p role="status">Starting …</p>"""


class Window:
    """A context whose `show` opens the window; leaving the context closes it.

    Raises: `ConfigError` where it cannot be opened, at the end if only opening it tells.
    """

    def __init__(self) -> None:
        if LINUX and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise ConfigError(
                "--desktop needs a display, but neither DISPLAY nor WAYLAND_DISPLAY names one. "
                "Without --desktop the app is a page for any browser."
            )
        if not all(importlib.util.find_spec(name) for name in NEEDED):
            raise ConfigError("--desktop needs: pip install -r requirements-desktop.txt")
        self._process: subprocess.Popen | None = None
        self._leaving = False

    def show(self, url: str) -> None:
        """Shows the page and waits until the user closes it; that ends this process as SIGTERM
        does."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "app.desktop", url],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            # Ctrl-C is for the server, which finishes what runs and then closes the window.
            start_new_session=True,
        )
        self._process.wait()
        if not self._leaving:
            signal.raise_signal(signal.SIGTERM)

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving = True
        if self._process is None:
            return
        self._process.stdin.close()
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return self._process.kill()
        if code:
            help_ = f" On Debian and Ubuntu, Qt needs: apt install {DEBIAN}" if LINUX else ""
            raise ConfigError(f"The window failed ({code}); what it said stands above.{help_}")


def main(url: str) -> None:
    """Shows the window until it is closed or standard input ends.

    Args: url: of the segment page, with a slash at its end.
    """
    if LINUX:
        os.environ["QT_API"] = "pyside6"  # there may be other bindings, without a web view
        os.environ.setdefault("QT_LOGGING_RULES", "js=false")  # what pages write to their console
    import webview
    from webview.menu import Menu, MenuAction

    if LINUX:
        _mend_downloads()
    webview.settings["ALLOW_DOWNLOADS"] = True
    window = webview.create_window(
        look.TITLE,
        html=STARTING,
        width=1280,
        height=900,
        min_size=(360, 480),
        background_color=look.BACKGROUND,
        text_select=True,
        zoomable=True,
        hidden=True,  # until there is something to see
    )

    def close_with_the_server() -> None:
        sys.stdin.read()
        window.destroy()

    def load() -> None:
        window.events.loaded.wait()
        window.show()
        window.load_url(url)

    # A window has no address bar, and not every page leads back.
    addresses = {"Segment": url, "Compare": f"{url}compare/", "API": f"{url}api/docs"}
    pages = [MenuAction(name, partial(window.load_url, at)) for name, at in addresses.items()]
    threading.Thread(target=close_with_the_server, daemon=True).start()
    webview.start(load, menu=[Menu("Pages", pages)], gui="qt" if LINUX else None)


def _mend_downloads() -> None:
    """pywebview 6.2 asks where to save under Qt 6, and then calls what only Qt 5 had."""
    try:
        from webview.platforms.qt import BrowserView
    except ImportError as error:  # a library of the system
        sys.exit(f"error: Qt cannot be loaded: {error}")
    from qtpy.QtCore import QStandardPaths
    from qtpy.QtWidgets import QFileDialog

    def save(view, download) -> None:
        folder = QStandardPaths.writableLocation(QStandardPaths.DownloadLocation)
        suggested = str(Path(folder, download.suggestedFileName()))
        if path := QFileDialog.getSaveFileName(view, "Save", suggested)[0]:
            download.setDownloadDirectory(str(Path(path).parent))
            download.setDownloadFileName(Path(path).name)
            download.accept()

    BrowserView.on_download_requested = save


if __name__ == "__main__":
    main(sys.argv[1])
    # A thread of pywebview's that asked a page something waits for ever if that page was closed.
    os._exit(0)
