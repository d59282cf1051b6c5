"""Several files as one ZIP."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

_PACKED = (".png", ".npz", ".zip")
"""Already compressed: packing them again costs time and gains nothing."""


def bundle(files: Mapping[str, bytes]) -> bytes:
    """A ZIP of files by name. Equal files give equal bytes: it holds no dates."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            add(archive, name, content)
    return buffer.getvalue()


def add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Adds a file to a ZIP, without a date."""
    entry = zipfile.ZipInfo(name)
    packed = name.endswith(_PACKED)
    entry.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)
