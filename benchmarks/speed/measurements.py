"""How to come by the figures: each function makes one repetition of those of one or more rows.

They are called in the parent; what they time runs in processes of its own.
"""

import json
import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.speed.draws import smooth_rows
from benchmarks.speed.process import ROOT, run_job, wall_seconds

ROWS = 2000
# More than any of the limits is enough for.
ROWS_OF_LIMITS, COLUMNS_OF_LIMITS = 20_000, 10
SHORT_FIT = 20
# Ten lengths and numbers of columns.
SHAPES = (
    *((500, 2), (800, 3), (1000, 4), (1500, 2), (2000, 4)),
    *((700, 5), (1200, 6), (900, 3), (1600, 5), (600, 4)),
)
ROUNDS = 3
COMMAND = re.compile(r"(?<=&& )brenier fit (\S+) -o \S+")


@dataclass(frozen=True)
class Place:
    """Where a repetition is measured.

    Attributes
    ----------
    new : Path
        A folder of this repetition's own, empty.
    shared : Path
        One that all repetitions of the measurement share.
    """

    new: Path
    shared: Path


class Figure(dict[str, Any]):
    """What one repetition says of a row: its `value`, and anything worth keeping beside it."""

    def __init__(self, value: float, **details: Any):
        super().__init__(value=value, **details)


Figures = dict[str, Figure]
"""By the rows' names."""


class CannotMeasure(RuntimeError):
    """What is needed for a measurement is not here."""


def _saved(array: np.ndarray, path: Path) -> Path:
    np.save(path, array)
    return path


def _drawn(N: int, n: int, place: Place) -> Path:
    """Return a file of draws, the same in every repetition."""
    path = place.shared / f"rows-{N}-{n}.npy"
    return path if path.exists() else _saved(smooth_rows(N, n, 0), path)


def _posterior(name: str, place: Place) -> dict[str, Path]:
    """Return files of a posterior's rows: to train on, to stop on, to test on."""
    from benchmarks import data

    if not data.POSTERIORS.is_dir():
        raise CannotMeasure("the posterior draws are not here")
    parts = data.posterior(name)._asdict()
    return {part: _saved(rows, place.new / f"{part}.npy") for part, rows in parts.items()}


def readme_command() -> list[str]:
    """Return the README's first command after the install, as words."""
    found = COMMAND.search((ROOT / "README.md").read_text())
    if found is None:
        raise CannotMeasure("the README has no first command")
    return shlex.split(found[0])


def command(place: Place) -> Figures:
    """Return the seconds of the README's first command, with an empty cache and again."""
    words, caches = readme_command(), place.new / "caches"
    table = place.new / words[2]
    table.parent.mkdir(parents=True)
    shutil.copy(ROOT / words[2], table)
    line = [sys.executable, "-m", *words]
    names = ("command-first", "command-again")
    return {name: Figure(wall_seconds(line, caches, place.new)) for name in names}


def compilation(n: int, place: Place) -> Figures:
    """Return the wall time in which fit, score and sample compile."""
    said = run_job("fits.compile_all", place.new / "caches", rows=_drawn(ROWS, n, place))
    return {f"compile-{n}": Figure(said.pop("compiling"), **said)}


def compiled_fit(n: int, place: Place) -> Figures:
    """Return the seconds of the second of two fits."""
    said = run_job("fits.second", place.shared / "caches", rows=_drawn(ROWS, n, place))
    return {f"fit-{n}": Figure(said.pop("seconds"), **said)}


def against_spline_flow(name: str, place: Place) -> Figures:
    """Return the seconds of a compiled fit over those of a spline flow's."""
    from benchmarks.peers import PEERS

    if PEERS["zuko-nsf"].missing:
        raise CannotMeasure(f"install {' and '.join(PEERS['zuko-nsf'].missing)}")
    rows = _posterior(name, place)
    files = {"heldout": rows["valid"]}
    ours = run_job("fits.second", place.shared / "caches", rows=rows["train"], **files)
    theirs = run_job("fits.spline_flow", place.new / "caches", train=rows["train"], **files)
    details = {"ours": ours, "theirs": theirs}
    return {f"zuko-{name}": Figure(ours["seconds"] / theirs["seconds"], **details)}


def sampling(place: Place) -> Figures:
    """Return the seconds of the first sample in a process with a warm cache, and of further ones.

    The first repetition fits the model and fills the cache.
    """
    model, caches = place.shared / "model.brenier", place.shared / "caches"
    if not model.exists():
        run_job("fits.keep_model", caches, rows=_drawn(ROWS, 4, place), model=model)
        run_job("fits.sample", caches, model=model)
    said = run_job("fits.sample", caches, model=model)
    further = [1e3 * seconds for seconds in said["further"]]
    return {
        "sample-first": Figure(said["first"], load_seconds=said["load_seconds"]),
        "sample-next": Figure(median(further), slowest=max(further)),
    }


def kernels(n: int, place: Place) -> Figures:
    """Return the rates of the kernels."""
    said = run_job("flops.rates", place.shared / "caches", n=n)
    del said["whole_seconds"]
    return {f"{kernel}-{n}": Figure(rate) for kernel, rate in said.items()}


def cross_validation(place: Place) -> Figures:
    """Return the seconds of a whole process that validates in five folds."""
    said = run_job("fits.cross_validate", place.new / "caches", rows=_drawn(ROWS, 4, place))
    return {"cross-validation": Figure(said.pop("whole_seconds"), **said)}


def large(name: str, N: int, place: Place) -> Figures:
    """Return the seconds and the peak memory of a first fit to many rows."""
    said = run_job("fits.first", place.new / "caches", rows=_drawn(N, 6, place))
    peak = 2**20 * said["peak_mib"] / 1e9
    return {name: Figure(said.pop("seconds"), **said), f"{name}-memory": Figure(peak)}


def limited_command(T: int, place: Place) -> Figures:
    """Return the seconds of a whole `brenier fit --max-seconds T`."""
    table = _as_csv(_drawn(ROWS_OF_LIMITS, COLUMNS_OF_LIMITS, place))
    model = place.new / "model.brenier"
    words = ["brenier", "fit", table, "-o", model, "--max-seconds", T]
    seconds = wall_seconds([sys.executable, "-m", *words], place.new / "caches", place.new)
    return {f"limit-command-{T}": Figure(seconds)}


def _as_csv(rows: Path) -> Path:
    path = rows.with_suffix(".csv")
    if not path.exists():
        X = np.load(rows)
        names = ",".join(f"x{i}" for i in range(X.shape[1]))
        np.savetxt(path, X, fmt="%.17g", delimiter=",", header=names, comments="")
    return path


def limited_fit(T: int, place: Place) -> Figures:
    """Return the seconds of `fit` with max_seconds, the first in its process, no cache."""
    rows = _drawn(ROWS_OF_LIMITS, COLUMNS_OF_LIMITS, place)
    settings = {"max_seconds": T}
    said = run_job("fits.first", place.new / "caches", rows=rows, settings=settings)
    return {f"limit-python-{T}": Figure(said.pop("seconds"), **said)}


def short_gain(place: Place) -> Figures:
    """Return the share (%) of the full fit's gain that a short one has.

    The full fit, which the clock does not change, is made in the first repetition only.
    """
    rows = _posterior("garch11", place)
    files = {"train": rows["train"], "heldout": rows["valid"], "test": rows["test"]}
    settings = {"max_seconds": SHORT_FIT}
    short = run_job("fits.gain", place.new / "short", **files, settings=settings)
    kept = place.shared / "full.json"
    if not kept.exists():
        kept.write_text(json.dumps(run_job("fits.gain", place.shared / "caches", **files)))
    full = json.loads(kept.read_text())
    return {"short-gain": Figure(100.0 * short["gain"] / full["gain"], short=short, full=full)}


def guide(place: Place) -> Figures:
    """Return the seconds of all the guide's blocks together, no cache, and of the longest."""
    seconds = run_job("guide.run_blocks", place.new / "caches")["blocks"]
    return {"guide": Figure(sum(seconds), blocks=seconds), "guide-longest": Figure(max(seconds))}


def memory(place: Place) -> Figures:
    """Return the resident memory (GB) after fits of many shapes, and its growth in the last round.

    The former is the largest of all; the latter from the end of the last round but one.
    """
    said = run_job("fits.many", place.new / "caches", shapes=SHAPES, rounds=ROUNDS)
    gigabytes = [2**20 * mib / 1e9 for mib in said["resident_mib"]]
    growth = gigabytes[-1] - gigabytes[-1 - len(SHAPES)]
    return {
        "memory": Figure(max(gigabytes), after_each_fit=gigabytes),
        "memory-growth": Figure(growth),
    }
