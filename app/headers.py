"""What browsers are told about every answer, and which other sites may ask."""

from __future__ import annotations

import os
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model.errors import ConfigError

ORIGINS_VARIABLE = "UNET_STUDIO_ORIGINS"
"""Environment variable with the origins, separated by spaces, whose scripts may call this server
from a visitor's browser: `https://example.org`. By default none."""

COMMON = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
}

# Gradio and Streamlit write scripts and styles into their pages; what they may load is bounded.
# Any site may show them in a frame, as Spaces and teachers' pages do: there is no account and no
# cookie that it could misuse, and a proxy can forbid it (docs/proxy.md).
PAGE_POLICY = "object-src 'none'; base-uri 'self'; form-action 'self'"

FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""For what visitors sent and what was made of it: shown, never run."""

_FILES = re.compile(r".*(/gradio_api/file[=/]|/media/|/api/(?!docs|static|openapi))")
_ORIGIN = re.compile(r"https?://[\w.-]+(:\d+)?", re.ASCII)


class SecurityHeaders:
    """ASGI middleware that adds the headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        policy = FILE_POLICY if _FILES.match(scope["path"]) else PAGE_POLICY

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in COMMON.items():
                    headers.setdefault(name, value)
                headers["Content-Security-Policy"] = policy
            await send(message)

        await self.app(scope, receive, send_with_headers)


def allowed_origins() -> list[str]:
    """The origins that the environment names. Raises `ConfigError` for what is none."""
    origins = os.environ.get(ORIGINS_VARIABLE, "").split()
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ConfigError(
                f"{ORIGINS_VARIABLE} names '{origin}', which is no origin such as "
                "https://example.org."
            )
    return origins
