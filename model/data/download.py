"""Archives from the web: resumed where they stopped, checked by hash, unpacked as a whole."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from model.errors import DataError


def fetch_archive(url: str, md5: str, folder: Path) -> Path:
    """Downloads and unpacks `NAME.tar.gz`, whose content is the folder `NAME`.

    Does nothing if `folder/NAME` is there. The download is kept in `NAME.tar.gz.part` until
    it is complete and its hash is right; the archive is removed once it is unpacked.

    Returns: `folder/NAME`.
    Raises: `DataError` if the server cannot be reached, or the hash is wrong.
    """
    from huggingface_hub.file_download import http_get
    from torchvision.datasets.utils import calculate_md5, check_integrity, extract_archive

    file = url.rsplit("/", 1)[-1]
    target = folder / file.removesuffix(".tar.gz")
    if target.is_dir():
        return target
    part = folder / f"{file}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not check_integrity(part, md5):
            with part.open("ab") as stream:
                http_get(url, stream, resume_size=stream.tell(), displayed_filename=file)
    except Exception as error:  # the network's many ways to fail, and a full disk
        raise DataError(
            f"{url} could not be downloaded ({error}). Run the command again: it continues "
            f"where it stopped."
        ) from error
    found = calculate_md5(part)
    if found != md5:
        part.unlink()
        raise DataError(
            f"{url} has the MD5 {found} instead of {md5}: the file was damaged in transit, or "
            "replaced. It was discarded; run the command again."
        )
    # The complete folder is moved into place at the end, so that an incomplete one is never
    # taken for the data.
    with tempfile.TemporaryDirectory(dir=folder) as unpacked:
        archive = Path(unpacked) / file
        os.replace(part, archive)
        extract_archive(str(archive), unpacked)
        if not (Path(unpacked) / target.name).is_dir():
            raise DataError(f"{url} does not hold the folder '{target.name}'.")
        os.replace(Path(unpacked) / target.name, target)
    return target
