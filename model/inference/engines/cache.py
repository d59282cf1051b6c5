"""Converted networks on disk: opening one gives exactly what was written, or it is made again.

<cache>/<name>/network.xml   the graph, in OpenVINO's own format
               network.bin   its weights
               SHA256        the digests of both, by which damage is noticed

A folder's time of change is when it was last used; those not used for `KEPT_DAYS` go when another
network is written.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from model.digest import file_digest
from model.user_cache import cache_folder

logger = logging.getLogger(__name__)

NETWORK_FILE = "network.xml"
FILES = (NETWORK_FILE, "network.bin")
DIGESTS_FILE = "SHA256"

KEPT_DAYS = 30
PART = ".part-"
"""What the names of folders begin with that are being written or removed."""

PART_DAYS = 1


def network(name: str, write: Callable[[Path], None]) -> Path:
    """The path of the network kept under that name; it is made if missing or damaged.

    Args: write: writes the network to the path it is given, and its weights next to it.
    Raises: `OSError` if it cannot be stored, and what `write` raises.
    """
    folder = cache_folder() / name
    if folder.exists():  # asked once: another process may be making the same one
        if _is_whole(folder):
            with contextlib.suppress(OSError):  # another user's
                os.utime(folder)
            return folder / NETWORK_FILE
        logger.warning("The cached network %s is damaged; it is made again.", folder)
        remove(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_old(folder.parent)
    part = _part_beside(folder)
    part.mkdir()
    try:
        write(part / NETWORK_FILE)
        (part / DIGESTS_FILE).write_bytes(_digests(part).encode())
        try:
            part.rename(folder)
        except OSError:
            if not _is_whole(folder):
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder / NETWORK_FILE


def remove(folder: Path) -> None:
    """Removes a network, at once for whoever looks for it. Raises: `OSError`."""
    part = _part_beside(folder)
    with contextlib.suppress(FileNotFoundError):  # another process was faster
        folder.rename(part)
    shutil.rmtree(part, ignore_errors=True)


def _part_beside(folder: Path) -> Path:
    return folder.with_name(f"{PART}{uuid.uuid4().hex}")


def _remove_old(cache: Path) -> None:
    """Removes networks that were not used for long, and what killed processes have left."""
    for folder in cache.iterdir():
        is_part = folder.name.startswith(PART)
        if not is_part and not (folder / DIGESTS_FILE).exists():  # the cache holds other things
            continue
        with contextlib.suppress(OSError):  # another process was faster, or another user's
            days = (time.time() - folder.stat().st_mtime) / 86400
            if days > (PART_DAYS if is_part else KEPT_DAYS):
                remove(folder)


def _is_whole(folder: Path) -> bool:
    # A flipped bit in the weights opens without complaint and gives other labels.
    try:
        return (folder / DIGESTS_FILE).read_bytes() == _digests(folder).encode()
    except OSError:
        return False


def _digests(folder: Path) -> str:
    """As `sha256sum` prints them."""
    return "".join(f"{file_digest(folder / name)}  {name}\n" for name in FILES)
