"""ZIPs: hostile ones are read within bounds, answers are written while they are sent."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import BinaryIO

from app.limits import DIRECTORY_BYTES, MOST_FILES, MOST_RATIO, UNPACKED_BYTES, safe_name
from model.data.images import MAX_BYTES
from model.errors import ImageError, ImageTooLargeError
from model.inference.exports import bundle

START = b"PK\x03\x04"
_END, _END_BYTES = b"PK\x05\x06", 22
_ZIP64 = b"PK\x06\x07"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_IGNORED = ("__MACOSX", ".")

_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError,
    NotImplementedError, RuntimeError, OverflowError,
)  # fmt: skip
"""What `zipfile` raises for files that are none."""


class Archive:
    """The files in a ZIP that a stranger sent. Nothing is written to disk.

    Args:
        file: seekable; used until the last member has been read.
        suffixes: in lower case; if given, files with others are passed over.
        unpacked_bytes: what all members may unpack to.

    Raises: `ImageError` if it is no ZIP, or holds what is not unpacked here; `ImageTooLargeError`
        if it would unpack to more than SECURITY.md allows.
    """

    def __init__(
        self,
        file: BinaryIO,
        suffixes: Collection[str] | None = None,
        unpacked_bytes: int = UNPACKED_BYTES,
    ) -> None:
        _check_directory(file)
        try:
            self._zip = zipfile.ZipFile(file)
        except _DAMAGE as error:
            raise ImageError(f"The ZIP is damaged ({error}). Pack it again.") from error
        self.members = [info for info in self._zip.infolist() if _wanted(info)]
        if not self.members:
            raise ImageError("The ZIP holds no files.")
        if suffixes is not None:
            self.members = [info for info in self.members if _suffix(info) in suffixes]
            if not self.members:
                raise ImageError(
                    f"The ZIP holds no pictures that are read here: {', '.join(sorted(suffixes))}."
                )
        _check_members(self.members, unpacked_bytes)

    @property
    def size(self) -> int:
        """Bytes that all members take unpacked."""
        return sum(info.file_size for info in self.members)

    def names(self) -> list[str]:
        """As `safe_name` leaves them."""
        return [safe_name(info.filename) for info in self.members]

    def read(self, index: int) -> bytes:
        """The content of a member. Raises `ImageError` if it is damaged."""
        info = self.members[index]
        try:
            with self._zip.open(info) as member:
                # Never more than it declared, which was checked.
                return member.read(info.file_size)
        except _DAMAGE as error:
            raise ImageError(
                f"{safe_name(info.filename)} is damaged in the ZIP ({error})."
            ) from error


def is_zip(file: BinaryIO) -> bool:
    """Whether it begins as ZIPs do; leaves the position at the start."""
    start = file.read(len(START))
    file.seek(0)
    return start in (START, _END)


def _check_directory(file: BinaryIO) -> None:
    """Before Python reads the whole list of contents into memory."""
    size = file.seek(0, os.SEEK_END)
    tail_bytes = min(size, _END_BYTES + 2**16)
    file.seek(size - tail_bytes)
    tail = file.read(tail_bytes)
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < _END_BYTES:
        raise ImageError("The ZIP is cut short: its list of contents is missing. Send it again.")
    if _ZIP64 in tail:
        raise ImageError("The ZIP is of the kind for huge files (ZIP64). Pack it in parts.")
    count, directory_bytes = struct.unpack_from("<HI", tail, end + 10)
    if count > 4 * MOST_FILES:
        raise ImageTooLargeError(_too_many(count))
    if directory_bytes > DIRECTORY_BYTES:
        raise ImageTooLargeError(
            f"The ZIP's list of contents is too large for {MOST_FILES} files. Send it in parts."
        )
    file.seek(0)


def _path(info: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(info.filename.replace("\\", "/"))


def _suffix(info: zipfile.ZipInfo) -> str:
    return _path(info).suffix.lower()


def _wanted(info: zipfile.ZipInfo) -> bool:
    """Not folders, nor what systems add on their own."""
    parts = [part for part in _path(info).parts if part != ".."]
    return not (info.is_dir() or any(part.startswith(_IGNORED) for part in parts))


def _check_members(members: list[zipfile.ZipInfo], unpacked_bytes: int) -> None:
    if len(members) > MOST_FILES:
        raise ImageTooLargeError(_too_many(len(members)))
    for info in members:
        name = safe_name(info.filename)
        if info.flag_bits & 1:
            raise ImageError(f"{name} in the ZIP is encrypted. Pack it without a password.")
        if info.compress_type not in _METHODS:
            raise ImageError(f"{name} in the ZIP is packed in a rare way. Use plain ZIP (deflate).")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise ImageError(f"{name} in the ZIP is a link. Pack the file itself.")
        if info.file_size > MAX_BYTES:
            raise ImageTooLargeError(
                f"{name} in the ZIP unpacks to {info.file_size / 2**20:.0f} MiB; the limit is "
                f"{MAX_BYTES // 2**20} MiB."
            )
        if info.file_size > max(2**20, MOST_RATIO * info.compress_size):
            raise ImageTooLargeError(
                f"{name} in the ZIP unpacks to more than {MOST_RATIO} times its size, as ZIP bombs "
                "do. Send it as PNG."
            )
    size = sum(info.file_size for info in members)
    packed = sum(info.compress_size for info in members)
    if size > unpacked_bytes or size > max(2**20, MOST_RATIO * packed):
        raise ImageTooLargeError(
            f"The ZIP unpacks to more than {unpacked_bytes // 2**20} MiB, or {MOST_RATIO} times "
            "its size. Send it in parts."
        )


def _too_many(count: int) -> str:
    return f"The ZIP holds {count} files or more; the limit is {MOST_FILES}. Send it in parts."


class ArchiveWriter:
    """A ZIP that is taken away piece by piece while it is written."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w")

    def add(self, name: str, content: bytes) -> None:
        """As `bundle.add`."""
        bundle.add(self._zip, name, content)

    def close(self) -> None:
        self._zip.close()

    def take(self) -> bytes:
        """What was written since the last time."""
        return self._sink.take()


class _Sink(io.RawIOBase):
    """Cannot seek: `ZipFile` then writes sizes behind the files."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, content) -> int:
        self._pieces.append(bytes(content))
        return len(content)

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
