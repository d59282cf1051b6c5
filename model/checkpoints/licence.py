"""The terms under which a checkpoint's training pictures may be used."""

from __future__ import annotations

import re
from dataclasses import replace

from model.checkpoints.folder import Checkpoint
from model.data.datasets import DATA_SETS
from model.errors import ConfigError

NOT_STATED = "not stated"

HUB_LICENCES = {
    *("agpl-3.0", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "gpl-2.0", "gpl-3.0"),
    *("lgpl-3.0", "mit", "mpl-2.0", "odbl", "pddl", "unlicense", "other"),
    *("cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0"),
    *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0"),
    *("cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
    *("cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
}
"""Of the Hub's identifiers those that pictures or programs are under; it refuses any other word.
Source: https://huggingface.co/docs/hub/repositories-licenses"""


def hub_licence(terms: str) -> str:
    """The Hub's identifier of some terms, such as "cc-by-sa-4.0" of "CC BY-SA 4.0"; or "other"."""
    plain = re.sub(r"[\s_-]+", "-", terms.strip().lower())
    if plain in HUB_LICENCES:
        return plain
    match = re.search(r"\bcc-by(-(sa|nc|nd))*-\d\.\d\b", plain)
    if match and match[0] in HUB_LICENCES:
        return match[0]
    return "cc0-1.0" if "cc0" in plain else "other"


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
