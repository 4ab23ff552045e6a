"""Writing a file whole or not at all."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from brenier.io.temporary import create, has_locks, remove_left_behind

StrPath = str | os.PathLike[str]


def write_atomically(path: StrPath, data: bytes) -> None:
    """Put `data` in the file `path`, whole or not at all; see `replacing`."""
    with replacing(path) as file:
        file.write(data)


class Replacement:
    """A temporary file that is written to, as far as writers need it.

    What fails is an `OSError` that names the file it is to replace.
    """

    def __init__(self, file: BinaryIO, path: StrPath):
        self._file, self._path = file, path

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes."""
        with _explained(self._path):
            return self._file.write(data)

    def overwrite(self, data: bytes) -> None:
        """Write bytes in the place of the first ones."""
        with _explained(self._path):
            self._file.seek(0)
            self._file.write(data)
            self._file.seek(0, os.SEEK_END)


@contextlib.contextmanager
def replacing(path: StrPath) -> Iterator[Replacement]:
    """Yield what is to be the file `path`, whole or not at all.

    The bytes go to a temporary file in the same folder, to disk, and then take the name in one
    step. A symbolic link stays a link; the permissions of an older file are kept, by the temporary
    file too. One that a process left behind when it was killed is removed by the next that writes
    in the folder.

    Raises
    ------
    OSError
        If that fails: the temporary file is removed and an older file is unchanged, as they are
        where the body of the `with` statement fails. The message names the path and the reason,
        and `errno` is set.
    """
    target = Path(os.path.realpath(path))
    with _explained(path):
        if target.exists() and not target.is_file():
            raise OSError(errno.EISDIR, "it exists and is not a regular file")
        remove_left_behind(target.parent)
        temporary, handle = create(target)
    try:
        with open(handle, "wb") as file:
            yield Replacement(file, path)
            with _explained(path):
                file.flush()
                os.fsync(file.fileno())
                if has_locks():
                    # Locked until it has its name.
                    os.replace(temporary, target)
        if not has_locks():
            with _explained(path):
                # Windows renames no file that is open.
                os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


@contextlib.contextmanager
def _explained(path: StrPath) -> Iterator[None]:
    """Say of a failure of the system what it was to write."""
    try:
        yield
    except OSError as error:
        failure = OSError(
            f"Expected a place to write {os.fspath(path)}; got: {error.strerror or error}. An "
            "older file of that name is unchanged. Free some space or choose another place."
        )
        failure.errno = error.errno
        raise failure from error


def _sync_folder(folder: Path) -> None:
    """Ask for the new name itself to reach the disk; not every system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
