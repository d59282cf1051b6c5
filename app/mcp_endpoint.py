"""Gradio's MCP endpoint at /gradio_api/mcp/, without its ways to fetch and within our limits.

Its tools are the functions of `app.gradio_api`. Only the "streamable HTTP" transport is served.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote

import gradio.mcp
from gradio.processing_utils import add_root_url
from gradio_client.utils import is_file_obj_with_meta
from mcp import types
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.limits import SHOWN_BYTES
from app.uploads import NOTHING_FETCHED, Refused

FILE_MARK = "/gradio_api/file="
HOW_TO_SEND = (
    "data:image/png;base64,... or the address of a file that was uploaded to this server "
    "(POST /gradio_api/upload, field files). Other addresses are not fetched."
)


class McpEndpoint(gradio.mcp.GradioMCPServer):
    """Takes the place of Gradio's own, see `install`."""

    _file_data_tool_description = ""  # it would speak of a tool that Gradio's own server wants

    def launch_mcp_on_sse(self, app: Starlette, subpath: str, root_path: str) -> None:
        """Mounts it, without the deprecated transport that keeps sessions."""
        self.root_path = root_path
        routes = [
            Route("/schema", self.get_complete_schema),
            Mount("/", _Whole(self.handle_streamable_http)),
        ]
        app.mount(subpath, Starlette(routes=routes))

    def _get_or_create_client(self) -> NoReturn:
        # It would connect to whatever address the first caller's Host header names.
        raise Refused(NOTHING_FETCHED)

    def simplify_filedata_schema(self, schema: dict[str, Any]):
        simplified, positions = super().simplify_filedata_schema(schema)
        for (name,) in positions:
            said = simplified["properties"][name].get("description", "")
            simplified["properties"][name] = {
                **{"type": "string", "format": "uri"},
                "description": f"{said} Send {HOW_TO_SEND}".strip(),
            }
        return simplified, positions

    def convert_strings_to_filedata(self, value: dict[str, Any], filedata_positions: list) -> Any:
        """Files from data URLs, and those uploaded before; never from other addresses."""
        return {
            name: self._file(given)
            if [name] in filedata_positions and isinstance(given, str)
            else given
            for name, given in value.items()
        }

    def _file(self, text: str) -> dict[str, Any]:
        if text.startswith("data:"):
            try:
                return super().convert_strings_to_filedata({"file": text}, [["file"]])["file"]
            except ValueError as error:
                raise Refused(f"The data URL is malformed. Send {HOW_TO_SEND}") from error
        _, mark, path = text.partition(FILE_MARK)
        if not mark:
            raise Refused(f"{NOTHING_FETCHED} Send {HOW_TO_SEND}")
        return {"path": unquote(path), "meta": {"_type": "gradio.FileData"}}

    def postprocess_output_data(self, data: Any, root_url: str) -> list[types.ContentBlock]:
        """Files as they are: Gradio would decode and encode each anew, in the event loop."""
        content: list[types.ContentBlock] = []
        for output in add_root_url(data, root_url, None):
            if not is_file_obj_with_meta(output):
                text = json.dumps(output, ensure_ascii=False)
                content.append(types.TextContent(type="text", text=text))
                continue
            path = Path(output["path"])
            if path.stat().st_size <= SHOWN_BYTES:
                encoded = base64.b64encode(path.read_bytes()).decode()
                content.append(
                    types.ImageContent(type="image", data=encoded, mimeType=output["mime_type"])
                )
            text = f"{output['orig_name']}: {output['url']}"
            content.append(types.TextContent(type="text", text=text))
        return content


def install() -> None:
    """Makes Gradio use it; before the page is mounted or launched."""
    gradio.mcp.GradioMCPServer = McpEndpoint


class _Whole:
    """ASGI middleware that reads the body before the application does, so that what is wrong with
    the body is answered as such: MCP's transport would make an error of the server of it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":  # no other message has a body, nor a bound on it
            return await self.app(scope, receive, send)
        body = await Request(scope, receive).body()
        read = False

        async def read_already() -> Message:
            nonlocal read
            if read:
                return await receive()
            read = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, read_already, send)
