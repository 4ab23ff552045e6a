"""Losses by the program that a run has compiled: what is known when there is no time to compile.

A run evaluates J on its held-out rows, padded to one shape. With other rows in their place, and
other weights, the same program gives J of any rows, so many at a time.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from brenier.data.rows import WeightedRows
from brenier.potential.features import AbstractMap
from brenier.training.candidate import Candidate
from brenier.training.folds import Fold
from brenier.training.run import Run, heldout_sample
from brenier.training.settings import Settings
from brenier.varpro.sample import AbstractSample


def candidate_as_seen(
    fold: Fold, map_: AbstractMap, n_members: int, run: Run, settings: Settings
) -> Candidate:
    """Return the candidate of the map at a run's best iterate, without compiling anything.

    Its losses are on the rows of the fold; where none are held out, and on long tables, on those
    that the run has seen, which may have noise.
    """
    if run.best is None:
        raise ValueError("Expected a run with an iterate; got one that never got anywhere.")
    record = run.iterations[run.best.number - 1]
    loss = fold.offsets.train - record.train_log_likelihood
    heldout_loss = fold.offsets.heldout - record.heldout_log_likelihood
    train = fold.split.train
    if fold.split.heldout is not None and len(train.X) <= settings.whole_rows:
        own = run.job.fold
        program = SeenLoss(run, heldout_sample(run.job, settings))
        loss = fold.offsets.train - own.offsets.train + program.mean(own.split.train)
    return Candidate(map_, loss, heldout_loss, n_members, run)


@dataclass(frozen=True)
class SeenLoss:
    """J at a run's best iterate.

    Attributes
    ----------
    run : Run
        One that has an iterate and held-out rows.
    sample : AbstractSample
        Of its held-out rows: the shape that its program is compiled for.
    """

    run: Run
    sample: AbstractSample

    def mean(self, rows: WeightedRows) -> float:
        """Return J of rows (nats), as many at a time as the program takes."""
        most = self.sample.omega.size
        parts = [rows[k : k + most] for k in range(0, len(rows.X), most)]
        losses = [self._loss(part) for part in parts]
        return float(np.average(losses, weights=[np.sum(part.weights) for part in parts]))

    def _loss(self, rows: WeightedRows) -> float:
        job, best = self.run.job, self.run.best
        if best is None:
            raise ValueError("Expected a run with an iterate; got one that never got anywhere.")
        sample = self.sample.like(rows.X, rows.weights)
        return job.problem.finite_loss(jnp.asarray(best.theta), jnp.asarray(best.w), sample)
