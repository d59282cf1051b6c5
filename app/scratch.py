"""The server's folder for temporary files, which goes with it, or with the next one that starts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "unet-studio-"
_UNLOCKED = f".new-{PREFIX}"
_LOCK = ".lock"


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder that only this user can read, deleted at the end.

    Folders that killed servers left behind are deleted first. A server that runs holds a lock on
    its own, which the system takes from it however it ends.
    """
    root = Path(tempfile.gettempdir())
    _remove_abandoned(root)
    made = Path(tempfile.mkdtemp(prefix=_UNLOCKED))
    with open(made / _LOCK, "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Only now does it have the name that others look for.
        path = made.rename(root / made.name.removeprefix(".new-"))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def _remove_abandoned(root: Path) -> None:
    for path in root.glob(f"{PREFIX}*"):
        # Others' folders, and those that go while we look, are not ours to worry about.
        with contextlib.suppress(OSError):
            if path.is_symlink() or path.stat().st_uid != os.getuid():
                continue
            with open(path / _LOCK, "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path)
