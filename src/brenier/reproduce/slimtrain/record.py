"""What is kept of one run: a JSON file in DIR/runs, written at once."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from brenier.io.plain import to_plain, with_nan
from brenier.reproduce.record import write_json
from brenier.training.stored_report import MALFORMED, check_types

HISTORY = ("work_units", "train", "validation", "test")


@dataclass(frozen=True)
class Run:
    """One scheme at one learning rate, on one problem from one seed.

    Attributes
    ----------
    problem, label, rate, seed : str, str, float, int
        Which.
    settings : dict
        All that decides the numbers; a run is used again only if it is the same.
    ended : str
        Why it ended.
    seconds : float
        Wall time, compilation included.
    history : dict of lists
        By epoch, the first before any work: `work_units`, and the loss of `train`, `validation`
        and `test` rows without regularisation.
    changes : list of float
        lambda_k batch by batch, of the runs that the picture shows.
    """

    problem: str
    label: str
    rate: float
    seed: int
    settings: dict[str, Any]
    ended: str
    seconds: float
    history: dict[str, list[float]]
    changes: list[float]

    @property
    def validation(self) -> np.ndarray:
        """The validation losses, infinite where they are no numbers."""
        losses = np.asarray(self.history["validation"], dtype=float)
        return np.where(np.isfinite(losses), losses, np.inf)

    @property
    def best(self) -> float:
        """The lowest validation loss of its iterates, the first of them after an epoch."""
        return self.best_after(len(self.validation) - 1)

    def best_after(self, epochs: int) -> float:
        """Return the lowest validation loss of the first so many epochs' iterates."""
        return float(np.min(self.validation[1 : 1 + epochs], initial=np.inf))

    @property
    def last(self) -> float:
        """The validation loss where it ended."""
        return float(self.validation[-1])

    @property
    def test(self) -> float:
        """The test loss of the iterate with the lowest validation loss."""
        loss = self.history["test"][1 + int(np.argmin(self.validation[1:]))]
        return loss if np.isfinite(loss) else float("inf")


@dataclass(frozen=True)
class Store:
    """The folder DIR/runs."""

    folder: Path

    def path(self, problem: str, label: str, rate: float, seed: int) -> Path:
        """Return where a run is."""
        return self.folder / f"{problem}-{label}-rate{rate:g}-seed{seed}.json"

    def save(self, run: Run) -> None:
        """Keep a run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.path(run.problem, run.label, run.rate, run.seed), to_plain(asdict(run)))

    def find(
        self, problem: str, label: str, rate: float, seed: int, settings: Mapping[str, Any]
    ) -> Run | None:
        """Return the kept run of these very settings; None if there is none."""
        try:
            plain = json.loads(self.path(problem, label, rate, seed).read_text())
            return _run(plain) if plain["settings"] == to_plain(settings) else None
        except (OSError, *MALFORMED):
            return None


def _run(plain: dict[str, Any]) -> Run:
    """Return the run that JSON was made of; null stands for NaN."""
    values = {field.name: plain[field.name] for field in fields(Run)}
    run = Run(**{**values, "history": with_nan(values["history"])})
    check_types(run, "run")
    if {*HISTORY} != run.history.keys() or len({*map(len, run.history.values())}) != 1:
        raise ValueError("Expected the history of a run; got another.")
    return run
