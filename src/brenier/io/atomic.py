"""Writing a file whole or not at all."""

import contextlib
import errno
import os
from pathlib import Path

from brenier.io.temporary import create, has_locks, remove_left_behind

StrPath = str | os.PathLike[str]


def write_atomically(path: StrPath, data: bytes) -> None:
    """Put `data` in the file `path`, whole or not at all.

    The bytes go to a temporary file in the same folder, to disk, and then take the name in one
    step. A symbolic link stays a link; the permissions of an older file are kept, by the temporary
    file too. One that a process left behind when it was killed is removed by the next that writes
    in the folder.

    Raises
    ------
    OSError
        If that fails: the temporary file is removed and an older file is unchanged. The message
        names the path and the reason, and `errno` is set.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            raise OSError(errno.EISDIR, "it exists and is not a regular file")
        _replace(target, data)
    except OSError as error:
        failure = OSError(
            f"Expected a place to write {os.fspath(path)}; got: {error.strerror or error}. An "
            "older file of that name is unchanged. Free some space or choose another place."
        )
        failure.errno = error.errno
        raise failure from error


def _replace(target: Path, data: bytes) -> None:
    remove_left_behind(target.parent)
    temporary, handle = create(target)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if has_locks():
                # Locked until it has its name.
                os.replace(temporary, target)
        if not has_locks():
            # Windows renames no file that is open.
            os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Ask for the new name itself to reach the disk; not every system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
