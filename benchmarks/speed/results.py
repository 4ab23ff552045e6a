"""What has been measured so far, in one JSON file; rows measured anew take their old place."""

import json
from collections.abc import Mapping
from dataclasses import asdict
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
