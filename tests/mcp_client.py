"""What programs that speak the Model Context Protocol do, by its own library."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult

from tests.loops import run_apart

T = TypeVar("T")


def with_mcp(
    url: str, ask: Callable[[ClientSession], Awaitable[T]], *, verify: bool = True, **headers: str
) -> T:
    """What `ask` returns for a session at the endpoint `url`."""

    async def talk() -> T:
        async with (
            httpx.AsyncClient(headers=headers, timeout=60, verify=verify) as client,
            streamable_http_client(url, http_client=client) as streams,
            ClientSession(*streams[:2]) as session,
        ):
            await session.initialize()
            return await ask(session)

    return run_apart(talk())


def call_tool(url: str, name: str, *, verify: bool = True, **arguments: Any) -> CallToolResult:
    return with_mcp(url, lambda session: session.call_tool(name, arguments), verify=verify)


def data_url(picture: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
