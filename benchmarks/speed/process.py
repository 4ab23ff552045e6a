"""New processes with caches of their own, and the wall time of each."""

import compileall
import json
import os
import site
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# Seconds after which a process is given up.
LIMIT = 7200.0
# Where programs keep caches: by XDG, on macOS and elsewhere below the home, on Windows.
CACHE_FOLDERS = ("XDG_CACHE_HOME", "HOME", "USERPROFILE", "LOCALAPPDATA")


class FailedProcess(RuntimeError):
    """A process that ended with an error, or not in time."""


def environment(caches: Path, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables of a process that finds no cache but those below `caches`.

    What the caller says of compiled programs and of byte code is left out; where Python finds
    packages stays.
    """
    kept = {name: value for name, value in base.items() if not _is_of_cache(name)}
    paths = [os.path.abspath(path) for path in base.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {
        **kept,
        **{name: str(caches) for name in CACHE_FOLDERS},
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUSERBASE": site.getuserbase(),
    }


def _is_of_cache(name: str) -> bool:
    of_jax = name.startswith("JAX_") and "CACHE" in name
    return of_jax or name in ("BRENIER_CACHE", "PYTHONDONTWRITEBYTECODE")


def compile_modules() -> None:
    """Leave the byte code of brenier's modules beside them, as an install does.

    Without it a checkout's modules are compiled at every import, of which many rows have one.
    """
    for name in ("brenier", "benchmarks"):
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            compileall.compile_dir(Path(spec.origin).parent, quiet=2)


def wall_seconds(command: Sequence[Any], caches: Path, cwd: Path) -> float:
    """Return the seconds from a process's start to its end; raise if it fails."""
    caches.mkdir(parents=True, exist_ok=True)
    variables = environment(caches)
    start = time.perf_counter()
    try:
        run = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=variables,
            timeout=LIMIT,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FailedProcess(f"stopped after {LIMIT:g} s") from error
    seconds = time.perf_counter() - start
    if run.returncode:
        said = run.stderr.strip().splitlines() or [f"ended with code {run.returncode}"]
        raise FailedProcess(said[-1])
    return seconds


def run_job(job: str, caches: Path, **arguments: Any) -> dict[str, Any]:
    """Return what a job says of itself, and `whole_seconds`, those of its whole process.

    Parameters
    ----------
    job : str
        Module of this package and function in it: "fits.first".
    caches : Path
        Folder below which the process keeps its caches; empty or new for none.
    **arguments
        Of the function; whatever JSON can hold, and paths.
    """
    caches.mkdir(parents=True, exist_ok=True)
    answer = caches / "answer.json"
    said = json.dumps(arguments, default=str)
    command = [sys.executable, "-m", "benchmarks.speed.child", job, said, answer]
    seconds = wall_seconds(command, caches, ROOT)
    return {**json.loads(answer.read_text()), "whole_seconds": seconds}
