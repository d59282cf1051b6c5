"""Puts checkpoints on the Hugging Face Hub: one commit, checked by pulling it back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    get_token,
    hf_hub_download,
)
from huggingface_hub.errors import RepositoryNotFoundError

from model import writing
from model.checkpoints import folder
from model.checkpoints.card import card
from model.checkpoints.folder import Checkpoint
from model.checkpoints.hub import FILES
from model.checkpoints.hub_errors import LOG_IN, HubError, in_words
from model.checkpoints.licence import licensed
from model.errors import CheckpointError, ConfigError

Content = Path | bytes


@dataclass(frozen=True)
class Pushed:
    """What is on the Hub after a push.

    Attributes:
        url: the repository's page.
        commit: the hash of the commit that holds the files.
        changed: whether that commit is new; False if the same files were there already.
        private: whether only its owner can see it.
    """

    url: str
    commit: str
    changed: bool
    private: bool


def contents(
    checkpoint: Checkpoint, repository: str, licence: str | None = None
) -> dict[str, Content]:
    """The files that a push uploads, by name: the folder's own, with the card for the Hub.

    Args: licence: of the training data, where the checkpoint records none.

    Raises: `ConfigError` for a checkpoint whose classes and preprocessing are guessed, or as
        `licensed` does, `CheckpointError` for one that lacks what the card must state.
    """
    if "guessed" in checkpoint.description:
        raise ConfigError(
            f"{checkpoint.name} was not trained here and lacks a description: "
            f"{checkpoint.description['guessed']}. Push checkpoints of your own."
        )
    stated = licensed(checkpoint, licence)
    if licence and stated is checkpoint:
        raise ConfigError(
            f"{checkpoint.name} records a licence already: {stated.description['data']['licence']}."
            " --licence is for data of unknown terms."
        )
    return {
        **published(checkpoint, licence),
        folder.WEIGHTS_FILE: checkpoint.weights_path,  # those only registered are pulled
        folder.CARD_FILE: _card(stated, repository),
    }


def published(checkpoint: Checkpoint, licence: str | None = None) -> dict[str, Content]:
    """The folder's files that are the checkpoint, by name, as they may be published.

    Raises: as `licensed` does; `ConfigError` for an ensemble.
    """
    if members := checkpoint.description.get("members"):
        raise ConfigError(
            f"{checkpoint.name} is an ensemble, whose other networks lie in folders of their own. "
            f"Publish one of them: {', '.join(str(checkpoint.path / name) for name in members)}."
        )
    files: dict[str, Content] = {
        name: path for name in FILES if (path := checkpoint.path / name).exists()
    }
    stated = licensed(checkpoint, licence)
    if stated is not checkpoint:
        files[folder.DESCRIPTION_FILE] = writing.json_text(stated.description).encode()
        files[folder.CARD_FILE] = _card(stated)
    return files


def _card(checkpoint: Checkpoint, repository: str = "") -> bytes:
    try:
        return card(checkpoint, repository).encode()
    except KeyError as error:
        raise CheckpointError(
            f"{checkpoint.path / folder.DESCRIPTION_FILE} lacks {error}, which the model card "
            "must state. Train with this program, or add it."
        ) from error


def push(
    checkpoint: Checkpoint, repository: str, *, public: bool = False, licence: str | None = None
) -> Pushed:
    """Uploads a checkpoint to `owner/name`, creating the repository if need be.

    Args:
        public: whether a repository that is created now is visible to everybody.
        licence: of the training data, where the checkpoint records none.

    Raises: `HubError` in a sentence; `ConfigError` as `contents` and `check_ours` do.
    """
    files = contents(checkpoint, repository, licence)
    with in_words(repository):
        ensure_repository(repository, public=public)
        check_ours(repository, folder.DESCRIPTION_FILE)
        # Files of ours that an earlier push left there; others are the owner's business.
        commit, changed = commit_files(
            repository,
            files,
            message=f"Push {checkpoint.name}",
            stale=lambda name: name in FILES,
        )
        _check(repository, files, commit)
        private = bool(HfApi().repo_info(repository).private)
    return Pushed(f"{constants.ENDPOINT}/{repository}", commit, changed, private)


def ensure_repository(repository: str, *, public: bool, **options: Any) -> None:
    """Creates a repository unless it exists.

    Args: options: as `HfApi.create_repo` takes them; `repo_type` among them.
    Raises: `HubError` without an account.
    """
    if get_token() is None:
        raise HubError(f"{repository} needs an account on {constants.ENDPOINT}. {LOG_IN}")
    api = HfApi()
    try:
        timeout = constants.HF_HUB_ETAG_TIMEOUT  # the client itself would wait for ever
        api.repo_info(repository, repo_type=options.get("repo_type"), timeout=timeout)
    except RepositoryNotFoundError:
        api.create_repo(repository, private=not public, exist_ok=True, **options)


def check_ours(repository: str, mark: str, repo_type: str = constants.REPO_TYPE_MODEL) -> None:
    """A name may be mistyped: what somebody keeps on the Hub is not to be overwritten.

    Args: mark: a file that is in every repository of this kind that this program has filled.

    Raises: `ConfigError` for a repository that holds other files, but not this one.
    """
    timeout = constants.HF_HUB_ETAG_TIMEOUT
    there = HfApi().repo_info(repository, repo_type=repo_type, timeout=timeout).siblings or []
    # Those that the Hub itself puts into a new one.
    others = sorted({file.rfilename for file in there} - {".gitattributes", "README.md"})
    if others and mark not in others:
        raise ConfigError(
            f"{repository} exists and holds something else, such as {others[0]}; nothing was "
            "changed. Choose another name, or delete those files first."
        )


def commit_files(
    repository: str,
    files: Mapping[str, Content],
    *,
    message: str,
    stale: Callable[[str], bool],
    repo_type: str = constants.REPO_TYPE_MODEL,
) -> tuple[str, bool]:
    """Makes a repository hold these files, in one commit or in none if it does already.

    Args:
        stale: which of the other files there, by name, are to go.

    Returns: the commit's hash, and whether it is new.
    """
    api = HfApi()
    before = api.repo_info(repository, repo_type=repo_type, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    there = [sibling.rfilename for sibling in before.siblings or []]
    operations = [CommitOperationAdd(name, content) for name, content in files.items()]
    operations += [
        CommitOperationDelete(name) for name in there if name not in files and stale(name)
    ]
    commit = api.create_commit(
        repository,
        operations,
        commit_message=message,
        repo_type=repo_type,
        # Fails instead of overwriting what somebody else commits at the same moment.
        parent_commit=before.sha,
    )
    return commit.oid, commit.oid != before.sha


def _check(repository: str, files: Mapping[str, Content], commit: str) -> None:
    """Downloads the commit into an empty cache and compares every byte."""
    with tempfile.TemporaryDirectory() as cache:
        for name, content in files.items():
            sent = content if isinstance(content, bytes) else content.read_bytes()
            came = hf_hub_download(repository, name, revision=commit, cache_dir=cache)
            if Path(came).read_bytes() != sent:
                raise HubError(
                    f"{repository}: {name} came back different from what was sent. Push again; if "
                    "it happens again, the Hub or something on the way to it is at fault."
                )
