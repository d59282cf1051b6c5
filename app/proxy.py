"""Behind a proxy, below a path of its address: `https://example.org/studio/` (docs/proxy.md)."""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from model.errors import ConfigError

_PATH = re.compile(r"(?:/[\w.~-]+)+", re.ASCII)


def checked_root_path(text: str) -> str:
    """The path that the app is served below, without a slash at its end; "" for none.

    Raises: `ConfigError` if it is no plain absolute path.
    """
    path = text.rstrip("/")
    if path and not _PATH.fullmatch(path):
        raise ConfigError(
            f"--root-path {text}: give the path of the address that visitors use, such as /studio."
        )
    return path


class VisitorsAddress:
    """ASGI middleware that gives the applications the address as the visitor sees it.

    Gradio, Streamlit and FastAPI make addresses from the request's path, its `root_path` and
    its host. A proxy may take its own path off the request (nginx's `proxy_pass` with a slash
    at its end) or leave it there; here both come out the same, with the path on.

    Args:
        root_path: the path that the app is served below, as `checked_root_path` returns it;
            without one, each request's X-Forwarded-Prefix counts.
    """

    def __init__(self, app: ASGIApp, root_path: str = "") -> None:
        self.app = app
        self.root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = self._seen(scope)
        await self.app(scope, receive, send)

    def _seen(self, scope: Scope) -> Scope:
        headers = Headers(scope=scope)
        root_path = self.root_path or _forwarded(headers, "x-forwarded-prefix").rstrip("/")
        # Anybody can send the header; what is no path is none of ours.
        if not _PATH.fullmatch(root_path):
            return scope
        path = scope["path"]
        if not f"{path}/".startswith(f"{root_path}/"):
            path = root_path + path
        scope = {**scope, "path": path, "root_path": root_path, "headers": [*scope["headers"]]}
        seen = MutableHeaders(scope=scope)
        # What tells `app.visitors` of the proxy, which may not have sent it.
        seen["x-forwarded-prefix"] = root_path
        if host := _forwarded(headers, "x-forwarded-host"):
            # Gradio would take this for the whole address, without the path.
            seen["host"] = host
            del seen["x-forwarded-host"]
        return scope


def _forwarded(headers: Headers, name: str) -> str:
    """The header's first value, which the proxy nearest to the visitor wrote."""
    return headers.get(name, "").partition(",")[0].strip()
