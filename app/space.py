"""Puts the app online, as a Space on the Hugging Face Hub. `Spacefile` says what it is.

python -m app.space render
python -m app.space publish owner/name --dry-run space/
python -m app.space publish owner/name --public
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from huggingface_hub import HfApi, SpaceRuntime, SpaceStage, constants

from app import space_files, spacefile
from app.spacefile import Spacefile
from model import writing
from model.checkpoints.hub_errors import HubError, in_words
from model.checkpoints.hub_id import HubId
from model.checkpoints.hub_push import Content, check_ours, commit_files, ensure_repository
from model.errors import ConfigError, exit_code

ROOT = Path(__file__).resolve().parents[1]
LOG_LINES = 20
POLL_SECONDS = 5.0
OFF = (SpaceStage.PAUSED, SpaceStage.STOPPED)
FAILED = (SpaceStage.BUILD_ERROR, SpaceStage.CONFIG_ERROR, SpaceStage.RUNTIME_ERROR)
BEGIN_SECONDS = 60.0
"""Within these a build that is repeated, or another start, has begun, or is over already."""
SLEEPING = "SLEEPING"
"""The next visitor wakes it. huggingface_hub 2.4 does not list it."""


@dataclass(frozen=True)
class Render:
    """Write the files that follow from Spacefile and are kept in the repository."""

    root: Path = ROOT
    """The repository: where Spacefile lies."""


@dataclass(frozen=True)
class Publish:
    """Create or update a Space, and wait until it runs."""

    repository: tyro.conf.Positional[str]
    """owner/name of the Space; created if need be."""
    public: bool = False
    """Let everybody see a Space that is created now."""
    licence: str | None = None
    """Terms of the training data, such as "CC BY 4.0", of models that state none."""
    dry_run: Path | None = None
    """Write what would be uploaded into this folder, and ask nobody: models on the Hub stand there
    without the commit that they will be taken at."""
    wait: float = 1800
    """Seconds to wait for the build; 0 does not wait."""
    root: Path = ROOT
    """The repository: where Spacefile lies."""


def main() -> int:
    command = tyro.cli(
        Annotated[Render, tyro.conf.subcommand("render")]
        | Annotated[Publish, tyro.conf.subcommand("publish")],
        prog="python -m app.space",
    )
    return exit_code(lambda: publish(command) if isinstance(command, Publish) else render(command))


def render(command: Render) -> int:
    """Runs `render`. Raises `ConfigError` as `spacefile.read` does."""
    space = spacefile.read(command.root / "Spacefile")
    for name, text in space_files.kept(space, command.root).items():
        writing.write_text(command.root / name, text)
        print(command.root / name)
    return 0


def publish(command: Publish) -> int:
    """Runs `publish`. Returns 0 if the Space runs, or is built while nobody waits; else 1.

    Raises: `ConfigError` for a faulty Spacefile or a Space that holds something else, `HubError`
        in a sentence.
    """
    if HubId.parse(command.repository).revision:
        raise ConfigError(f"Publish to owner/name, not to '{command.repository}'.")
    space = spacefile.read(command.root / "Spacefile")
    if command.dry_run:
        _write(space_files.all_files(space, command.root, command.licence), command.dry_run)
        return 0
    space = space.model_copy(update={"models": [_pinned(name) for name in space.models]})
    files = space_files.all_files(space, command.root, command.licence)
    repository = command.repository
    with in_words(repository):
        ensure_repository(
            repository,
            public=command.public,
            repo_type="space",
            space_sdk=space.sdk,
            space_hardware=space.hardware,
        )
        check_ours(repository, Path(__file__).relative_to(ROOT).as_posix(), "space")
        before, restarted = _configure(repository, space)
        commit, changed = commit_files(
            repository,
            files,
            message="Publish U-Net Studio",
            # The Space holds exactly what the Spacefile says.
            stale=lambda name: name != ".gitattributes",
            repo_type="space",
        )
        print(f"{'Uploaded' if changed else 'Nothing has changed'}: commit {commit}")
        again = not changed and before.stage in FAILED
        if again:  # such as for a secret that has been set since
            HfApi().restart_space(repository, factory_reboot=True)
        if changed or again:
            print(f"{_link(repository)} is being built; this takes some minutes.", flush=True)
        elif restarted:
            print(f"{_link(repository)} starts again, with what was changed.", flush=True)
        if not command.wait:
            return 0
        # That the commit is known says nothing where it is the one that ran or failed before.
        awaited = commit if changed else ""
        begins = changed or again or restarted
        runtime = _wait(repository, awaited, before if begins else None, command.wait)
        return _report(repository, runtime)


def _pinned(model: str) -> str:
    """A model on the Hub with the commit that it is at, so that a newer one makes a new image."""
    if "/" not in model or (hub_id := HubId.parse(model)).is_pinned:
        return model
    with in_words(model):
        found = HfApi().model_info(
            hub_id.repository,
            revision=hub_id.revision,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
        )
    return f"{hub_id.repository}@{found.sha}"


def _write(files: dict[str, Content], target: Path) -> None:
    if target.exists() and any(target.iterdir()):
        raise ConfigError(f"--dry-run {target}: that folder is not empty. Choose a new one.")
    for name, content in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{len(files)} files, {size / 1e6:.1f} MB in {target}: what would be uploaded.")


def _configure(repository: str, space: Spacefile) -> tuple[SpaceRuntime, bool]:
    """Sets variables and hardware where they differ, and names the secrets that are missing and
    the variables that nobody lists: those may have been set by hand, and stay.

    Returns: the state of the Space as it was before, and whether it starts again for this.
    """
    api = HfApi()
    before = api.get_space_runtime(repository)
    there = api.get_space_variables(repository)
    changed = {
        key: value
        for key, value in space.variables.items()
        if key not in there or there[key].value != value
    }
    for key, value in changed.items():
        api.add_space_variable(repository, key, value)
    moves = before.requested_hardware not in (None, space.hardware)
    if moves:
        api.request_space_hardware(repository, space.hardware)
    settings = f"{_link(repository)}/settings"
    if unlisted := sorted(there.keys() - space.variables.keys()):
        print(
            f"Variables that the Space has and Spacefile does not list: {', '.join(unlisted)}. "
            f"They still count; delete those that nobody needs, at {settings}."
        )
    kept = api.get_space_secrets(repository)
    if missing := {key: value for key, value in space.secrets.items() if key not in kept}:
        listed = "; ".join(f"{key} ({purpose})" for key, purpose in missing.items())
        print(f"Secrets that are still to be set, at {settings}: {listed}.")
    return before, bool(changed) or moves


def _wait(
    repository: str, commit: str, before: SpaceRuntime | None, seconds: float
) -> SpaceRuntime:
    """Waits until the commit's build and start have come to an end, good or bad.

    Args:
        commit: "" if what is awaited is another start of the same one.
        before: the state before it, which the Hub still reports for a while after it; None if
            there was nothing to build or start.

    Raises: `HubError` after so many seconds.
    """
    api, begun = HfApi(), time.monotonic()

    def unnoticed() -> bool:
        runtime = api.get_space_runtime(repository)
        again = before.stage in FAILED or not commit
        at_once = again and time.monotonic() - begun > BEGIN_SECONDS
        return runtime.stage == before.stage and runtime.raw.get("sha") != commit and not at_once

    try:
        # What is switched off is not built until somebody switches it on.
        while before is not None and before.stage not in OFF and unnoticed():
            if time.monotonic() - begun > seconds:
                raise TimeoutError
            time.sleep(POLL_SECONDS)
        left = max(0.0, begun + seconds - time.monotonic())
        return api.wait_for_space(repository, timeout=left, poll_interval=POLL_SECONDS)
    except TimeoutError as error:
        raise HubError(
            f"{repository} is not built after {seconds:.0f} seconds; its state is "
            f"{api.get_space_runtime(repository).stage}. See {_link(repository)}, or allow more "
            "with --wait."
        ) from error


def _report(repository: str, runtime: SpaceRuntime) -> int:
    print(f"{_link(repository)}: {runtime.stage}")
    if runtime.stage in (SpaceStage.RUNNING, SLEEPING):
        return 0
    building = runtime.stage != SpaceStage.RUNTIME_ERROR
    lines = list(HfApi().fetch_space_logs(repository, build=building))
    print("".join(lines[-LOG_LINES:]), file=sys.stderr)
    return 1


def _link(repository: str) -> str:
    return f"{constants.ENDPOINT}/spaces/{repository}"


if __name__ == "__main__":
    sys.exit(main())
