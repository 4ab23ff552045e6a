"""Log-likelihoods of rows in data units, under a flow and under its Gaussian baseline."""

import numpy as np
from jaxtyping import Float

from brenier.arrays import LOG_2_PI
from brenier.data.rows import Split, WeightedRows
from brenier.flow.evaluation import in_batches, log_density
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import AbstractPreprocessing
from brenier.potential.features import AbstractPotential
from brenier.potential.gaussian import AbstractGaussian
from brenier.training.settings import Settings
from brenier.training.stacking import potential_losses

# Of more columns a potential's own program, which holds no Jacobian entry by entry, is the better.
MOST_COLUMNS = 512


def mean_log_density(flow: ConvexFlow, rows: WeightedRows) -> float:
    """Return the weighted mean of log p on rows (nats)."""
    return rows.mean(in_batches(log_density, flow, rows.X))


def model_log_density(
    flow: ConvexFlow, rows: WeightedRows, split: Split, settings: Settings
) -> Float[np.ndarray, " N"]:
    """Return every row's log p (nats) under what a fit returns, without a program for these rows.

    Parameters
    ----------
    flow : ConvexFlow
        What is returned.
    rows : WeightedRows
        In data units.
    split : Split
        For whose held-out rows the potentials' programs are compiled.
    settings : Settings
        Of the fit. Of more than its `whole_rows` the density's own program is worth its
        compilation.
    """
    potential, known = flow.map, flow.tail is None and len(rows.X) <= settings.whole_rows
    known = known and potential.n <= MOST_COLUMNS
    if not known or not isinstance(potential, AbstractPotential):
        return in_batches(log_density, flow, rows.X)
    images = rows.at(np.asarray(flow.preprocessing.forward(rows.X)[0]))
    losses = potential_losses(potential, images, split, settings)
    return log_density_of_losses(losses, flow.preprocessing, rows.X)


def gaussian_log_density(
    gaussian: AbstractGaussian, preprocessing: AbstractPreprocessing, X: Float[np.ndarray, "N d"]
) -> Float[np.ndarray, " N"]:
    """Return every row's log p under the baseline (nats); minus infinity outside the bounds."""
    losses = gaussian.losses(np.asarray(preprocessing.forward(X)[0]))
    return log_density_of_losses(losses, preprocessing, X)


def log_density_of_losses(
    losses: Float[np.ndarray, " N"],
    preprocessing: AbstractPreprocessing,
    X: Float[np.ndarray, "N d"],
) -> Float[np.ndarray, " N"]:
    """Return every row's log p (nats) for 1/2 |z|^2 - log det A; minus infinity outside the bounds.

    Rows X are in data units.
    """
    log_det = np.asarray(preprocessing.forward(X)[1])
    value = log_det - losses - 0.5 * preprocessing.n * LOG_2_PI
    return np.where(preprocessing.inside(X) & np.isfinite(value), value, -np.inf)
