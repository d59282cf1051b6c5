"""Starts U-Net Studio: python app.py, then open http://127.0.0.1:7860.

In a window of its own: python app.py --desktop
"""

from __future__ import annotations

import os
import sys
import webbrowser
from dataclasses import dataclass, field

import tyro

from model.errors import ConfigError, exit_code


def _default_port() -> int:
    text = os.environ.get("PORT") or "7860"
    if not text.isdecimal():
        sys.exit(f"error: PORT is '{text}' in the environment, but must be a number.")
    return int(text)


@dataclass(frozen=True)
class Arguments:
    """U-Net Studio: segment pictures, compare models, call the API, all on one port."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets other machines in."""
    port: int = field(default_factory=_default_port)
    """Port to listen on; by default PORT of the environment, else 7860."""
    model: str | None = None
    """The checkpoint that is preselected: a name in weights/, a checkpoint folder's path, or
    owner/name[@revision] on the Hub."""
    root_path: str = ""
    """The path below which a proxy serves it, such as /studio (docs/proxy.md)."""
    open: bool = False
    """Open the page in the browser."""
    desktop: bool = False
    """Open it in a window of its own instead, on a free port of this machine. Closing the window
    ends the app. Needs requirements-desktop.txt."""


def main() -> int:
    arguments = tyro.cli(Arguments, prog="python app.py")
    run = _in_a_window if arguments.desktop else _in_the_browser
    return exit_code(lambda: run(arguments))


def _in_the_browser(arguments: Arguments) -> None:
    from app.server import serve  # after `--help`, which needs none of it

    serve(
        arguments.host,
        arguments.port,
        model=arguments.model,
        root_path=arguments.root_path,
        show=webbrowser.open if arguments.open else None,
    )


def _in_a_window(arguments: Arguments) -> None:
    for name in ("host", "port", "root_path", "open"):
        if getattr(arguments, name) != getattr(Arguments(), name):
            raise ConfigError(
                f"--desktop shows the app in a window on this machine and takes a free port: leave "
                f"out either --desktop or --{name.replace('_', '-')}."
            )
    from app.desktop import Window
    from app.server import serve

    with Window() as window:
        serve("127.0.0.1", 0, model=arguments.model, show=window.show)


if __name__ == "__main__":
    sys.exit(main())
