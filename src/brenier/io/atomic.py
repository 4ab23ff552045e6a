"""Writing a file whole or not at all."""

import contextlib
import errno
import os
import secrets
import shutil
from pathlib import Path

StrPath = str | os.PathLike[str]


def write_atomically(path: StrPath, data: bytes) -> None:
    """Put `data` in the file `path`, whole or not at all.

    The bytes go to a temporary file in the same folder, to disk, and then take the name in one
    step. A symbolic link stays a link; the permissions of an older file are kept.

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
    temporary = target.with_name(f".brenier-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
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
