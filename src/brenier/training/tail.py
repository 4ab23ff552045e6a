"""How heavy the tails of a density are: decided by rows that were not trained on."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar

from brenier.arrays import Array
from brenier.flow.evaluation import in_batches, transform
from brenier.flow.flow import ConvexFlow
from brenier.flow.tail import Tail
from brenier.program import program
from brenier.training.candidate import Trained
from brenier.training.likelihood import mean_log_density
from brenier.training.settings import Settings


def with_tail(flow: ConvexFlow, trained: Sequence[Trained], settings: Settings) -> ConvexFlow:
    """Return the average with the tail that its members' images of held-out rows ask for.

    It is left as it is without such rows, where the training rows would be less likely than under
    the Gaussian, if it is the Gaussian itself, and where a target has a bound: beyond the logarithm
    of a bounded target a power is no tail, and its mean would be infinite. Call it where float64 is
    enabled.

    Parameters
    ----------
    flow : ConvexFlow
        The average, without a tail.
    trained : sequence of Trained
        What it is the average of.
    settings : Settings
        Of the fit.
    """
    held = [
        (member, member.fold.data.heldout)
        for member in trained
        if member.fold.data.heldout is not None
    ]
    bounds = flow.preprocessing.column_bounds
    bounded = np.any(np.isfinite(bounds.low) | np.isfinite(bounds.high))
    is_gaussian = all(member.chosen.is_gaussian for member in trained)
    if not settings.tails or not held or bounded or is_gaussian:
        return flow
    X = np.concatenate([rows.X for _, rows in held])
    images = [in_batches(transform, replace(flow, map=member.map), rows.X) for member, rows in held]
    weights = np.concatenate([rows.weights for _, rows in held])
    # Members may hold out the same rows.
    repeats = len(X) / len(np.unique(X, axis=0))
    tail = fit_tail(np.concatenate(images), weights, settings, repeats)
    if tail is None:
        return flow
    heavier, fold = replace(flow, tail=tail), trained[0].fold
    gaussian = fold.offsets.train - fold.gaussian_losses[0]
    return heavier if mean_log_density(heavier, fold.data.train) >= gaussian else flow


def fit_tail(
    z: Float[np.ndarray, "N n"],
    weights: Float[np.ndarray, " N"],
    settings: Settings,
    repeats: float = 1.0,
) -> Tail | None:
    """Return the tail under which rows that were not trained on are likeliest; None for a normal's.

    Call it where float64 is enabled.

    Parameters
    ----------
    z : (N, n)
        Images of held-out rows.
    weights : (N,)
        Their weights; how many rows they are worth is (sum of weights)^2 / sum of squared weights.
    settings : Settings
        Of the fit.
    repeats : float
        How often each row is among them.
    """
    squared = np.sum(z**2, axis=1)
    shares = weights * np.sum(weights) / np.sum(weights**2) / repeats

    def gain(h: float) -> float:
        """Return the log-likelihood under the tail, less that without one."""
        u, log_det = (np.asarray(part) for part in _forward(Tail(jnp.asarray(h)), z))
        return float(shares @ (0.5 * (squared - np.sum(u**2, axis=0)) + log_det))

    # SciPy says of its return only what can be inferred.
    found: Any = minimize_scalar(
        lambda log_h: -gain(np.exp(log_h)), bounds=np.log(settings.tail_range), method="bounded"
    )
    h = float(np.exp(found.x))
    return Tail(np.asarray(h)) if gain(h) > settings.tail_gain else None


@program
def _forward(tail: Tail, z: Array) -> tuple[Array, Array]:
    return tail.forward(z.T)
