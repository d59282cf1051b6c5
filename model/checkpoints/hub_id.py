"""Names of checkpoints on the Hugging Face Hub, and which of them the bundled names stand for.

Imports neither huggingface_hub nor a YAML reader until a registry is read: every start of
the app imports this module.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from model.errors import CheckpointError, ConfigError

REGISTRY_FILE = "registry"

# The Hub's own rules; as the first character is not a dot, ./folder and ../folder do not match.
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_HUB_ID = re.compile(rf"(?P<repository>{_PART}/{_PART})(?:@(?P<revision>[A-Za-z0-9_][\w./-]*))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubId:
    """A repository on the Hub at a revision.

    Attributes:
        repository: "owner/name".
        revision: branch, tag or commit; None is the default branch.

    >>> HubId.parse("owner/name@v1.0")
    HubId(repository='owner/name', revision='v1.0')
    """

    repository: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> HubId:
        """Raises `ConfigError` if the text is not of the form `owner/name[@revision]`."""
        match = _HUB_ID.fullmatch(text)
        if match is None or ".." in text or "--" in text or match["repository"].endswith(".git"):
            raise ConfigError(f"'{text}' is not a Hub id of the form owner/name[@revision].")
        return cls(match["repository"], match["revision"])

    @classmethod
    def matches(cls, text: str) -> bool:
        """Whether `parse` would accept the text."""
        try:
            cls.parse(text)
        except ConfigError:
            return False
        return True

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a whole commit hash: such an id never changes its meaning."""
        return self.revision is not None and _COMMIT.fullmatch(self.revision) is not None

    @property
    def short_name(self) -> str:
        """The repository's name without its owner: what a folder of it is called."""
        return self.repository.rpartition("/")[2]

    def __str__(self) -> str:
        return self.repository + (f"@{self.revision}" if self.revision else "")


def read_registry(weights: Path) -> dict[str, HubId]:
    """The bundled names whose weights can be pulled, from `registry` in the weights folder.

    Returns: pinned Hub ids by bundled name; {} where there is no registry.
    Raises: `CheckpointError` naming the entry that is wrong.
    """
    path = weights / REGISTRY_FILE
    if not path.is_file():
        return {}
    import yaml

    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise CheckpointError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(entries, dict):
        raise CheckpointError(f"{path} must map bundled names to owner/name@commit.")
    registry = {}
    for name, value in entries.items():
        if not HubId.matches(str(value)) or not HubId.parse(value).is_pinned:
            raise CheckpointError(
                f"{path}, entry '{name}': '{value}' must be owner/name@commit with the commit's "
                "40 hexadecimal digits, as `python -m model push` prints it."
            )
        registry[str(name)] = HubId.parse(value)
    return registry
