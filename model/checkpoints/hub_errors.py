"""What the Hub's client raises, in sentences for the user."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import parse_ratelimit_headers

from model.errors import CheckpointError, StudioError

LOG_IN = "Log in with `hf auth login`, or put a token into HF_TOKEN."


class HubError(CheckpointError):
    """Something on the Hub that cannot be reached, read or written."""


@contextmanager
def in_words(subject: str) -> Iterator[None]:
    """Turns whatever the Hub's client raises inside into a `HubError` about `subject`."""
    try:
        yield
    except StudioError:
        raise
    except (OSError, ValueError, RuntimeError, TimeoutError, httpx2.HTTPError) as error:
        raise HubError(explain(error, subject)) from error


def is_unreachable(error: Exception) -> bool:
    """Whether the error says nothing about the repository, only that the Hub did not serve it."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code >= 500 or error.response.status_code == 429
    return isinstance(error, (httpx2.TransportError, OfflineModeIsEnabled))


def explain(error: BaseException, subject: str) -> str:
    """One or two sentences: what was wrong with `subject`, and what to do."""
    # The client wraps what happened in errors that only say that nothing was found.
    while isinstance(error, (LocalEntryNotFoundError, RuntimeError)) and error.__cause__:
        error = error.__cause__
    host = constants.ENDPOINT
    match error:
        case GatedRepoError():
            page = f"{host}/{subject.partition('@')[0]}"
            return f"{subject} is gated. Accept its terms at {page} with your account. {LOG_IN}"
        case RepositoryNotFoundError():
            return (
                f"{host} has no {subject}, or it is private and your token gives no access to it. "
                f"Check the name. If it is private: {LOG_IN}"
            )
        case RevisionNotFoundError():
            return f"{subject} has no such revision: check the part behind the @."
        case RemoteEntryNotFoundError():
            name = str(error.response.url).rsplit("/", 1)[-1]
            return f"{subject} has no {name}: it is not a checkpoint this program can read."
        case HfHubHTTPError():
            return _explain_status(error, subject)
        case OfflineModeIsEnabled():
            return (
                f"{subject} is not in the cache, and HF_HUB_OFFLINE forbids the network. "
                "Unset it, or choose a bundled model."
            )
        case httpx2.TimeoutException():
            return (
                f"{subject}: {host} did not answer in time. Try again, or allow more seconds with "
                "HF_HUB_ETAG_TIMEOUT and HF_HUB_DOWNLOAD_TIMEOUT. Bundled models need no network."
            )
        case httpx2.TransportError():
            return (
                f"{subject}: {host} cannot be reached ({_first_line(error)}). Check the network, "
                "the proxy and HF_ENDPOINT. Bundled models need no network."
            )
        case OSError() if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return (
                f"{subject}: the disk is full. Free some space below {constants.HF_HOME}, or set "
                "HF_HOME to a folder on another disk."
            )
        case OSError() if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return (
                f"{subject}: the cache cannot be written ({error}). Set HF_HOME to a writable "
                "folder."
            )
        case OSError() if "Consistency check failed" in str(error):
            return f"{subject}: the download was incomplete. Run it again."
        case ValueError() if "Invalid metadata" in str(error):  # the reasons are on further lines
            return f"{subject}: {' '.join(str(error).split()).rstrip('.')}."
    return f"{subject}: {_first_line(error).rstrip('.')}."


def _explain_status(error: HfHubHTTPError, subject: str) -> str:
    host, status = constants.ENDPOINT, error.response.status_code
    said = f" It says: {_first_line(error.server_message)}" if error.server_message else ""
    if status == 401:
        return f"{subject}: {host} does not accept your token. Make a new one. {LOG_IN}"
    if status == 402:
        return (
            f"{subject}: {host} asks for a subscription or a payment method, as it may for Spaces "
            f"that compute; pushing models is free.{said}"
        )
    if status == 403:
        return f"{subject}: your token does not allow this. Put one that does in HF_TOKEN.{said}"
    if status == 409 or status == 412:
        return f"{subject}: it has changed on {host} in the meantime. Run it again.{said}"
    if status == 429:
        headers = error.response.headers
        limit = parse_ratelimit_headers(headers)
        seconds = str(limit.reset_in_seconds) if limit else headers.get("Retry-After", "")
        wait = f"in {seconds} seconds" if seconds.isdecimal() else "in a few minutes"
        return f"{subject}: {host} has had too many requests. Try again {wait}."
    if status >= 500:
        return f"{subject}: {host} has a problem (status {status}). Try again in a few minutes."
    return f"{subject}: {host} refused the request (status {status}).{said}"


def _first_line(text: object) -> str:
    return (str(text).strip().splitlines() or [type(text).__name__])[0]
