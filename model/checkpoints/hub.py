"""Checkpoints from the Hugging Face Hub, through huggingface_hub: its cache, progress, resume.

The environment variables are the client's own: HF_ENDPOINT, HF_TOKEN, HF_HOME,
HF_HUB_OFFLINE, HF_HUB_ETAG_TIMEOUT, HF_HUB_DOWNLOAD_TIMEOUT.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from pathlib import Path

from huggingface_hub import (
    HfApi,
    cached_assets_path,
    constants,
    hf_hub_download,
    try_to_load_from_cache,
)

from model import writing
from model.checkpoints import folder
from model.checkpoints.folder import Checkpoint
from model.checkpoints.hub_errors import HubError, in_words, is_unreachable
from model.checkpoints.hub_id import HubId
from model.digest import file_digest
from model.errors import ConfigError

logger = logging.getLogger(__name__)

# Never anything else: no file that could run code is even downloaded. The weights come last,
# so that weights in the cache mean that all the rest is there too.
FILES = (
    folder.CONFIG_FILE,
    folder.DESCRIPTION_FILE,
    folder.METRICS_FILE,
    folder.HISTORY_FILE,
    folder.PER_IMAGE_FILE,
    folder.CURVES_FILE,
    folder.CARD_FILE,
    folder.INT8_FILE,
    folder.WEIGHTS_FILE,
)
RECORD_FILE = "hub.json"

_found: dict[HubId, Checkpoint] = {}


def pull(hub_id: HubId) -> Checkpoint:
    """Downloads a checkpoint, or finds it in the cache, and checks it by its hashes.

    The Hub is asked which commit the revision is now; if it cannot be reached, the cached
    commit of that revision is used. A plain segmentation_models_pytorch checkpoint, without
    our description, is imported with numbered classes (see `smp_import`).

    Returns: the checkpoint, named as `hub_id`; `description["hub"]` records repository,
        revision and commit.
    Raises: `HubError` in a sentence, `CheckpointError` if it is no checkpoint of a known kind.
    """
    with in_words(str(hub_id)):
        snapshot = _download(hub_id)
        _verify(snapshot, hub_id)
        commit = snapshot.name
        if not (snapshot / folder.DESCRIPTION_FILE).exists():
            from model.checkpoints import smp_import  # needs torch, which our own format does not

            assets = cached_assets_path("unet-studio", hub_id.repository, commit)
            snapshot = smp_import.convert(snapshot, assets / hub_id.short_name, str(hub_id))
    checkpoint = folder.read(snapshot)
    record = {"repository": hub_id.repository, "revision": hub_id.revision, "commit": commit}
    description = {**checkpoint.description, "hub": record}
    return replace(checkpoint, name=str(hub_id), description=description)


def find(hub_id: HubId) -> Checkpoint:
    """As `pull`, but asks the Hub only once per process.

    A server keeps answering with the commit it started with, and needs no network for it.
    """
    checkpoint = _found.get(hub_id)
    if checkpoint is None or not checkpoint.weights_path.exists():
        checkpoint = _found[hub_id] = pull(hub_id)
    return checkpoint


def copy_to(checkpoint: Checkpoint, target: Path) -> None:
    """Copies a pulled checkpoint into a folder of its own, with a record of where it is from.

    Raises: `ConfigError` if other weights or other files are there already, or it cannot be
        written.
    """
    weights = target / folder.WEIGHTS_FILE
    ours = (folder.DESCRIPTION_FILE, RECORD_FILE)
    if target.is_dir() and any(target.iterdir()) and not any((target / n).exists() for n in ours):
        raise ConfigError(f"{target} is not empty and holds no checkpoint. Choose another folder.")
    if weights.exists() and file_digest(weights) != file_digest(checkpoint.weights_path):
        raise ConfigError(f"{target} holds other weights already. Remove it, or choose another.")
    try:
        target.mkdir(parents=True, exist_ok=True)
        writing.write_json(target / RECORD_FILE, checkpoint.description["hub"])
        for name in FILES:
            if (source := checkpoint.path / name).exists():
                writing.write_bytes(target / name, source.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{target} cannot be written: {error.strerror}. Choose another folder."
        ) from error


def _download(hub_id: HubId) -> Path:
    """The folder with the files of `hub_id` in the client's cache; its name is the commit."""
    repository, revision = hub_id.repository, hub_id.revision or constants.DEFAULT_REVISION
    cached = try_to_load_from_cache(repository, folder.WEIGHTS_FILE, revision=revision)
    there = isinstance(cached, str)
    if there and hub_id.is_pinned and _is_described(repository, Path(cached).parent):
        return Path(cached).parent
    try:
        # Without retries: whoever is offline should learn it at once. The list also saves asking
        # for each file; not every server of the protocol says clearly that a file is missing.
        listed = HfApi().model_info(
            repository, revision=revision, timeout=constants.HF_HUB_ETAG_TIMEOUT
        )
    except Exception as error:
        # Without a description the classes would be guessed, and the guess kept for ever.
        described = there and _is_described(repository, Path(cached).parent)
        if not (described and is_unreachable(error)):
            raise
        logger.warning("%s: the Hub cannot be reached; using the cached copy.", hub_id)
        return Path(cached).parent
    offered = {sibling.rfilename for sibling in listed.siblings or []}
    for name in (folder.CONFIG_FILE, folder.WEIGHTS_FILE):
        if name not in offered:
            raise HubError(f"{hub_id} has no {name}: it is not a checkpoint this program can read.")
    # By the branch's name: the client notes which commit it is, for when it is offline.
    snapshot = Path(hf_hub_download(repository, folder.CONFIG_FILE, revision=revision)).parent
    for name in FILES[1:]:
        if name in offered:
            hf_hub_download(repository, name, revision=snapshot.name)
    return snapshot


def _is_described(repository: str, snapshot: Path) -> bool:
    """Whether a cached checkpoint has its description, or was imported without one before.

    Other programs download the network alone: from their cache the classes and all the rest would
    be guessed, even if the Hub has a description.
    """
    if (snapshot / folder.DESCRIPTION_FILE).exists():
        return True
    try:
        taken_in = cached_assets_path("unet-studio", repository, snapshot.name)
        return any(taken_in.iterdir())
    except OSError:  # a cache that cannot be written
        return False


def _verify(snapshot: Path, hub_id: HubId) -> None:
    """Checks each file against the hash that the Hub announced; one that differs is deleted.

    The client itself compares sizes only. It names the file in its cache by the ETag, which
    is the SHA-256 of a large file and the git blob hash of a small one. Where the cache holds
    no such links (a file system without them), there is nothing to compare.
    """
    for name in FILES:
        pointer = snapshot / name
        if not pointer.is_symlink():
            continue
        blob = pointer.resolve()
        digests = {64: file_digest, 40: _git_hash}
        digest = digests.get(len(blob.name))
        if digest is not None and digest(blob) != blob.name:
            pointer.unlink()
            blob.unlink()
            # Without them the next pull asks again for whatever is missing.
            (snapshot / folder.WEIGHTS_FILE).unlink(missing_ok=True)
            raise HubError(
                f"{hub_id}: {name} has the wrong hash: it was damaged in transit or on the disk. "
                "It was deleted; run this again."
            )


def _git_hash(path: Path) -> str:
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
