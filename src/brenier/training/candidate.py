"""Candidates: maps that could be returned for a fold, and what the chosen one came from."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float

from brenier.optimizers.early_stopping import Iterate, criterion
from brenier.potential.features import AbstractMap, AbstractPotential, AbstractSeparable
from brenier.potential.merge import without_idle
from brenier.status import FitStatus
from brenier.training.folds import Fold
from brenier.training.report import Certificate
from brenier.training.run import Run
from brenier.training.session import Session
from brenier.varpro.reduced import VariableProjection


def potential_at(problem: VariableProjection, iterate: Iterate) -> AbstractPotential:
    """Return the potential at an iterate of a run, with NumPy arrays."""
    return potential_of(problem, problem.features(iterate.theta), iterate.w)


def potential_of(
    problem: VariableProjection, features: AbstractSeparable, w: Float[np.ndarray, " m"]
) -> AbstractPotential:
    """Return the only potential of the map that a problem's features make, without idle units."""
    (potential,) = features.with_weights(w).potentials
    return without_idle(jax.tree.map(np.asarray, potential), problem.pinned)


@dataclass(frozen=True)
class Candidate:
    """A map that could be returned.

    Attributes
    ----------
    map : AbstractMap
        With NumPy arrays.
    loss, heldout_loss : float
        Its J on the fold's training and held-out rows (nats).
    n_members : int
        Potentials in it, of all maps of a composition; 0 for the baseline.
    run : Run or None
        The best of the runs that it is made of, finally solved; None where it is made of none.
    is_gaussian : bool
        Whether it is the Gaussian baseline.
    """

    map: AbstractMap
    loss: float
    heldout_loss: float
    n_members: int
    run: Run | None = None
    is_gaussian: bool = False

    @staticmethod
    def of(fold: Fold, map_: AbstractMap, n_members: int, run: Run | None) -> "Candidate":
        """Return the candidate of a map, its losses evaluated."""
        return Candidate(map_, *fold.losses(map_), n_members, run)

    @property
    def criterion(self) -> float:
        """What candidates are compared by (nats, lower is better)."""
        return criterion(self.loss, self.heldout_loss)


@dataclass(frozen=True)
class Trained:
    """What was trained on a fold.

    Attributes
    ----------
    fold : Fold
        The rows.
    chosen : Candidate
        What is returned.
    runs : tuple of Run
        Every run, those of the selection of hyperparameters first.
    winner : Run
        The best of them; where there is none with an iterate, the first.
    status : FitStatus
        Of the run that won, or, if that left the meeting, of the best that went on; of the first
        that time or Ctrl-C ended, if any was.
    seconds : float
        From the beginning of the fit.
    """

    fold: Fold
    chosen: Candidate
    runs: tuple[Run, ...]
    winner: Run
    status: FitStatus
    seconds: float

    @staticmethod
    def of(
        fold: Fold, chosen: Candidate, runs: Sequence[Run], winner: Run, session: Session
    ) -> "Trained":
        """Return what was trained, its status from the runs."""
        cut_off = (run.status for run in runs if run.out_of_time)
        # A run may have left the meeting and still be the best: what ended the others counts.
        last = winner
        if winner.left_meeting:
            went_on = [run for run in runs if not run.left_meeting]
            last = min(went_on, key=lambda run: run.criterion, default=winner)
        status = next(cut_off, last.status)
        if session.interrupted.is_set():
            status = FitStatus.INTERRUPTED
        lost = chosen.run is None and not chosen.is_gaussian
        if lost and status is not FitStatus.INTERRUPTED:
            # Without quadratics the Gaussian is not in the model: there is nothing to fall back on.
            status = FitStatus.NUMERICAL_FAILURE
        seconds = time.perf_counter() - session.clock.started
        return Trained(fold, chosen, tuple(runs), winner, status, seconds)

    @property
    def map(self) -> AbstractMap:
        """The map."""
        return self.chosen.map

    @property
    def found_nothing(self) -> bool:
        """Whether it is made of no run: the Gaussian baseline, or initial weights."""
        return self.chosen.run is None

    @property
    def cut_off_at_once(self) -> bool:
        """Whether time or Ctrl-C left nothing but the Gaussian."""
        return self.chosen.is_gaussian and self.out_of_time

    @property
    def out_of_time(self) -> bool:
        """Whether time or Ctrl-C ended it."""
        return self.status.out_of_time

    @property
    def certificate(self) -> Certificate | None:
        """Of the best run's iterate; None for the Gaussian."""
        return None if self.chosen.run is None else self.chosen.run.certificate

    @property
    def best_iteration(self) -> int:
        """The iterate of the best run that was returned; 0 for the Gaussian."""
        run = self.chosen.run
        return 0 if run is None or run.best is None else run.best.number

    @property
    def train_log_likelihood(self) -> float:
        """That of the training rows under the map; of the Gaussian where nothing was found."""
        loss = self.fold.gaussian_losses[0] if self.found_nothing else self.chosen.loss
        return self.fold.offsets.train - loss
