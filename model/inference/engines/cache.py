"""Converted networks on disk: opening one gives exactly what was written, or it is made again.

<cache>/<name>/network.xml   the graph, in OpenVINO's own format
               network.bin   its weights
               SHA256        the digests of both, by which damage is noticed
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from model.user_cache import cache_folder

logger = logging.getLogger(__name__)

NETWORK_FILE = "network.xml"
FILES = (NETWORK_FILE, "network.bin")
DIGESTS_FILE = "SHA256"


def network(name: str, write: Callable[[Path], None]) -> Path:
    """The path of the network kept under that name; it is made if missing or damaged.

    Args: write: writes the network to the path it is given, and its weights next to it.
    Raises: `OSError` if it cannot be stored, and what `write` raises.
    """
    folder = cache_folder() / name
    if _is_whole(folder):
        return folder / NETWORK_FILE
    if folder.exists():
        logger.warning("The cached network %s is damaged; it is made again.", folder)
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Written next to it and renamed once complete: another process may be making the same one.
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
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


def _is_whole(folder: Path) -> bool:
    # A flipped bit in the weights opens without complaint and gives other labels.
    try:
        return (folder / DIGESTS_FILE).read_bytes() == _digests(folder).encode()
    except OSError:
        return False


def _digests(folder: Path) -> str:
    """As `sha256sum` prints them."""
    lines = []
    for name in FILES:
        with open(folder / name, "rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    return "".join(lines)
