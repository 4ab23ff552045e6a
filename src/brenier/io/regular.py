"""Opening what is a file: not a pipe or a device, which may have no end, or wait for ever."""

import errno
import os
import stat
from typing import BinaryIO

from brenier.io.atomic import StrPath


def open_regular(path: StrPath) -> BinaryIO:
    """Return a regular file, open for reading.

    Raises
    ------
    OSError
        If it cannot be opened, or is no regular file.
    """
    file = open(path, "rb", opener=_without_waiting)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "a pipe or a device in place of a file")
    return file


def size_of(file: BinaryIO) -> int:
    """Return the number of bytes of an open file."""
    return os.fstat(file.fileno()).st_size


def _without_waiting(path: str, flags: int) -> int:
    """Open a path without waiting for a pipe's other end, where the system knows how."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
