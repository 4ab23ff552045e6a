"""Compiled programs kept between processes, so that the second fit of a shape starts at once.

This is JAX's persistent compilation cache in the user's cache folder. It is state of the whole
process, so the command line turns it on and the library leaves it to its user.
"""

import os
import sys
from pathlib import Path

# Everything is worth keeping: a fit compiles a hundred programs, most of them in under a second.
_OPTIONS = {
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


def cache_folder() -> Path:
    """Return the folder for compiled programs in the user's cache: by platform, or as XDG says."""
    home = Path.home()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    return Path(base) / "brenier" / "compiled"


def use_compilation_cache(folder: str | os.PathLike[str] | None = None) -> Path:
    """Keep compiled programs in a folder, for this and later processes.

    Call it before the first fit. It sets JAX's persistent compilation cache, which also serves
    other uses of JAX in the process.

    Parameters
    ----------
    folder : path, optional
        Where to keep them; the user's cache folder by default.

    Returns
    -------
    Path
        The folder.
    """
    import jax

    folder = cache_folder() if folder is None else Path(folder)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    for name, value in _OPTIONS.items():
        jax.config.update(name, value)
    return folder


def offer_compilation_cache() -> None:
    """Set the same through the environment, for a JAX not yet imported.

    What the user's environment says goes before: JAX_COMPILATION_CACHE_DIR is another folder, and
    JAX_ENABLE_COMPILATION_CACHE=false is none.
    """
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache_folder()))
    for name, value in _OPTIONS.items():
        os.environ.setdefault(name.upper(), str(value))
