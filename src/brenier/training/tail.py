"""How heavy the tails of a conditional density are: decided by rows that were not trained on."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar

from brenier.arrays import Array
from brenier.flow.evaluation import in_batches, transform
from brenier.flow.flow import ConvexFlow
from brenier.flow.tail import Tail
from brenier.training.members import Member, mean_log_density

# Between these h is sought; below a half the variance is finite.
LEAST_H, MOST_H = 1e-4, 0.4
# Log-likelihood (nats, all held-out rows together) that a tail must gain: four times what a
# parameter gains by chance.
LEAST_GAIN = 2.0


def with_tail(flow: ConvexFlow, members: list[Member]) -> ConvexFlow:
    """Return the average with the tail that the members' images of held-out rows ask for.

    It is left as it is without such rows, where the training rows would be less likely than under
    the Gaussian, if it is the Gaussian itself, and where a target has a bound: beyond the logarithm
    of a bounded target a power is no tail, and its mean would be infinite. Call it where float64 is
    enabled.

    Parameters
    ----------
    flow : ConvexFlow
        The average, without a tail.
    members : list of Member
        What it is the average of.
    """
    held = [(member, member.heldout) for member in members if member.heldout is not None]
    bounds = flow.preprocessing.column_bounds
    bounded = np.any(np.isfinite(bounds.low) | np.isfinite(bounds.high))
    if not held or bounded or all(member.result.is_gaussian for member in members):
        return flow
    X = np.concatenate([rows.X for _, rows in held])
    images = [
        in_batches(transform, replace(flow, map=member.result.map), rows.X) for member, rows in held
    ]
    weights = np.concatenate([rows.weights for _, rows in held])
    # Members may hold out the same rows.
    repeats = len(X) / len(np.unique(X, axis=0))
    tail = fit_tail(np.concatenate(images), weights, repeats)
    if tail is None:
        return flow
    heavier, first = replace(flow, tail=tail), members[0]
    gaussian = first.units.train_log_likelihood(first.result.gaussian_loss)
    return heavier if mean_log_density(heavier, first.training) >= gaussian else flow


def fit_tail(
    z: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"], repeats: float = 1.0
) -> Tail | None:
    """Return the tail under which rows that were not trained on are likeliest; None for a normal's.

    Call it where float64 is enabled.

    Parameters
    ----------
    z : (N, n)
        Images of held-out rows.
    weights : (N,)
        Their weights; how many rows they are worth is (sum of weights)^2 / sum of squared weights.
    repeats : float
        How often each row is among them.
    """
    squared = np.sum(z**2, axis=1)
    shares = weights * np.sum(weights) / np.sum(weights**2) / repeats

    def gain(h: float) -> float:
        """Return the log-likelihood under the tail, less that without one."""
        u, log_det = (np.asarray(part) for part in _forward(Tail(jnp.asarray(h)), z))
        return float(shares @ (0.5 * (squared - np.sum(u**2, axis=0)) + log_det))

    found = minimize_scalar(
        lambda log_h: -gain(np.exp(log_h)),
        bounds=(np.log(LEAST_H), np.log(MOST_H)),
        method="bounded",
    )
    h = float(np.exp(found.x))
    return Tail(np.asarray(h)) if gain(h) > LEAST_GAIN else None


@jax.jit
def _forward(tail: Tail, z: Array) -> tuple[Array, Array]:
    return tail.forward(z.T)
