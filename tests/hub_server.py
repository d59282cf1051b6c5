"""A small server of the Hugging Face Hub's protocol, as huggingface_hub 2.4 speaks it.

Models and Spaces live in memory as lists of commits. Large files go the LFS way: the upload
to a signed address, the download by a redirect to another host name, as on the real Hub.
Faults (`HubServer.fail`) are injected into the answers that a pattern matches.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx
import pytest
from huggingface_hub import constants

WRITER, READER = "hf_writer", "hf_reader"
LFS_BYTES = 10_000


@dataclass
class Repository:
    """Commits are (hash, files), the newest last."""

    private: bool = False
    gated: bool = False
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)  # of a Space: sdk, variables, ...

    def commit(self, files: dict[str, bytes]) -> str:
        oid = hashlib.sha1(f"{len(self.commits)}{sorted(files)}".encode()).hexdigest()
        self.commits.append((oid, files))
        return oid

    @property
    def head(self) -> str:
        return self.commits[-1][0]

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision == "main":
            return self.commits[-1]
        return next((commit for commit in self.commits if commit[0] == revision), None)


@dataclass
class Fault:
    """What happens to the next `times` answers to requests like "GET /api/models/a/b"."""

    pattern: str
    times: int = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    drop_after: int | None = None
    corrupt: bool = False
    delay: float = 0.0


class HubServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, handler: type[Handler] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), handler or Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.other_host = f"http://localhost:{self.server_port}"
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.large: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        # What a new Space goes through.
        self.stages = ["NO_APP_FILE", "BUILDING", "APP_STARTING", "RUNNING"]
        # Why cards are refused, if they are.
        self.card_fault = ""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that gave up waiting
            super().handle_error(request, client_address)

    def add(
        self, name: str, files: dict[str, bytes], kind: str = "model", **options: bool
    ) -> Repository:
        """Adds a model, or a Space, with one commit."""
        repository = self.repositories[kind, name] = Repository(**options)
        repository.commit(files)
        return repository

    def fail(self, pattern: str, **fault: Any) -> None:
        self.faults.append(Fault(pattern, **fault))

    def seen(self, pattern: str) -> list[dict[str, str]]:
        """The headers of the requests like this, oldest first."""
        return [headers for line, headers in self.requests if re.search(pattern, line)]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer
    fault: Fault | None = None

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.path = unquote(urlsplit(self.path).path)
        line = f"{self.command} {self.path}"
        self.server.requests.append((line, {k.lower(): v for k, v in self.headers.items()}))
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.fault = next(
            (f for f in self.server.faults if f.times > 0 and re.search(f.pattern, line)), None
        )
        if self.fault:
            self.fault.times -= 1
            time.sleep(self.fault.delay)
            if self.fault.status:
                return self.answer(self.fault.status, b"{}")
        self.respond(line)

    do_HEAD = do_POST = do_PUT = do_GET

    def respond(self, line: str) -> None:
        for pattern, method in ROUTES:
            if match := re.fullmatch(pattern, line):
                return method(self, **match.groupdict())
        self.answer(404, b'{"error": "no such route"}')

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        fault = self.fault or Fault("")
        if fault.corrupt and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.send_response(status)
        named = {k.replace("_", "-").lower(): v for k, v in headers.items()}
        named.setdefault("content-length", str(len(body)))
        for key, value in {**named, **{k.lower(): v for k, v in fault.headers.items()}}.items():
            self.send_header(key, value)
        self.end_headers()
        if fault.drop_after is not None:
            self.wfile.write(body[: fault.drop_after])
            self.close_connection = True
        elif self.command != "HEAD":
            self.wfile.write(body)

    def json(self, values: Any, status: int = 200) -> None:
        self.answer(status, json.dumps(values).encode(), Content_Type="application/json")

    def error(self, status: int, code: str, message: str = "", **headers: str) -> None:
        self.answer(status, X_Error_Code=code, X_Error_Message=message or code, **headers)

    # Access

    @property
    def token(self) -> str | None:
        value = self.headers.get("Authorization")
        return value.removeprefix("Bearer ") if value else None

    def repository(self, kind: str, name: str, *, write: bool = False) -> Repository | None:
        """The repository, or None after the refusal has been sent."""
        if self.token not in (None, WRITER, READER):
            self.error(401, "", "Invalid credentials in Authorization header")
            return None
        repository = self.server.repositories.get((kind, name))
        if repository is None or (repository.private and self.token is None):
            self.error(401 if self.token is None else 404, "RepoNotFound")
        elif write and self.token != WRITER:
            self.error(403, "", "You have no right to write here")
        else:
            return repository
        return None

    # Reading

    def info(self, kind: str, name: str, revision: str | None = None) -> None:
        if not (repository := self.repository(kind, name)):
            return
        commit = repository.at(revision or "main")
        if commit is None:
            return self.error(404, "RevisionNotFound")
        siblings = [{"rfilename": path} for path in commit[1]]
        self.json({"id": name, "sha": commit[0], "private": repository.private,
                   "siblings": siblings, "tags": [], "downloads": 0})  # fmt: skip

    def resolve(self, name: str, revision: str, path: str) -> None:
        if not (repository := self.repository("model", name)):
            return
        if repository.gated and self.token != WRITER:
            return self.error(401 if self.token is None else 403, "GatedRepo")
        commit = repository.at(revision)
        if commit is None:
            return self.error(404, "RevisionNotFound")
        if path not in commit[1]:
            return self.error(404, "EntryNotFound", X_Repo_Commit=commit[0])
        content = commit[1][path]
        headers = {"X_Repo_Commit": commit[0]}
        if is_large(path, content):
            digest = hashlib.sha256(content).hexdigest()
            self.server.large[digest] = content
            self.answer(302, **headers, X_Linked_Etag=f'"{digest}"',
                        X_Linked_Size=str(len(content)), ETag='"pointer"',
                        Location=f"{self.server.other_host}/cdn/{digest}")  # fmt: skip
        else:
            self.file(content, **headers, ETag=f'"{git_hash(content)}"')

    def cdn(self, digest: str) -> None:
        self.file(self.server.large[digest], ETag=f'"{digest}"')

    def file(self, content: bytes, **headers: str) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if not wanted:
            return self.answer(200, content, **headers)
        start = int(wanted[1])
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.answer(206, content[start:], **headers, Content_Range=span)

    # Writing

    def create(self) -> None:
        wanted = json.loads(self.body)
        if self.token != WRITER:
            return self.error(401 if self.token is None else 403, "", "You may not create this")
        key = wanted.get("type") or "model", f"{wanted['organization']}/{wanted['name']}"
        if key in self.server.repositories:
            return self.json({"error": "exists"}, 409)
        repository = Repository(private=wanted.get("visibility") == "private")
        repository.commit({".gitattributes": b"*.safetensors filter=lfs\n"})
        settings = {k: wanted[k] for k in ("sdk", "hardware") if k in wanted}
        stages = {"stages": list(self.server.stages)}
        repository.settings = {"variables": {}, "secrets": {}, **stages, **settings}
        self.server.repositories[key] = repository
        prefix = "spaces/" if key[0] == "space" else ""
        self.json({"url": f"{self.server.url}/{prefix}{key[1]}", "name": key[1]})

    def preupload(self, kind: str, name: str, revision: str) -> None:
        if not (repository := self.repository(kind, name, write=True)):
            return
        there = repository.at(revision)[1]
        files = []
        for wanted in json.loads(self.body)["files"]:
            path, content = wanted["path"], there.get(wanted["path"])
            large = path.endswith(".safetensors") or wanted["size"] > LFS_BYTES
            digest = None
            if content is not None:
                digest = hashlib.sha256(content).hexdigest() if large else git_hash(content)
            mode = "lfs" if large else "regular"
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": digest})
        self.json({"files": files})

    def lfs_batch(self, name: str, prefix: str | None = None) -> None:
        kind = "space" if prefix else "model"
        if not self.repository(kind, name, write=True):
            return
        objects = []
        for wanted in json.loads(self.body)["objects"]:
            known = wanted["oid"] in self.server.large
            target = {"upload": {"href": f"{self.server.other_host}/upload/{wanted['oid']}"}}
            objects.append(wanted if known else {**wanted, "actions": target})
        self.json({"objects": objects, "transfer": "basic"})

    def upload(self, digest: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != digest:
            return self.answer(400)
        self.server.large[digest] = self.body
        self.answer(200)

    def commit(self, kind: str, name: str, revision: str) -> None:
        if not (repository := self.repository(kind, name, write=True)):
            return
        files = dict(repository.at(revision)[1])
        for line in self.body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            match operation["key"]:
                case "header":
                    if value.get("parentCommit", repository.head) != repository.head:
                        return self.error(412, "", "the branch has moved")
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.server.large[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        oid = repository.commit(files)
        self.json({"commitUrl": f"{self.server.url}/{name}/commit/{oid}", "commitOid": oid})

    def validate_yaml(self) -> None:
        content = json.loads(self.body)["content"]
        fault = "no metadata" if not content.startswith("---\n") else self.server.card_fault
        errors = [{"message": fault}] if fault else []
        self.json({"errors": errors, "warnings": []}, 400 if errors else 200)

    # Spaces

    def variables(self, name: str) -> None:
        if not (repository := self.repository("space", name, write=True)):
            return
        if self.command == "POST":
            wanted = json.loads(self.body)
            repository.settings["variables"][wanted["key"]] = {"value": wanted["value"]}
        self.json(repository.settings["variables"])

    def secrets(self, name: str) -> None:
        if repository := self.repository("space", name, write=True):
            self.json(repository.settings["secrets"])

    def hardware(self, name: str) -> None:
        if repository := self.repository("space", name, write=True):
            repository.settings["hardware"] = json.loads(self.body)["flavor"]
            self.runtime(name)

    def restart(self, name: str) -> None:
        if self.repository("space", name, write=True):
            self.runtime(name)

    def runtime(self, name: str) -> None:
        if not (repository := self.repository("space", name)):
            return
        stages = repository.settings["stages"]
        stage = stages.pop(0) if len(stages) > 1 else stages[0]
        hardware = repository.settings.get("hardware")
        known = {"hardware": {"current": hardware, "requested": hardware}}
        if stage.endswith(" head"):  # the Hub does not always say which commit it speaks of
            known["sha"] = repository.head
        self.json({"stage": stage.removesuffix(" head"), **known})

    def logs(self, name: str, which: str) -> None:
        lines = [{"data": f"{which} line {i}\n", "timestamp": ""} for i in range(30)]
        body = "".join(f"data: {json.dumps(line)}\n\n" for line in lines).encode()
        self.answer(200, body, Content_Type="text/event-stream")


_ID = r"(?P<name>[^/]+/[^/]+)"
_API = rf"/api/(?P<kind>model|space)s/{_ID}"
_SPACE = rf"/api/spaces/{_ID}"
ROUTES = (
    (r"POST /api/repos/create", Handler.create),
    (r"POST /api/validate-yaml", Handler.validate_yaml),
    (rf"(?:GET|POST) {_SPACE}/variables", Handler.variables),
    (rf"GET {_SPACE}/secrets", Handler.secrets),
    (rf"POST {_SPACE}/hardware", Handler.hardware),
    (rf"GET {_SPACE}/runtime", Handler.runtime),
    (rf"POST {_SPACE}/restart", Handler.restart),
    (rf"GET {_SPACE}/logs/(?P<which>build|run)", Handler.logs),
    (rf"GET {_API}", Handler.info),
    (rf"GET {_API}/revision/(?P<revision>.+)", Handler.info),
    (rf"POST {_API}/preupload/(?P<revision>.+)", Handler.preupload),
    (rf"POST {_API}/commit/(?P<revision>.+)", Handler.commit),
    (rf"POST /(?P<prefix>spaces/)?{_ID}\.git/info/lfs/objects/batch", Handler.lfs_batch),
    (r"PUT /upload/(?P<digest>\w+)", Handler.upload),
    (r"(?:GET|HEAD) /cdn/(?P<digest>\w+)", Handler.cdn),
    (rf"(?:GET|HEAD) /{_ID}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", Handler.resolve),
)


def is_large(path: str, content: bytes) -> bool:
    return path.endswith(".safetensors") or len(content) > LFS_BYTES


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Relay(HubServer):
    """Injects faults between the client and another server of the protocol."""

    def __init__(self, upstream: str) -> None:
        super().__init__(RelayHandler)
        self.upstream = upstream


class RelayHandler(Handler):
    server: Relay

    def respond(self, line: str) -> None:
        kept = {k: v for k, v in self.headers.items() if k.lower() in ("range", "authorization")}
        url = self.server.upstream + quote(self.path)
        came = httpx.request(self.command, url, headers=kept, content=self.body, timeout=30)
        headers = {
            k: v
            for k, v in came.headers.items()
            if k not in ("date", "server", "transfer-encoding")
        }
        self.answer(came.status_code, came.content, **headers)


@contextmanager
def serving(
    monkeypatch: pytest.MonkeyPatch, home: Any, server: HubServer | None = None
) -> Iterator[HubServer]:
    """Runs a server, with this process's client pointed to it, its cache empty, not logged in.

    The client reads its environment once, when it is imported; hence the patched constants.
    """
    server = server or HubServer()
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    for name, value in {
        "ENDPOINT": server.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": template,
        "HF_URL_HOSTS": frozenset({"127.0.0.1"}),
        "HF_HOME": str(home),
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_ETAG_TIMEOUT": 2,
        "HF_HUB_DOWNLOAD_TIMEOUT": 2,
    }.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", str(home / "assets"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def record_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Lets the client sleep no more; returns the seconds that it would have slept, as it goes."""
    slept: list[float] = []
    clock = SimpleNamespace(sleep=slept.append, time=time.time, monotonic=time.monotonic)
    monkeypatch.setattr("huggingface_hub.utils._http.time", clock)
    monkeypatch.setattr("huggingface_hub.file_download.time", clock)
    return slept
