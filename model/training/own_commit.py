"""Which code of this program trains: its commit, where the program lies in its own repository."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2]
SECONDS = 5


def own_commit() -> str | None:
    """The commit's first 12 digits, with "-dirty" if tracked files were changed since.

    Returns: None without git or without a repository of the program's own, as in an archive.
    """
    # By name, as git would search the folders around the program, whose repository is another's.
    command = ["git", f"--git-dir={PROGRAM / '.git'}", "describe", "--always", "--dirty",
               "--abbrev=12", "--exclude", "*"]  # fmt: skip
    # Within a hook of git, these would lead to the repository that the hook belongs to.
    variables = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            command, cwd=PROGRAM, env=variables, capture_output=True, text=True, timeout=SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
