"""Ugly tables: a fit is refused with words, or all its figures are finite and no loss is large.

A loss is against the Gaussian of the same rows, on fresh rows of the same distribution.
`python -m benchmarks.robustness.ugly CASE ...` makes some of the cases again, and tells of each.
"""

import argparse
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.robustness import attempts
from benchmarks.robustness.tally import LOSES, Ended, Tally
from benchmarks.robustness.ugly_tables import UglyTable, table
from brenier import ConvexPotentialFlow
from brenier.status import FitStatus
from brenier.training.report import MeanAndError

SETTINGS: Mapping[str, Any] = {"max_seconds": 20.0}
# Seconds after which a fit with that limit counts as one that hangs.
HANGS = 40.0
# A loss counts that is larger than this (nats per row) and twice its standard error.
MOST = 0.02
DRAWS = 500
# Cases of one process: each may take as long as `attempts` lets it.
PART = 10
# How many of the worst are kept.
KEPT = 20


@dataclass(frozen=True)
class Told:
    """What is told of a table that was fitted.

    `loss` is the mean of the Gaussian's log-density less the model's on fresh rows (nats per row,
    positive where the model is worse), `error` its standard error.
    """

    case: int
    kind: str
    N: int
    n: int
    loss: float
    error: float
    status: str
    seconds: float

    @property
    def excess(self) -> float:
        """By how much the loss is beyond twice its error."""
        return self.loss - 2 * self.error

    def __str__(self) -> str:
        return (
            f"case {self.case}: {self.kind}, {self.N} x {self.n}, loss {self.loss:.4g} +- "
            f"{self.error:.2g}, {self.status}, {self.seconds:.1f} s"
        )


def one(case: int, rng: np.random.Generator, folder: Path) -> Ended:
    """Fit the table of a case and return how that ends."""
    return attempt(case, table(case, rng), SETTINGS)


def attempt(case: int, ugly: UglyTable, settings: Mapping[str, Any]) -> Ended:
    """Fit a table, use the model on its rows and on fresh ones, and return how that ends."""
    before = time.perf_counter()
    where = f"case {case}: {ugly.kind}, {ugly.rows.shape[0]} x {ugly.rows.shape[1]}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            flow = ConvexPotentialFlow(**settings).fit(ugly.rows)
        except ValueError as error:
            return Ended(
                "refused" if str(error) else "other exceptions", f"{where}: {error!s:.300}"
            )
        seconds = time.perf_counter() - before
        faults = _faults(flow, ugly)
        told = _told(case, ugly, flow, seconds)
    if faults:
        return Ended("broken", f"{where}: {'; '.join(faults)}", asdict(told))
    end = "hangs" if seconds > HANGS else LOSES if told.excess > MOST else "worked"
    return Ended(end, str(told), asdict(told))


def _faults(flow: ConvexPotentialFlow, ugly: UglyTable) -> list[str]:
    """Return what is wrong with a model's figures: none may be other than finite."""
    found = {
        "log-densities of the training rows": flow.score_samples(ugly.rows),
        "log-densities of fresh rows": flow.score_samples(ugly.fresh),
        "log-densities of the Gaussian": flow.baseline_score_samples(ugly.fresh),
        "draws": flow.sample(DRAWS, random_state=0),
    }
    counts = {what: int(np.sum(~np.isfinite(values))) for what, values in found.items()}
    faults = [f"{count} {what} not finite" for what, count in counts.items() if count]
    status = flow.report_.status
    return [*faults, *([] if isinstance(status, FitStatus) else [f"the status {status!r}"])]


def _told(case: int, ugly: UglyTable, flow: ConvexPotentialFlow, seconds: float) -> Told:
    loss = MeanAndError.of(flow.baseline_score_samples(ugly.fresh) - flow.score_samples(ugly.fresh))
    N, n = ugly.rows.shape
    status = flow.report_.status.value
    return Told(case, ugly.kind, N, n, loss.mean, loss.standard_error, status, round(seconds, 1))


def run(cases: int, _: Path) -> Tally:
    """Make cases; of what is told, keep the worst."""
    tally = attempts.apart(__spec__.name, cases, PART)
    tally.told = sorted(tally.told, key=lambda told: 2 * told["error"] - told["loss"])[:KEPT]
    return tally


def main() -> None:
    """Make the cases that the command line names, and tell of each."""
    parser = argparse.ArgumentParser(prog="benchmarks.robustness.ugly", description=__doc__)
    parser.add_argument("cases", nargs="+", type=int, metavar="CASE")
    for case in parser.parse_args().cases:
        for ended in attempts.ends(one, [case], Path()):
            report.say(f"{ended.end}: {ended.words}")


if __name__ == "__main__":
    main()
