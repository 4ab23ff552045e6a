"""What has been measured so far, in one JSON file; rows measured anew take their old place."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.speed.table import Kept, Row, measured, ratio

FILE = report.RESULTS / "speed.json"


def read(file: Path = FILE) -> dict[str, Kept]:
    """Return what is kept of every row, by its name; nothing where there is no file."""
    return json.loads(file.read_text()) if file.exists() else {}


def write(kept: Mapping[str, Kept], file: Path = FILE) -> None:
    """Write what is kept of every row; the file appears whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    part.write_text(json.dumps(kept, indent=1) + "\n")
    part.replace(file)


def with_repetition(
    old: Kept | None, row: Row, repetition: Mapping[str, Any], where: Mapping[str, Any]
) -> Kept:
    """Return what is kept of a row once one more repetition is.

    Parameters
    ----------
    old : dict or None
        What was kept of it; None to begin anew.
    repetition : mapping
        Its `value`, or `failed`, why there is none; the load before it; anything else.
    where : mapping
        On what it was made: machine, versions, commit.
    """
    repetitions = [*(old["repetitions"] if old else []), {**repetition, **_if_other(old, where)}]
    figure = measured({"repetitions": repetitions})
    return {
        **asdict(row),
        "measured": figure,
        "ratio": ratio(row, figure),
        "reached": row.reached(figure),
        "machine": old["machine"] if old else dict(where),
        "repetitions": repetitions,
    }


def _if_other(old: Kept | None, where: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a repetition was made, if not where the row's first one was."""
    return {} if old is None or old["machine"] == where else {"machine": dict(where)}


def here() -> dict[str, Any]:
    """Return the machine, its versions, and the commit of the brenier that is measured."""
    return {**report.machine(), "commit": _commit()}


def _commit() -> str | None:
    """Return the commit of brenier's checkout, with a + if files differ; None of an installed one.

    Files that git does not know do not count.
    """
    spec = find_spec("brenier")
    if spec is None or spec.origin is None:
        return None
    command = ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    found = subprocess.run(
        command, cwd=Path(spec.origin).parent, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or None
