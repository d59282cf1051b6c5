"""The terms under which a checkpoint's training pictures may be used."""

from __future__ import annotations

from dataclasses import replace

from model.checkpoints.folder import Checkpoint
from model.data.datasets import DATA_SETS
from model.errors import ConfigError

NOT_STATED = "not stated"


def licensed(checkpoint: Checkpoint, licence: str | None = None) -> Checkpoint:
    """The checkpoint as it may be published: with the terms of its training data.

    Args: licence: what its owner states, such as "CC BY 4.0", where it records none.

    Returns: the given checkpoint itself, or one with another description; its folder is never
        changed.
    Raises: `ConfigError` for data with unknown terms, or not meant for publication, until its
        owner states them.
    """
    data = checkpoint.description.get("data", {})
    recorded = data.get("licence", "")
    kind = DATA_SETS.get(checkpoint.data_name)
    closed = kind is not None and not kind.publishable and recorded == kind.licence
    if recorded != NOT_STATED and not closed:
        return checkpoint
    if licence:
        description = {**checkpoint.description, "data": {**data, "licence": licence}}
        return replace(checkpoint, description=description)
    raise ConfigError(
        f"{checkpoint.name} was trained on {data.get('title', checkpoint.data_name)}, whose "
        f"licence is: {recorded}. If you may publish what it learned, state the terms, such as "
        '--licence "CC BY 4.0".'
    )
