"""The commands `pull` and `push`: what they take, and what they print."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from model.checkpoints import zoo
from model.checkpoints.hub_id import HubId, read_registry
from model.errors import ConfigError


@dataclass(frozen=True)
class Pull:
    """Fetch checkpoints from the Hugging Face Hub."""

    model: tyro.conf.Positional[str] = ""
    """owner/name[@revision], or a bundled name that weights/registry lists."""
    all: bool = False
    """Fetch everything that weights/registry lists."""
    output: Path | None = None
    """Also copy the checkpoint into this folder; by default it stays in the Hub's cache."""


@dataclass(frozen=True)
class Push:
    """Put a checkpoint on the Hugging Face Hub, with its model card."""

    checkpoint: tyro.conf.Positional[str]
    """A name in weights/, or a checkpoint folder's path."""
    repository: tyro.conf.Positional[str]
    """owner/name; created if need be."""
    public: bool = False
    """If the repository is created now, let everybody see it."""
    licence: str | None = None
    """Terms of the training data, such as "CC BY 4.0", where the checkpoint states none."""
    dry_run: bool = False
    """Only show what would be uploaded."""


def pull(command: Pull) -> None:
    """Runs `pull`. Raises `StudioError`."""
    from model.checkpoints import hub

    weights = zoo.weights_folder()
    registry = read_registry(weights)
    if command.all == bool(command.model) or (command.all and command.output):
        raise ConfigError("Give a model, owner/name[@revision], or --all, which takes no --output.")
    if command.all and not registry:
        print(f"{weights / 'registry'} lists no checkpoint: all bundled ones are in weights/.")
    for name in registry if command.all else [command.model]:
        if name not in registry and not HubId.matches(name):
            raise ConfigError(
                f"'{name}' is neither owner/name[@revision] nor listed in {weights / 'registry'}."
            )
        hub_id = registry.get(name) or HubId.parse(name)
        target = command.output or (weights / name if name in registry else None)
        checkpoint = hub.pull(hub_id)
        if target:
            hub.copy_to(checkpoint, target)
        commit = checkpoint.description["hub"]["commit"]
        print(f"{hub_id} at commit {commit}: {target or checkpoint.path}")
        if guessed := checkpoint.description.get("guessed"):
            print(f"  note: {guessed}.")


def push(command: Push) -> None:
    """Runs `push`. Raises `StudioError`."""
    from model.checkpoints import hub_push

    if HubId.parse(command.repository).revision:
        raise ConfigError(f"Push to owner/name, without a revision; got '{command.repository}'.")
    checkpoint = zoo.find(command.checkpoint)
    files = hub_push.contents(checkpoint, command.repository, command.licence)
    if command.dry_run:
        print(f"Would be pushed to {command.repository}, {_visibility(not command.public)} if new:")
        for name, content in files.items():
            size = len(content) if isinstance(content, bytes) else content.stat().st_size
            print(f"  {name:20}{size:>14,} bytes")
        return
    pushed = hub_push.push(
        checkpoint, command.repository, public=command.public, licence=command.licence
    )
    state = "pushed and checked" if pushed.changed else "already there, nothing changed"
    print(f"{pushed.url} ({_visibility(pushed.private)}): {state}.")
    print(f"For weights/registry: {checkpoint.name}: {command.repository}@{pushed.commit}")


def _visibility(private: bool) -> str:
    return "private" if private else "public"
