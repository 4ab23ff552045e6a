"""What a run has reached after so many work units."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brenier.training.report import FitReport


@dataclass(frozen=True)
class Curve:
    """Log-likelihoods (nats per row), each the best so far, against work units."""

    units: np.ndarray
    train: np.ndarray
    heldout: np.ndarray

    @staticmethod
    def of(units: Sequence[float], train: Sequence[float], heldout: Sequence[float]) -> "Curve":
        """Return the curve of a run's iterates; NaN where there is no value."""
        return Curve(np.asarray(units, dtype=float), _best(train), _best(heldout))

    @staticmethod
    def of_report(fit: FitReport) -> "Curve":
        """Return the curve of a fit with one run."""
        h = fit.history
        return Curve.of(h["work_units"], h["train_log_likelihood"], h["heldout_log_likelihood"])

    @staticmethod
    def of_blocks(curves: Sequence["Curve"]) -> "Curve":
        """Return the sum of runs that share no weights, each with the same units."""
        units = np.unique(np.concatenate([curve.units for curve in curves]))
        units = units[units >= max(curve.units[0] for curve in curves)]
        at = [[curve.at(u) for u in units] for curve in curves]
        train, heldout = np.sum(at, axis=0).T
        return Curve(len(curves) * units, train, heldout)

    def at(self, units: float) -> tuple[float, float]:
        """Return what has been reached on training and held-out rows after so many units."""
        done = int(np.searchsorted(self.units, units, side="right")) - 1
        if done < 0:
            return -np.inf, -np.inf
        return float(self.train[done]), float(self.heldout[done])

    def units_to(self, heldout: float) -> float:
        """Return the units after which the held-out log-likelihood is first so high, or NaN."""
        reached = np.flatnonzero(self.heldout >= heldout)
        return float(self.units[reached[0]]) if len(reached) else float("nan")


def _best(values: Sequence[float]) -> np.ndarray:
    return np.maximum.accumulate(np.nan_to_num(np.asarray(values, dtype=float), nan=-np.inf))
