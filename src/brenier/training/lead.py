"""Whether a run is ahead of the Gaussian baseline on held-out rows by more than chance.

Of the rows x_j that are held out, the differences of both log-densities have the mean of what the
potential gains, and by their spread the standard error of it: the same rows, so that what they have
in common does not count.
"""

import jax

from brenier.potential.features import AbstractPotential
from brenier.training.candidate import potential_at
from brenier.training.folds import Fold
from brenier.training.halving import Standing
from brenier.training.report import MeanAndError
from brenier.training.run import Job
from brenier.training.settings import Settings
from brenier.training.stacking import maps_and_jacobians, row_losses
from brenier.varpro.sample import PaddedSample


def is_ahead(job: Job, standing: Standing, settings: Settings) -> bool:
    """Return whether a run, with what its loss would fall further, leads by `least_lead` errors."""
    if standing.best is None:
        return False
    gain = heldout_gain(job.fold, potential_at(job.problem, standing.best), settings)
    # A single row has no standard error, and is no reason to end anything.
    return not gain.mean + standing.fall < settings.least_lead * gain.standard_error


def heldout_gain(fold: Fold, potential: AbstractPotential, settings: Settings) -> MeanAndError:
    """Return what a potential gains over the Gaussian on the fold's held-out rows (nats)."""
    heldout = fold.split.heldout
    if heldout is None:
        raise ValueError("Expected a fold with held-out rows; got one without.")
    rows = heldout[: settings.whole_rows]
    tiles = PaddedSample.of(rows.X, rows.weights, chunk_rows=settings.whole_rows).tiles()
    maps, jacobians = jax.device_get(maps_and_jacobians(potential, tiles.X[0]))
    gains = fold.gaussian.losses(rows.X) - row_losses(maps, jacobians)[: len(rows.X)]
    return MeanAndError.of(gains, rows.weights)
