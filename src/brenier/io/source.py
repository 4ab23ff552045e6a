"""What is read: a file, or bytes, with its ends looked at first.

A source knows how messages name it. Its beginning and its end tell its format, and whether it is
damaged, before all of it is read.
"""

import os
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path

from brenier.io.base import TableError
from brenier.io.regular import open_regular, size_of

# So much of a file's beginning and end is looked at (bytes).
END_BYTES = 1 << 16


@dataclass(frozen=True)
class AbstractSource:
    """Content with the name of its origin.

    Attributes
    ----------
    where : str
        How messages name it.
    first, last : bytes
        Its beginning and its end.
    size : int
        Its length in bytes.
    path : Path, or None
        The file that has just this content, if it is one.
    """

    where: str
    first: bytes
    last: bytes
    size: int
    path: Path | None

    @property
    def is_long(self) -> bool:
        """Whether its ends are not all of it."""
        return self.size > END_BYTES

    @abstractmethod
    def read(self) -> bytes:
        """Return all of it."""


@dataclass(frozen=True)
class FileSource(AbstractSource):
    """A regular file."""

    def read(self) -> bytes:
        """Return all of it."""
        try:
            with open_regular(self.path or "") as file:
                return file.read()
        except OSError as error:
            raise unreadable(self.where, error) from error


@dataclass(frozen=True)
class BytesSource(AbstractSource):
    """Bytes of standard input, or of a member of a container."""

    content: bytes = b""

    def read(self) -> bytes:
        """Return all of it."""
        return self.content


def of_file(path: Path, where: str) -> FileSource:
    """Return a file as a source.

    Raises
    ------
    TableError
        If it is no file that can be read.
    """
    try:
        if path.is_dir():
            raise TableError(f"Expected a file; got the folder {where}. Name a file in it.")
        if not path.exists():
            raise TableError(f"Expected a file; got nothing at {where}. Check the path.")
        with open_regular(path) as file:
            size = size_of(file)
            first = file.read(END_BYTES)
            file.seek(max(0, size - END_BYTES), os.SEEK_SET)
            return FileSource(where, first, file.read(END_BYTES), size, path)
    except OSError as error:
        raise unreadable(where, error) from error


def of_bytes(content: bytes, where: str) -> BytesSource:
    """Return bytes as a source."""
    first, last = content[:END_BYTES], content[-END_BYTES:]
    return BytesSource(where, first, last, len(content), None, content)


def unreadable(where: str, error: OSError) -> TableError:
    """Return the error for a file that the system does not let read."""
    reason = error.strerror or error
    return TableError(
        f"Expected a readable file; got: {reason}, for {where}. Check its permissions."
    )
