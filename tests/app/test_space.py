"""The Space: what follows from Spacefile is in step with it, complete, and gets online."""

from __future__ import annotations

import ast
import importlib.metadata
import io
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import httpx
import pytest
import yaml
from PIL import Image

from app import gradio_space, segment_page, space_files, spacefile
from app.space import ROOT, Publish, Render, publish, render
from model import writing
from model.checkpoints import folder
from model.checkpoints.folder import DESCRIPTION_FILE, WEIGHTS_FILE
from model.checkpoints.hub import FILES
from model.data import streets
from model.errors import ConfigError, StudioError
from tests.hub_server import READER, WRITER, serving

NAME = "owner/studio"

SMALL = """\
title: Small
emoji: 👩‍🔬
colour_from: green
colour_to: blue
summary: A small Space
licence: mit
sdk: docker
python: "3.12"
models: [streets-scratch]
variables: {GREETING: hello}
secrets: {HF_TOKEN: to pull private models}
files: [app.py, app, model, weights/registry]
leave_out: [lightning]
"""


@pytest.fixture
def project(tmp_path, weights) -> Path:
    """A repository of its own: this one's code, a small Spacefile, made-up checkpoints."""
    root = tmp_path / "project"
    root.mkdir()
    for name in ("app", "model"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(weights, root / "weights")
    for name in ("app.py", "requirements.txt", "weights/registry"):
        shutil.copy(ROOT / name, root / name)
    (root / "Spacefile").write_text(SMALL)
    return root


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with serving(monkeypatch, tmp_path / "home") as server:
        monkeypatch.setenv("HF_TOKEN", WRITER)
        yield server


def edit(project: Path, *replacements: tuple[str, str]) -> None:
    text = (project / "Spacefile").read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    (project / "Spacefile").write_text(text)


# The repository's own files


@pytest.mark.parametrize(
    "name", [space_files.DOCKERFILE, space_files.DOCKERIGNORE, space_files.SPACE_REQUIREMENTS]
)
def test_kept_file_is_in_step_with_the_spacefile(name):
    space = spacefile.read(ROOT / "Spacefile")
    expected = space_files.kept(space, ROOT)[name]
    assert (ROOT / name).read_text() == expected, "run: python -m app.space render"


def test_all_that_goes_is_there():
    files = space_files.all_files(spacefile.read(ROOT / "Spacefile"), ROOT)
    assert {"app.py", "README.md", "Dockerfile", "app/.streamlit/config.toml"} <= set(files)


def test_every_field_is_documented_in_the_spacefile():
    text = (ROOT / "Spacefile").read_text()
    fields = set(spacefile.Spacefile.model_fields)
    assert set(yaml.safe_load(text)) == fields


def test_space_installs_whatever_the_app_imports():
    """What is left out may be missing where only training, or a function of `model`, needs it."""
    left_out = {canonical(name) for name in spacefile.read(ROOT / "Spacefile").leave_out}
    lines = (ROOT / space_files.SPACE_REQUIREMENTS).read_text().splitlines()
    installed = {canonical(re.split(r"==|\[", line)[0]) for line in lines if "==" in line}
    waiting = set(installed)
    while waiting:
        waiting = requirements_of(waiting.pop()) - installed | waiting
        installed |= waiting
    packages = importlib.metadata.packages_distributions()
    sources = [ROOT / "app.py", *(ROOT / "app").rglob("*.py"), *(ROOT / "model").rglob("*.py")]
    for source in sources:
        # Those two have requirements of their own; the Space does without.
        own = ("cluster.py", "desktop.py")
        if source.is_relative_to(ROOT / "model" / "training") or source.name in own:
            continue
        always, sometimes = imported(source)
        for module in (always | sometimes) & set(packages):
            names = {canonical(name) for name in packages[module]}
            if source.is_relative_to(ROOT / "model") and module not in always:
                names -= left_out
                if not names:
                    continue
            assert names & installed, f"{source} imports {module}, which the Space lacks"


def imported(source: Path) -> tuple[set[str], set[str]]:
    """Packages that a file imports at once, and those it imports somewhere."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    return names_of(tree.body), names_of(ast.walk(tree))


def names_of(nodes: Iterable[ast.AST]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def requirements_of(package: str) -> set[str]:
    """What a package always brings with it."""
    try:
        lines = importlib.metadata.requires(package) or []
    except importlib.metadata.PackageNotFoundError:  # for another system or Python
        return set()
    return {canonical(re.split(r"[^\w.-]", x)[0]) for x in lines if "extra ==" not in x}


def canonical(package: str) -> str:
    """As indexes compare names (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package).lower()


def test_image_has_pytorch_without_cuda():
    text = (ROOT / space_files.SPACE_REQUIREMENTS).read_text()
    assert re.search(r"^torch==[\d.]+\+cpu$", text, re.MULTILINE)
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in text


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_health_check_asks_the_api(status, code):
    paths = []

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        Thread(target=server.handle_request, daemon=True).start()
        dockerfile = (ROOT / "Dockerfile").read_text()
        script = re.search(r'CMD \["python", "-c", "(.*)"\]', dockerfile)[1]
        script = script.replace(":7860/", f":{server.server_port}/")
        done = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert (done.returncode, paths) == (code, ["/api/health"])


def test_uploads_work_in_a_frame_on_another_site():
    """There the browser keeps back the cookie that Streamlit would want with an upload."""
    config = tomllib.loads((ROOT / "app" / ".streamlit" / "config.toml").read_text())
    assert config["server"]["enableXsrfProtection"] is False


# Rendering


def test_dry_run_writes_what_publish_would_upload(project, hub, tmp_path, capsys):
    target = tmp_path / "space"
    assert publish(Publish(NAME, dry_run=target, root=project)) == 0
    assert not hub.requests
    assert f"in {target}" in capsys.readouterr().out
    publish(Publish(NAME, root=project))
    uploaded = hub.repositories["space", NAME].commits[-1][1]
    written = {
        path.relative_to(target).as_posix(): path.read_bytes()
        for path in target.rglob("*")
        if path.is_file()
    }
    assert written == {name: text for name, text in uploaded.items() if name != ".gitattributes"}
    assert "weights/streets-scratch/model.safetensors" in written
    assert not any("weights/pets" in name or "__pycache__" in name for name in written)


def test_front_matter_says_what_the_hub_needs(project):
    space = spacefile.read(project / "Spacefile")
    front = yaml.safe_load(space_files.rendered(space, project)["README.md"].split("---")[1])
    assert front == {
        "title": "Small", "emoji": "👩‍🔬", "colorFrom": "green", "colorTo": "blue",
        "sdk": "docker", "app_port": 7860, "short_description": "A small Space", "license": "mit",
        "suggested_hardware": "cpu-basic",
    }  # fmt: skip


def test_studies_go_along_and_what_is_only_reported_does_not(project):
    (project / "weights" / "studies" / "streets-scratch.json").write_text("{}")
    edit(project, ("weights/registry]", "weights/registry, weights/studies]"))
    space = spacefile.read(project / "Spacefile")
    files = space_files.all_files(space, project)
    assert "weights/studies/streets-scratch.json" in files
    assert not any(name.startswith("weights/reported") for name in files)
    assert "!weights/studies\n" in files[".dockerignore"].decode()
    assert "weights/studies" in spacefile.read(ROOT / "Spacefile").files


def test_port_and_python_reach_the_dockerfile(project):
    edit(project, ('python: "3.12"', 'python: "3.11"\nport: 8000'))
    render(Render(project))
    dockerfile = (project / "Dockerfile").read_text()
    assert "FROM python:3.11-slim" in dockerfile
    assert dockerfile.count("8000") == 5
    assert "7860" not in dockerfile


def test_weights_from_the_hub_are_pulled_into_the_image(project):
    commit = "0" * 40
    (project / "weights" / "registry").write_text(f"streets-scratch: owner/streets@{commit}\n")
    edit(project, ("[streets-scratch]", "[streets-scratch, other/roads@v1]"))
    space = spacefile.read(project / "Spacefile")
    files = space_files.all_files(space, project)
    assert "weights/streets-scratch/config.json" in files
    assert "weights/streets-scratch/model.safetensors" not in files
    dockerfile = files["Dockerfile"].decode()
    assert "python -m model pull streets-scratch &&" in dockerfile
    assert "python -m model pull other/roads@v1 --output weights/roads &&" in dockerfile
    assert dockerfile.index("model pull") < dockerfile.index("USER 1000")
    front = yaml.safe_load(files["README.md"].decode().split("---")[1])
    assert front["models"] == ["owner/streets", "other/roads"]


def test_gradio_sdk_is_one_switch(project):
    edit(project, ("sdk: docker", "sdk: gradio"))
    files = space_files.all_files(spacefile.read(project / "Spacefile"), project)
    assert "Dockerfile" not in files
    front = yaml.safe_load(files["README.md"].decode().split("---")[1])
    assert front["sdk"] == "gradio"
    assert front["python_version"] == "3.12"
    assert f"gradio[mcp]=={front['sdk_version']}" in files["requirements.txt"].decode().splitlines()
    assert front["app_file"] in files
    assert "torch==2.12.1+cpu" in files["requirements.txt"].decode()


def test_zero_gpu_brings_its_own_pytorch(project):
    edit(project, ("sdk: docker", "sdk: gradio\nhardware: zero-a10g"))
    requirements = space_files.rendered(spacefile.read(project / "Spacefile"), project)
    assert "cpu" not in requirements["requirements.txt"]
    assert "torch" in requirements["requirements.txt"].splitlines()


def test_models_of_unknown_terms_need_a_licence(project):
    path = project / "weights" / "streets-scratch" / DESCRIPTION_FILE
    description = json.loads(path.read_text())
    description["data"]["licence"] = "not stated"
    writing.write_json(path, description)
    space = spacefile.read(project / "Spacefile")
    with pytest.raises(ConfigError, match=r"streets-scratch was trained on .*--licence"):
        space_files.all_files(space, project)


def test_what_training_left_to_go_on_stays_here(project):
    run = project / "weights" / "streets-scratch"
    for left in ("resume/last.ckpt", "samples/epoch-1.png", "report.html"):
        (run / left).parent.mkdir(exist_ok=True)
        (run / left).write_bytes(b"the state of the optimiser, or pictures of the data set")
    space = spacefile.read(project / "Spacefile")
    files = space_files.all_files(space, project)
    own = {name.split("/", 2)[2] for name in files if name.startswith("weights/streets-scratch/")}
    assert own <= set(FILES)
    listed = space_files.kept(space, project)[space_files.DOCKERIGNORE].splitlines()
    assert {f"weights/*/{name}" for name in ("report.html", "resume", "samples")} <= set(listed)


@pytest.mark.parametrize(
    ("old", "new", "faults"),
    [
        ("colour_from: green", "colour_from: orange", ["line 3: colour_from: Input should be"]),
        ("title: Small", "titel: Small", ["line 1: title: Field req", "line 1: titel: Extra"]),
        ('python: "3.12"', "python: 3.12", ["line 8: python: Input should be a valid string"]),
        ("summary: A small", "summary: " + "A" * 70, ["line 5: summary: String should have"]),
        ("emoji: 👩‍🔬", "emoji: U", ["line 2: emoji: must be one emoji"]),
        ("GREETING: hello", "GREETING: 1", ["line 10: variables.GREETING: Input"]),
        ("files: [app.py, app, model, weights/registry]", "files:\n  - app.py\n  - /etc\n  - ../x",
         ["line 14: files.1: must lie inside", "line 15: files.2: must lie inside"]),
        ("licence: mit", "licence: MIT", ['identifiers; "MIT" is "mit" there']),
        ("[streets-scratch]", "[streets-scratch, me/streets-scratch@v1]", ["two would be called"]),
        ("sdk: docker", "hardware: zero-a10g", ["line 1: hardware zero-a10g"]),
        ('sdk: docker\npython: "3.12"', 'sdk: gradio\nhardware: zero-a10g\npython: "3.13"',
         ["line 1: hardware zero-a10g (ZeroGPU) needs python"]),
        ("sdk: docker", "sdk: gradio\nport: 8000", ["line 1: sdk: gradio needs port: 7860"]),
        (SMALL, "- list", ["line 1: there must be fields"]),
        ("secrets: {", "secrets: {{", ["Spacefile, line 12: expected"]),
        (SMALL, "a: 2020-99-99", ["is not YAML"]),
    ],
)  # fmt: skip
def test_fault_in_the_spacefile_is_told_with_its_line(project, old, new, faults):
    edit(project, (old, new))
    with pytest.raises(ConfigError) as caught:
        spacefile.read(project / "Spacefile")
    for fault in faults:
        assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[streets-scratch]", "[streets-scratch, nonsense]", "no checkpoint weights/nonsense"),
        ("[app.py,", "[app.py, missing.txt,", "lists missing.txt, but there is no such file"),
    ],
)
def test_what_is_listed_but_missing_is_told(project, old, new, sentence):
    edit(project, (old, new))
    with pytest.raises(ConfigError, match=sentence):
        publish(Publish(NAME, dry_run=project / "out", root=project))


def test_dry_run_leaves_a_full_folder_alone(project):
    with pytest.raises(ConfigError, match="not empty"):
        publish(Publish(NAME, dry_run=project, root=project))


# The ten lines of docs/publish.md

TINY = "--base-width 4 --depth 2 --longest-side 64 --crop 64 --epochs 1 --batch-size 2"


def blocks(language: str) -> list[str]:
    text = (ROOT / "docs" / "publish.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_documented_lines_lead_to_a_public_space(project, hub, tmp_path):
    """Against the small server, which needs no account."""
    hub.stages = ["NO_APP_FILE", "RUNNING"]
    for scene in range(8):
        image, labels = streets.draw(scene, (80, 64))
        for kind, array in (("images", image), ("masks", labels)):
            (project / "photos" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(project / "photos" / kind / f"{scene}.png")
    commands = [line for block in blocks("sh")[:4] for line in block.splitlines()]
    assert len([*commands, *blocks("yaml")[0].splitlines()]) <= 10
    assert commands[-1].startswith("python -m app.space publish")
    edit(project, ("models: [streets-scratch]\n", blocks("yaml")[0]))
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("UNET_", "HF_"))},
        **{"HF_ENDPOINT": hub.url, "HF_TOKEN": WRITER, "HF_HUB_DISABLE_XET": "1"},
        **{"HF_HOME": str(tmp_path / "own"), "UNET_STUDIO_CACHE": str(tmp_path / "cache")},
    }
    for line in commands:
        tiny = TINY if " train " in line else ""
        program, *arguments = shlex.split(f"{line} {tiny}".replace("you/", "owner/"))
        if line == "hf auth login":
            assert not hub.requests, "nothing before it needs an account"
            arguments.append("--help")
        done = subprocess.run(
            [Path(sys.executable).with_name(program), *arguments],
            cwd=project, env=environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert not hub.repositories["model", "owner/photos-scratch"].private
    space = hub.repositories["space", "owner/photos"]
    assert not space.private
    files = space.commits[-1][1]
    assert f"weights/photos-scratch/{WEIGHTS_FILE}" in files
    description = json.loads(files[f"weights/photos-scratch/{DESCRIPTION_FILE}"])
    assert description["data"]["licence"] == "CC BY 4.0"


# Publishing


def test_publish_creates_configures_uploads_and_waits(project, hub, capsys):
    assert publish(Publish(NAME, root=project)) == 0
    space = hub.repositories["space", NAME]
    assert space.private
    assert space.settings["sdk"] == "docker"
    assert space.settings["hardware"] == "cpu-basic"
    assert space.settings["variables"] == {"GREETING": {"value": "hello"}}
    assert len(space.commits) == 2
    output = capsys.readouterr().out
    assert f"{hub.url}/spaces/{NAME}: RUNNING" in output
    assert "still to be set" in output
    assert "HF_TOKEN (to pull private models)" in output
    assert len(hub.seen("GET .*/runtime")) == 4  # the hardware, and each of three stages


def test_second_publish_changes_nothing(project, hub, capsys):
    publish(Publish(NAME, root=project, wait=0))
    space = hub.repositories["space", NAME]
    space.settings["secrets"] = {"HF_TOKEN": {}}
    before = list(space.commits)
    hub.requests.clear()
    capsys.readouterr()
    assert publish(Publish(NAME, root=project, wait=0)) == 0
    assert space.commits == before
    assert not hub.seen("^PUT|/commit/|POST .*/variables|/repos/create|/hardware")
    output = capsys.readouterr().out
    assert "Nothing has changed" in output
    assert "still to be set" not in output


def test_publish_removes_what_no_longer_goes(project, hub):
    publish(Publish(NAME, root=project, wait=0))
    edit(project, ("[streets-scratch]", "[streets-wide]"), ("weights/registry", "requirements.txt"))
    publish(Publish(NAME, root=project, wait=0))
    files = hub.repositories["space", NAME].commits[-1][1]
    assert "weights/registry" not in files
    assert not any("streets-scratch" in name for name in files)
    assert f"weights/streets-wide/{WEIGHTS_FILE}" in files


def test_changed_hardware_is_requested(project, hub):
    publish(Publish(NAME, root=project, wait=0))
    edit(project, ("sdk: docker", "sdk: docker\nhardware: cpu-upgrade"))
    publish(Publish(NAME, root=project, wait=0))
    assert hub.repositories["space", NAME].settings["hardware"] == "cpu-upgrade"


@pytest.mark.parametrize("change", ["variable", "hardware"])
def test_a_changed_setting_alone_is_waited_for(project, hub, capsys, change):
    """The Space starts again for it, which the Hub does not report at once."""
    publish(Publish(NAME, root=project, wait=0))
    space = hub.repositories["space", NAME]
    stages = ["RUNNING head", "RUNNING head", "RUNNING head", "APP_STARTING head", "RUNNING head"]
    space.settings["stages"] = stages
    if change == "variable":
        edit(project, ("GREETING: hello", "GREETING: welcome"))
    else:
        space.settings["hardware"] = "cpu-upgrade"
    assert publish(Publish(NAME, root=project)) == 0
    assert stages == ["RUNNING head"]
    output = capsys.readouterr().out
    assert "Nothing has changed" in output
    assert "starts again" in output


def test_a_start_that_nobody_saw_is_not_waited_for(project, hub, monkeypatch):
    monkeypatch.setattr("app.space.BEGIN_SECONDS", 0)
    publish(Publish(NAME, root=project, wait=0))
    hub.repositories["space", NAME].settings["stages"] = ["RUNNING head"]
    edit(project, ("GREETING: hello", "GREETING: welcome"))
    assert publish(Publish(NAME, root=project)) == 0


def test_variables_that_are_listed_no_longer_are_named_and_stay(project, hub, capsys):
    publish(Publish(NAME, root=project, wait=0))
    variables = hub.repositories["space", NAME].settings["variables"]
    variables["BY_HAND"] = {"value": "1"}
    edit(project, ("variables: {GREETING: hello}", "variables: {}"))
    capsys.readouterr()
    publish(Publish(NAME, root=project, wait=0))
    assert set(variables) == {"GREETING", "BY_HAND"}
    output = capsys.readouterr().out
    assert "does not list: BY_HAND, GREETING." in output
    assert f"{hub.url}/spaces/{NAME}/settings" in output


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("app.space.POLL_SECONDS", 0.001)


@pytest.mark.parametrize(
    ("stages", "code"),
    [
        (["RUNNING", "RUNNING", "RUNNING_BUILDING", "RUNTIME_ERROR"], 1),
        (["BUILD_ERROR", "BUILD_ERROR", "BUILDING", "APP_STARTING", "RUNNING"], 0),
        (["RUNNING", "RUNNING", "RUNNING head"], 0),
        (["RUNNING", "RUNNING_BUILDING head", "RUNNING head"], 0),
        (["PAUSED", "PAUSED"], 1),
    ],
)
def test_the_state_before_a_change_is_not_taken_for_the_one_after_it(project, hub, stages, code):
    """For a while the Hub goes on to report what ran before."""
    publish(Publish(NAME, root=project, wait=0))
    space = hub.repositories["space", NAME]
    space.settings["stages"] = list(stages)
    edit(project, ("title: Small", "title: Other"))
    assert publish(Publish(NAME, root=project)) == code
    assert space.settings["stages"] == stages[-1:]


def test_unchanged_space_is_taken_as_it_is(project, hub, capsys):
    publish(Publish(NAME, root=project, wait=0))
    hub.repositories["space", NAME].settings["stages"] = ["RUNNING"]
    assert publish(Publish(NAME, root=project, wait=1)) == 0
    output = capsys.readouterr().out
    assert "Nothing has changed" in output
    assert output.endswith(": RUNNING\n")


def test_a_space_that_is_something_else_is_not_touched(project, hub):
    space = hub.add(NAME, {"app.py": b"mine", "data/precious.csv": b"1"}, kind="space")
    before, settings = space.commits[-1], dict(space.settings)
    with pytest.raises(ConfigError, match=r"holds something else, such as app\.py"):
        publish(Publish(NAME, root=project, wait=0))
    assert space.commits[-1] == before
    assert space.settings == settings


@pytest.mark.parametrize(("stage", "log"), [("BUILD_ERROR", "build"), ("RUNTIME_ERROR", "run")])
def test_failed_space_shows_the_end_of_its_log(project, hub, capsys, stage, log):
    publish(Publish(NAME, root=project, wait=0))
    hub.repositories["space", NAME].settings["stages"] = ["BUILDING", stage]
    assert publish(Publish(NAME, root=project)) == 1
    output = capsys.readouterr()
    assert not hub.seen("/restart")
    assert stage in output.out
    assert f"{log} line 29" in output.err
    assert f"{log} line 9\n" not in output.err


@pytest.mark.parametrize("end", ["RUNNING", "BUILD_ERROR", "CONFIG_ERROR"])
def test_what_failed_is_built_again_though_nothing_has_changed(project, hub, capsys, end):
    """As after a secret was set that the first build lacked."""
    publish(Publish(NAME, root=project, wait=0))
    failed = "CONFIG_ERROR" if end == "CONFIG_ERROR" else "BUILD_ERROR"
    stages = [failed, f"{failed} head", f"{failed} head", "BUILDING", f"{end} head"]
    hub.repositories["space", NAME].settings["stages"] = stages
    assert publish(Publish(NAME, root=project)) == (end != "RUNNING")
    assert len(hub.seen("POST .*/restart")) == 1
    output = capsys.readouterr().out
    assert "Nothing has changed" in output
    assert "is being built" in output


def test_what_fails_again_at_once_is_not_waited_for(project, hub, monkeypatch):
    monkeypatch.setattr("app.space.BEGIN_SECONDS", 0)
    publish(Publish(NAME, root=project, wait=0))
    hub.repositories["space", NAME].settings["stages"] = ["BUILD_ERROR"]
    assert publish(Publish(NAME, root=project)) == 1


def test_a_sleeping_space_is_well(project, hub):
    publish(Publish(NAME, root=project, wait=0))
    hub.repositories["space", NAME].settings["stages"] = ["SLEEPING"]
    assert publish(Publish(NAME, root=project)) == 0
    assert not hub.seen("/restart")


def test_a_newer_version_of_a_model_on_the_hub_reaches_the_space(project, hub):
    edit(project, ("[streets-scratch]", "[owner/streets]"))
    weights = project / "weights" / "streets-scratch"
    dockerfiles = []
    for _ in range(2):
        commit = put_on_hub(hub, "owner/streets", weights)
        publish(Publish(NAME, root=project, wait=0))
        dockerfiles.append(hub.repositories["space", NAME].commits[-1][1]["Dockerfile"].decode())
        assert f"pull owner/streets@{commit}" in dockerfiles[-1]
        (weights / folder.CARD_FILE).write_text("newer")
    assert dockerfiles[0] != dockerfiles[1]


def test_secrets_that_lie_about_go_nowhere(project, hub):
    for name in (".streamlit/secrets.toml", ".env", ".DS_Store"):
        (project / "app" / name).parent.mkdir(exist_ok=True)
        (project / "app" / name).write_text("password")
    publish(Publish(NAME, root=project, wait=0))
    files = hub.repositories["space", NAME].commits[-1][1]
    assert not [name for name in files if name.endswith(("secrets.toml", ".env", ".DS_Store"))]
    assert "**/secrets.toml" in files[".dockerignore"].decode()


@pytest.mark.parametrize("stages", [["RUNNING", "BUILDING"], ["RUNNING"]])
def test_build_that_takes_too_long_is_told(project, hub, stages):
    """Or that does not begin."""
    publish(Publish(NAME, root=project, wait=0))
    hub.repositories["space", NAME].settings["stages"] = list(stages)
    edit(project, ("title: Small", "title: Other"))
    with pytest.raises(StudioError, match=f"not built after 0 seconds; its state is {stages[-1]}"):
        publish(Publish(NAME, root=project, wait=0.01))


@pytest.mark.parametrize(
    ("token", "fault", "sentence"),
    [
        (None, {}, "needs an account"),
        (READER, {}, "your token does not allow"),
        (WRITER, {"pattern": "POST /api/repos", "status": 402}, "asks for a subscription"),
        (WRITER, {"pattern": "/commit/", "status": 503}, "has a problem"),
    ],
)
def test_refused_publish_becomes_a_sentence(project, hub, monkeypatch, token, fault, sentence):
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    else:
        monkeypatch.delenv("HF_TOKEN")
    if fault:
        hub.fail(**fault)
    with pytest.raises(StudioError, match=sentence) as caught:
        publish(Publish(NAME, root=project))
    assert NAME in str(caught.value)


# Running what would be uploaded


def image_environment(dockerfile: Path, home: Path) -> dict[str, str]:
    """The environment that the image sets, with another home."""
    block = re.search(r"^ENV ((?:.*\\\n)*.*)$", dockerfile.read_text(), re.MULTILINE)[1]
    pairs = dict(pair.split("=") for pair in block.replace("\\\n", " ").split())
    return {key: value.replace("/home/user", str(home)) for key, value in pairs.items()}


@contextmanager
def running(arguments: list[str], cwd: Path, environment: dict[str, str], port: int) -> Iterator:
    """A server process, once it answers at /api/health."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("UNET_", "HF_", "PYTHON"))}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=cwd,
        env=kept | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                get(port, "/api/health")
                break
            except httpx.HTTPError:
                assert process.poll() is None, process.stdout.read()
                assert time.monotonic() < deadline, "it does not answer"
                time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        process.wait(20)


def get(port: int, path: str) -> httpx.Response:
    url = f"http://127.0.0.1:{port}{path}"
    return httpx.get(url, timeout=30, trust_env=False).raise_for_status()


def segment(port: int) -> None:
    """Has a drawn picture segmented through the API."""
    buffer = io.BytesIO()
    Image.fromarray(streets.draw(0, (80, 60))[0]).save(buffer, "PNG")
    files = {"file": ("scene.png", buffer.getvalue(), "image/png")}
    url = f"http://127.0.0.1:{port}/api/predict"
    answer = httpx.post(url, files=files, timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    assert Image.open(io.BytesIO(answer.content)).size == (80, 60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tree(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_docker_space_runs_and_writes_only_to_its_cache(project, tmp_path):
    target, home, port = tmp_path / "space", tmp_path / "user", free_port()
    (home / ".cache").mkdir(parents=True)
    publish(Publish(NAME, dry_run=target, root=project))
    command = re.findall(r"^CMD (\[.*\])$", (target / "Dockerfile").read_text(), re.MULTILINE)[-1]
    python, *arguments = ast.literal_eval(command)
    assert python == "python"
    arguments = [argument.replace("7860", str(port)) for argument in arguments]
    before = tree(target)
    shim = tmp_path / "shim"
    shim.mkdir()
    (shim / "openvino_telemetry.py").write_text("raise ImportError('uninstalled in the image')")
    environment = image_environment(target / "Dockerfile", home) | {"PYTHONPATH": str(shim)}
    with running(arguments, target, environment, port):
        assert "streets-scratch" in get(port, "/api/models").text
        assert "gradio" in get(port, "/").text
        assert "streamlit" in get(port, "/compare/").text.lower()
        assert "set-cookie" not in get(port, "/compare/_stcore/health").headers
        segment(port)
    assert tree(target) == before
    assert [path.name for path in home.iterdir()] == [".cache"]


def put_on_hub(hub, name: str, checkpoint: Path) -> str:
    """Returns the commit."""
    return hub.add(name, {path.name: path.read_bytes() for path in checkpoint.iterdir()}).head


def test_space_with_a_small_checkout_pulls_the_weights_at_first_use(project, hub, tmp_path):
    commit = put_on_hub(hub, "owner/streets", project / "weights" / "streets-scratch")
    (project / "weights" / "registry").write_text(f"streets-scratch: owner/streets@{commit}\n")
    target, home, port = tmp_path / "space", tmp_path / "user", free_port()
    (home / ".cache").mkdir(parents=True)
    publish(Publish(NAME, dry_run=target, root=project))
    assert not (target / "weights" / "streets-scratch" / WEIGHTS_FILE).exists()
    environment = image_environment(target / "Dockerfile", home) | {"HF_ENDPOINT": hub.url}
    before = tree(target)
    with running(["app.py", "--port", str(port)], target, environment, port):
        segment(port)
    assert hub.seen("/owner/streets/resolve/.*/model.safetensors")
    assert tree(target) == before


def test_gradio_space_serves_page_and_api(project, hub, weights, tmp_path):
    """With a model from the Hub, and without one that is not there."""
    put_on_hub(hub, "other/roads", weights / "streets-wide")
    models = "[streets-scratch, other/roads@main, other/nothing]"
    edit(project, ("sdk: docker", "sdk: gradio"), ("[streets-scratch]", models))
    target, port = tmp_path / "space", free_port()
    publish(Publish(NAME, dry_run=target, root=project))
    start = (target / space_files.GRADIO_START).read_text().replace("])", f"], port={port})")
    (target / space_files.GRADIO_START).write_text(start)
    environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "own")}
    with running([space_files.GRADIO_START], target, environment, port):
        listed = {entry["name"] for entry in get(port, "/api/models").json()["models"]}
        assert listed == {"streets-scratch", "roads"}
        page = get(port, "/")
        assert "gradio" in page.text
        assert page.headers["x-content-type-options"] == "nosniff"
        segment(port)


def test_the_gradio_spaces_files_go_with_the_next_that_starts(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(gradio_space, "forbid_downloads", lambda: None)
    monkeypatch.setattr(gradio_space.mcp_endpoint, "install", lambda: None)
    made = []

    def launched(**_):
        assert (made[0] / ".lock").exists()

    def page(folder):
        made.append(folder)
        return SimpleNamespace(blocks=SimpleNamespace(launch=launched))

    monkeypatch.setattr(segment_page, "SegmentPage", page)
    gradio_space.main()
    assert not made[0].exists()


def test_zero_gpu_finds_a_marked_function_and_spends_no_visitors_time(monkeypatch):
    marked = []
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=marked.append))
    before = segment_page.render
    assert gradio_space.mark_for_zero_gpu()
    assert len(marked) == 1
    assert segment_page.render is before


def test_without_zero_gpu_nothing_is_marked(monkeypatch):
    monkeypatch.setitem(sys.modules, "spaces", None)
    assert not gradio_space.mark_for_zero_gpu()
