"""What a Space consists of: the files that follow from the Spacefile, and those copied."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import SpaceCardData

from app.spacefile import Spacefile
from model.checkpoints import folder
from model.checkpoints.folder import DESCRIPTION_FILE, WEIGHTS_FILE
from model.checkpoints.hub_id import HubId, read_registry
from model.checkpoints.hub_push import Content, published
from model.errors import ConfigError

DOCKERFILE, DOCKERIGNORE = "Dockerfile", ".dockerignore"
REQUIREMENTS, SPACE_REQUIREMENTS = "requirements.txt", "requirements-space.txt"
GRADIO_START = "start.py"

FROM_SPACEFILE = "# From Spacefile, by `python -m app.space render`. Change that, not this.\n"

NEVER = {"__pycache__", "secrets.toml", ".env", ".DS_Store"}
"""Names of files and folders that go nowhere, wherever they lie."""

OF_TRAINING = ("report.html", "resume", "samples", "tensorboard")
"""What training leaves beside a checkpoint: its state, and pictures of the data set."""

# The wheels that bring no CUDA with them, some gigabytes less.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def all_files(space: Spacefile, root: Path, licence: str | None = None) -> dict[str, Content]:
    """Every file of the Space's repository, by its name there.

    Args: licence: of the training data of models that record none.

    Raises: `ConfigError` naming what the Spacefile lists but is not there, or a model whose
        data must not be published.
    """
    files = _local_models(space, root, licence)
    for name in space.files:
        path = root / name
        if not path.exists():
            raise ConfigError(f"Spacefile lists {name}, but there is no such file in {root}.")
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in found:
            if file.is_file() and not NEVER & set(file.relative_to(root).parts):
                files[file.relative_to(root).as_posix()] = file
    return files | {name: text.encode() for name, text in rendered(space, root).items()}


def rendered(space: Spacefile, root: Path) -> dict[str, str]:
    """The files that follow from the Spacefile, by name; the README is the Space's own."""
    readme = {"README.md": _readme(space, root)}
    if space.sdk == "gradio":
        wanted = [name for name in space.models if "/" in name]
        start = f"from app.gradio_space import main\n\nmain({wanted or ''})\n"
        return readme | {REQUIREMENTS: _requirements(space, root), GRADIO_START: start}
    return readme | kept(space, root)


def kept(space: Spacefile, root: Path) -> dict[str, str]:
    """The rendered files that the repository keeps, so that `docker build .` works in it."""
    return {
        DOCKERFILE: _dockerfile(space, root),
        DOCKERIGNORE: _dockerignore(space, root),
        SPACE_REQUIREMENTS: _requirements(space, root),
    }


def _readme(space: Spacefile, root: Path) -> str:
    registry = read_registry(root / "weights")
    on_hub = [registry[name] for name in space.models if name in registry]
    on_hub += [HubId.parse(name) for name in space.models if "/" in name]
    by_sdk = (
        {"app_port": space.port}
        if space.sdk == "docker"
        else {
            "sdk_version": _version("gradio", root),
            "app_file": GRADIO_START,
            "python_version": space.python,
        }
    )
    data = SpaceCardData(
        title=space.title,
        emoji=space.emoji,
        colorFrom=space.colour_from,
        colorTo=space.colour_to,
        sdk=space.sdk,
        short_description=space.summary,
        license=space.licence,
        tags=space.tags or None,
        models=[hub_id.repository for hub_id in on_hub] or None,
        suggested_hardware=space.hardware,
        **by_sdk,
    )
    pages = ["Segment pictures: the page itself."]
    if space.sdk == "docker":
        pages.append("Compare models: `/compare/`.")
    pages.append("Call it from programs: `/api/docs`.")
    listed = "\n".join(f"- {line}" for line in pages)
    models = "\n".join(f"- {_terms(name, root)}" for name in space.models)
    return (
        f"---\n{data.to_yaml()}\n---\n# {space.title}\n\n{listed}\n\n"
        f"The licence above is the program's. Each model is under the terms of the pictures that "
        f"it was trained on:\n\n{models}\n"
    )


def _terms(model: str, root: Path) -> str:
    if "/" in model:
        return f"[{model}](https://huggingface.co/{HubId.parse(model).repository})"
    data = folder.described(root / "weights" / model).description["data"]
    return f"{model}: {data['title']}; {data['licence']}"


def _dockerfile(space: Spacefile, root: Path) -> str:
    pulls = "".join(_pull(name, root) for name in space.models if _is_pulled(name, root))
    return f"""{FROM_SPACEFILE}
# The image runs as user 1000, as Spaces demand, and writes nowhere but below ~/.cache:
#
#   docker build --tag unet-studio .
#   docker run --read-only --tmpfs /home/user/.cache:uid=1000 \\
#     --publish {space.port}:{space.port} unet-studio

FROM python:{space.python}-slim

RUN useradd --uid 1000 --no-create-home --home-dir /home/user user \\
  && install --directory --owner=1000 --group=1000 /home/user/.cache

ENV HOME=/home/user \\
    HF_HOME=/home/user/.cache/huggingface \\
    UNET_STUDIO_CACHE=/home/user/.cache/unet-studio \\
    TMPDIR=/home/user/.cache \\
    PYTHONDONTWRITEBYTECODE=1 \\
    PYTHONUNBUFFERED=1

WORKDIR /srv/unet-studio
COPY {SPACE_REQUIREMENTS} .
# Without its optional telemetry package OpenVINO reports to nobody.
RUN pip install --no-cache-dir --requirement {SPACE_REQUIREMENTS} \\
  && pip uninstall --yes openvino-telemetry
COPY . .
{pulls}
USER 1000
EXPOSE {space.port}
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \\
  CMD ["python", "-c", "{_health_check(space.port)}"]
CMD ["python", "app.py", "--host", "0.0.0.0", "--port", "{space.port}"]
"""


def _health_check(port: int) -> str:
    return (
        "import urllib.request; "
        f"urllib.request.urlopen('http://127.0.0.1:{port}/api/health', timeout=4)"
    )


def _pull(name: str, root: Path) -> str:
    """A step that puts a model from the Hub into the image; private ones need a build secret."""
    registered = name in read_registry(root / "weights")
    output = "" if registered else f" --output weights/{HubId.parse(name).short_name}"
    return (
        "RUN --mount=type=secret,id=HF_TOKEN,required=false \\\n"
        '  HF_TOKEN="$(cat /run/secrets/HF_TOKEN 2>/dev/null)" HF_HOME=/tmp/hub \\\n'
        f"  python -m model pull {name}{output} && rm -r /tmp/hub\n"
    )


def _is_pulled(name: str, root: Path) -> bool:
    return "/" in name or name in read_registry(root / "weights")


def _local_models(space: Spacefile, root: Path, licence: str | None) -> dict[str, Content]:
    """The files of the models below `weights/`; of pulled ones, all but the weights."""
    files: dict[str, Content] = {}
    for name in space.models:
        path = root / "weights" / name
        if "/" in name and HubId.matches(name):
            continue
        if not (path / DESCRIPTION_FILE).is_file():
            raise ConfigError(
                f"Spacefile lists the model {name}, but there is no checkpoint weights/{name}. "
                "Train it, or take it off the list."
            )
        found = published(folder.read(path), licence)
        if _is_pulled(name, root):
            found.pop(WEIGHTS_FILE, None)
        files |= {f"weights/{name}/{file}": content for file, content in found.items()}
    return files


def _dockerignore(space: Spacefile, root: Path) -> str:
    models = [f"weights/{name}" for name in space.models if not _is_pulled(name, root)]
    lines = [f"!{name}" for name in (SPACE_REQUIREMENTS, *space.files, *models)]
    never = [*(f"**/{name}" for name in sorted(NEVER)), *(f"weights/*/{n}" for n in OF_TRAINING)]
    return FROM_SPACEFILE + "\n".join(["*", *lines, *never]) + "\n"


def _requirements(space: Spacefile, root: Path) -> str:
    """`requirements.txt` without what only training needs, and PyTorch without CUDA.

    ZeroGPU has a list of versions of PyTorch, and takes one from it that fits the rest.
    """
    lines = []
    on_cpu = space.hardware.startswith("cpu")
    for line in (root / REQUIREMENTS).read_text(encoding="utf-8").splitlines():
        name, _, version = line.partition("==")
        if not version or name in space.leave_out:
            continue
        if name in ("torch", "torchvision"):
            line = f"{line}+cpu" if on_cpu else name
        lines.append(line)
    index = f"--extra-index-url {CPU_INDEX}\n" if on_cpu else ""
    return FROM_SPACEFILE + index + "\n".join(lines) + "\n"


def _version(package: str, root: Path) -> str:
    for line in (root / REQUIREMENTS).read_text(encoding="utf-8").splitlines():
        name, _, version = line.partition("==")
        if name.partition("[")[0] == package:  # without its extras
            return version
    raise ConfigError(f"{root / REQUIREMENTS} does not pin {package}.")
