"""Temporary files beside the file that they are to replace, and those that dead processes left.

A process holds a lock on its temporary file as long as it lives, and the system takes the lock from
it however it ends: who can lock such a file may remove it. Where the system has no such locks,
nothing is removed.
"""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:
    # Windows.
    fcntl = None

PREFIX, SUFFIX = ".brenier-", ".tmp"
# Of files that are new, less what the user's mask takes from it.
MODE = 0o666


def create(target: Path) -> tuple[Path, int]:
    """Return a new file beside a target, with its permissions, and a handle to write it by."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        path = target.with_name(f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}")
        mode = _mode_of(target)
        handle = os.open(path, flags, MODE if mode is None else mode)
        try:
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(handle, mode)
            if _is_kept(handle, path):
                return path, handle
        except BaseException:
            os.close(handle)
            with suppress(OSError):
                path.unlink()
            raise
        # Another process took it for one left behind, in the moment before it was locked.
        os.close(handle)


def has_locks() -> bool:
    """Whether the system has locks that end with their process."""
    return fcntl is not None


def remove_left_behind(folder: Path) -> None:
    """Remove the temporary files of processes that have ended."""
    with suppress(OSError):
        for path in list(folder.glob(f"{PREFIX}*{SUFFIX}")):
            _remove_if_left_behind(path)


def _remove_if_left_behind(path: Path) -> None:
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            if stat.S_ISREG(os.fstat(handle).st_mode) and lock(handle):
                path.unlink()
        finally:
            os.close(handle)


def _mode_of(target: Path) -> int | None:
    """Return the permissions of a file; None where there is none."""
    try:
        return stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        return None


def _is_kept(handle: int, path: Path) -> bool:
    """Lock a new file; return whether nobody has removed it meanwhile."""
    try:
        lock(handle)
        return os.path.samestat(os.fstat(handle), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def lock(handle: int) -> bool:
    """Return whether an open file could be locked; raise `BlockingIOError` if another has it."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        # A file system without locks.
        return False
    return True
