"""Whether a run is ahead of the Gaussian baseline on held-out rows by more than chance.

Of the rows x_j that are held out, the differences of both log-densities have the mean of what the
potential gains, and by their spread the standard error of it: the same rows, so that what they have
in common does not count.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from brenier.arrays import Array
from brenier.linalg import log_det
from brenier.potential.features import AbstractPotential
from brenier.training.candidate import potential_at
from brenier.training.folds import Fold
from brenier.training.halving import Standing
from brenier.training.report import MeanAndError
from brenier.training.run import Job
from brenier.training.settings import Settings
from brenier.training.stacking import maps_and_jacobians
from brenier.varpro.sample import TILE_ROWS, PaddedSample


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
    rows = heldout[: settings.max_stacking_rows]
    tiles = PaddedSample.of(rows.X, rows.weights, TILE_ROWS).X
    losses = _losses(*maps_and_jacobians(potential, tiles)).ravel()[: len(rows.X)]
    return MeanAndError.of(fold.gaussian.losses(rows.X) - jax.device_get(losses), rows.weights)


@eqx.filter_jit
def _losses(maps: Array, jacobians: Array) -> Array:
    """Return 1/2 |z|^2 - log det A of every row, (C, B), tile by tile."""
    return 0.5 * jnp.sum(maps**2, axis=1) - jax.lax.map(log_det, jacobians)
