"""What is kept of one run, and the files it is kept in.

A run is a JSON file with its numbers in DIR/runs; of those that the picture of Figure 2.1 shows, an
NPZ with all iterates is beside it. The JSON is written last and at once, so that a run is either
there as a whole or has to be done again.
"""

import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float

from brenier.io.atomic import write_atomically
from brenier.io.plain import to_plain, with_nan
from brenier.reproduce.record import write_json
from brenier.training.stored_report import MALFORMED, check_types

HISTORY = ("iteration", "work_units", "train", "validation", "test")


@dataclass(frozen=True)
class Run:
    """One method on one problem from one seed.

    Attributes
    ----------
    problem, label, seed : str, str, int
        Which.
    settings : dict
        All that decides the numbers; a run is used again only if it is the same.
    ended : str
        Why it ended.
    seconds : float
        Wall time, compilation included.
    inner_failures : int
        Inner solves that did not converge.
    history : dict of lists
        By iterate, the first before any work: `iteration`, `work_units`, the loss of `train`,
        `validation` and `test` rows without regularisation, and of classes the share of rows whose
        class is the likeliest.
    """

    problem: str
    label: str
    seed: int
    settings: dict[str, Any]
    ended: str
    seconds: float
    inner_failures: int
    history: dict[str, list[float]]

    def best_at(self, units: float | int, key: str = "validation") -> float:
        """Return what the iterate of the lowest validation loss has, within so many work units."""
        done = np.asarray(self.history["work_units"]) <= units
        losses = np.where(done, _finite(self.history["validation"]), np.inf)
        return float(self.history[key][int(np.argmin(losses))])

    def units_to(self, target: float | int) -> float:
        """Return the work units after which the validation loss is at most this; NaN if never."""
        reached = np.flatnonzero(_finite(self.history["validation"]) <= target)
        return float(self.history["work_units"][reached[0]]) if len(reached) else math.nan

    def best_so_far(self, units: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """Return the lowest validation loss within each of so many work units."""
        return self._until(units, np.minimum.accumulate(_finite(self.history["validation"])))

    def of_best_so_far(self, units: Float[np.ndarray, " k"], key: str) -> Float[np.ndarray, " k"]:
        """Return what the iterate of the lowest validation loss has, within so many work units."""
        return np.array([self.best_at(limit, key) for limit in units])

    def _until(
        self, units: Float[np.ndarray, " k"], values: Float[np.ndarray, " n"]
    ) -> Float[np.ndarray, " k"]:
        last = np.searchsorted(self.history["work_units"], units, side="right") - 1
        return values[last]


@dataclass(frozen=True)
class Iterates:
    """All iterates of a run: the network's weights as vectors, and W as vectors."""

    theta: Float[np.ndarray, "k q"]
    w: Float[np.ndarray, "k m"]


def _finite(losses: list[float]) -> Float[np.ndarray, " n"]:
    """Return losses, infinite where they are no numbers."""
    values = np.asarray(losses, dtype=float)
    return np.where(np.isfinite(values), values, np.inf)


@dataclass(frozen=True)
class Store:
    """The folder DIR/runs."""

    folder: Path

    def path(self, problem: str, label: str, seed: int) -> Path:
        """Return where the numbers of a run are."""
        return self.folder / f"{problem}-{label}-seed{seed}.json"

    def save(self, run: Run, iterates: Iterates | None) -> None:
        """Keep a run, its iterates first if they are wanted."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.path(run.problem, run.label, run.seed)
        if iterates is not None:
            file = io.BytesIO()
            np.savez_compressed(file, theta=iterates.theta, w=iterates.w)
            write_atomically(path.with_suffix(".npz"), file.getvalue())
        write_json(path, to_plain(asdict(run)))

    def find(
        self,
        problem: str,
        label: str,
        seed: int,
        settings: Mapping[str, Any],
        *,
        with_iterates: bool,
    ) -> Run | None:
        """Return the kept run of these very settings; None if there is none."""
        path = self.path(problem, label, seed)
        try:
            plain = json.loads(path.read_text())
            if plain["settings"] != to_plain(settings):
                return None
            if with_iterates:
                self.iterates(problem, label, seed)
            return _run(plain)
        except (OSError, BadZipFile, *MALFORMED):
            return None

    def iterates(self, problem: str, label: str, seed: int) -> Iterates:
        """Return the iterates of a run."""
        file = io.BytesIO(self.path(problem, label, seed).with_suffix(".npz").read_bytes())
        with np.load(file, allow_pickle=False) as arrays:
            return Iterates(arrays["theta"], arrays["w"])


def _run(plain: dict[str, Any]) -> Run:
    """Return the run that JSON was made of; null stands for NaN."""
    values = {field.name: plain[field.name] for field in fields(Run)}
    run = Run(**{**values, "history": with_nan(values["history"])})
    check_types(run, "run")
    if not {*HISTORY} <= run.history.keys() or len({*map(len, run.history.values())}) != 1:
        raise ValueError("Expected the history of a run; got another.")
    return run
