"""Where the program keeps what it can recreate."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "UNET_STUDIO_CACHE"


def cache_folder() -> Path:
    """The folder that `UNET_STUDIO_CACHE` names, else one in the user's cache."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unet-studio"
    return Path(os.environ.get(CACHE_VARIABLE) or default)
