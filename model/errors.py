"""The errors whose text is meant for the user.

Every front end (command line, pages, API) shows the message of a `StudioError`
as it stands; anything else is a defect of ours. A message says what was wrong,
with which file or argument, and what to do.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable


class StudioError(Exception):
    """Base of all errors whose message is written for the user."""


class ImageError(StudioError):
    """A file or upload that cannot be read as a picture."""


class ImageTooLargeError(ImageError):
    """A picture over the limit on bytes or pixels."""


class DataError(StudioError):
    """A data set that is missing, incomplete or inconsistent."""


class ConfigError(StudioError):
    """An argument or a combination of arguments that cannot work."""


class TrainingError(StudioError):
    """A training run that cannot continue: it diverged, or the disk or the memory is full."""


class CheckpointError(StudioError):
    """A checkpoint folder that is incomplete, corrupt or of the wrong kind."""


class UnknownModelError(CheckpointError):
    """A model name that matches no checkpoint."""


def exit_code(command: Callable[[], int | None]) -> int:
    """Runs a command for the command line.

    Returns: its exit code; 2 after a `StudioError`, or if a file cannot be read or written, with
        the reason on standard error.
    """
    try:
        return command() or 0
    except StudioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if isinstance(error, BrokenPipeError) or not (error.filename or full):
            raise
        place = f"{error.filename}: " if error.filename else ""
        print(f"error: {place}{error.strerror}.", file=sys.stderr)
        return 2
