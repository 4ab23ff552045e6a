"""Compiled programs kept in a folder between processes: the second fit of a shape starts at once.

The folder is the user's cache folder, or what the environment variable `BRENIER_CACHE` names; with
`BRENIER_CACHE=off` nothing is kept. What was not used for longest goes first. A file runs code when
it is read, as Python's own compiled modules do: the folder is its owner's alone.
"""

import os
import pickle
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import serialize_executable
from jax.stages import Compiled

from brenier.program.key import setting

VARIABLE = "BRENIER_CACHE"
OFF = "off"
# Of all files together; one has about half a megabyte.
MOST_BYTES = 1 << 28
ENDING = ".program"
# Folders for what is being written, and after how long one is another process's no more (seconds).
APART, LEFT_BEHIND = ".writing-", 3600.0


def folder() -> Path | None:
    """Return the folder of programs, by platform or as the environment says; None for none."""
    said = os.environ.get(VARIABLE)
    if said:
        return None if said.lower() == OFF else Path(said)
    try:
        home = Path.home()
    except RuntimeError:
        # A user without a home keeps nothing.
        return None
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    return Path(base) / "brenier" / "programs"


def load(digest: str) -> tuple[Compiled, Any] | None:
    """Return a program and what its result is made into; None where there is none that works."""
    kept = folder()
    if kept is None:
        return None
    path = kept / (digest + ENDING)
    try:
        text = path.read_bytes()
    except OSError:
        return None
    try:
        serialised, result = pickle.loads(text)
        _use_lapack()
        executable = serialize_executable.deserialize_and_load(*serialised)
    except Exception:
        # A file cut short, or another machine's: compiling anew is always right.
        with suppress(OSError):
            path.unlink()
        return None
    # Used now: it stays longest. The folder may be another user's, and only to be read.
    with suppress(OSError):
        os.utime(path)
    return executable, result


@cache
def _use_lapack() -> None:
    """Have JAX look for LAPACK's routines, as it does when it first lowers a call of one.

    A program read from a file calls them without that, at no address.
    """
    jax.jit(jnp.linalg.cholesky).lower(jax.ShapeDtypeStruct((1, 1), jnp.float32))


def save(digest: str, executable: Compiled, result: Any) -> None:
    """Keep a program, unless it or the folder does not allow it.

    Nor is one kept where the user has JAX's own cache: a program read from there and written here
    would end with "function not found" when it is called (jaxlib 0.10.2).
    """
    kept = folder()
    if kept is None or setting("jax_compilation_cache_dir"):
        return
    # What a device does not write, a full disk or a folder only to be read is no reason to fail.
    with suppress(OSError, RuntimeError, ValueError, TypeError, pickle.PicklingError):
        text = pickle.dumps((serialize_executable.serialize(executable), result))
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=APART, dir=kept) as apart:
            # Whole from the first moment that it has its name.
            written = Path(apart) / digest
            written.write_bytes(text)
            written.replace(kept / (digest + ENDING))
        _make_room(kept)


def _make_room(kept: Path) -> None:
    """Remove what was not used for longest, as far as there is more than enough."""
    files = sorted((path.stat().st_mtime, path) for path in kept.glob("*" + ENDING))
    total = sum(path.stat().st_size for _, path in files)
    for _, path in files:
        if total <= MOST_BYTES:
            break
        total -= path.stat().st_size
        path.unlink(missing_ok=True)
    for path in kept.glob(APART + "*"):
        if time.time() - path.stat().st_mtime > LEFT_BEHIND:
            shutil.rmtree(path, ignore_errors=True)
