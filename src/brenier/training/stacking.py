r"""Stacking: how much of each potential, by the convex problem in the last layer once more.

The features are whole potentials, each found by a run of its own, and the Gaussian's; their
weights in the sum are

    a = argmin_{a >= 0}  J(sum_k a_k Phi_k) - 1/M sum_k log a_k

on M held-out rows. The barrier is a prior: one more row's worth of evidence for each of them, which
keeps a few hundred rows from throwing a good potential out. The scale of the sum is free, so a map
that is too sure of itself on rows it has not seen is stretched back.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array, FeatureDerivatives, padded_length
from brenier.data.rows import Split, WeightedRows
from brenier.inner.objective import DenseObjective, exact_probes
from brenier.inner.primal_dual import PrimalDual
from brenier.inner.solution import WarmStart
from brenier.linalg import full_index
from brenier.potential.features import AbstractPotential
from brenier.program import program
from brenier.status import InnerStatus
from brenier.training.settings import Settings
from brenier.varpro.sample import PaddedSample


def stacking_weights(
    potentials: Sequence[AbstractPotential], heldout: WeightedRows, settings: Settings
) -> Float[np.ndarray, " K"] | None:
    """Return the potentials' weights in their sum; None where the problem has no solution.

    Parameters
    ----------
    potentials : sequence of K AbstractPotential
        On the same coordinates.
    heldout : WeightedRows
        Rows that none of them was fitted to; more than `max_stacking_rows` of them would only
        refine a handful of numbers that are precise enough.
    settings : Settings
        Of the fit.
    """
    most = settings.max_stacking_rows
    X, weights = heldout.X[:most], heldout.weights[:most]
    tiles = PaddedSample.of(X, weights, chunk_rows=most).tiles()
    maps, jacobians = zip(
        *(jax.device_get(maps_and_jacobians(potential, tiles.X[0])) for potential in potentials),
        strict=True,
    )
    tau = np.asarray(1.0 / _effective_rows(tiles.omega))
    features = np.stack(maps, axis=1), np.stack(jacobians, axis=1)
    a, converged = _solve(*features, tiles.omega, tau)
    return np.asarray(a) if converged else None


@program
def maps_and_jacobians(potential: AbstractPotential, tiles: Array) -> tuple[Array, Array]:
    """Return z (T, n, B) and packed A (T, P, B), tile by tile."""
    return jax.lax.map(potential.gradient_and_hessian, tiles)


@program
def _solve(maps: Array, jacobians: Array, omega: Array, tau: Array) -> tuple[Array, Array]:
    _, K, n, B = maps.shape

    def features(tile: tuple[Array, Array]) -> FeatureDerivatives:
        return FeatureDerivatives(*tile, axes=jnp.zeros((0, n)), shares=jnp.zeros((0, B)))

    rows = maps[None], jacobians[None]
    probes = jnp.asarray(exact_probes(n))
    objective = DenseObjective.of(features, rows, omega, jnp.zeros(K), probes)
    start = WarmStart.cold(jnp.full(K, 1.0 / K))
    solver = eqx.tree_at(lambda s: (s.tau, s.tau_start), PrimalDual(), (tau, tau))
    solution = solver.solve(objective, jnp.zeros(K), start)
    return solution.w, solution.status == InnerStatus.CONVERGED


def losses_of_sum(
    potentials: Sequence[AbstractPotential],
    shares: Float[np.ndarray, " K"],
    split: Split,
    settings: Settings,
) -> tuple[float, float]:
    """Return J of a weighted sum on the training and on the held-out rows (nats); NaN without.

    Member by member, with the programs that the weights were found with: the sum, were it evaluated
    as one, would be a program of its own.
    """
    heldout = split.train if split.heldout is None else split.heldout
    block = padded_length(min(len(heldout.X), settings.max_stacking_rows))
    kept = [k for k, share in enumerate(shares) if share]
    present, weights = [potentials[k] for k in kept], np.asarray(shares)[kept]
    train, held = (
        float("nan") if rows is None else rows.mean(_row_losses(present, weights, rows, block))
        for rows in split
    )
    return train, held


def _row_losses(
    potentials: Sequence[AbstractPotential],
    shares: Float[np.ndarray, " K"],
    rows: WeightedRows,
    block: int,
) -> Float[np.ndarray, " N"]:
    """Return 1/2 |z|^2 - log det A of every row, so many rows at a time."""
    parts = []
    for k in range(0, len(rows.X), block):
        part = rows[k : k + block]
        tiles = PaddedSample.of(part.X, part.weights, block, least=block).tiles()
        made = [jax.device_get(maps_and_jacobians(p, tiles.X[0])) for p in potentials]
        z, A = (np.tensordot(shares, np.stack(of_all), 1) for of_all in zip(*made, strict=True))
        parts.append(row_losses(z, A)[: len(part.X)])
    return np.concatenate(parts)


def row_losses(
    z: Float[np.ndarray, "T n B"], A: Float[np.ndarray, "T P B"]
) -> Float[np.ndarray, " N"]:
    """Return 1/2 |z|^2 - log det A of every row, from images and packed Jacobians in tiles."""
    full = np.moveaxis(A[:, full_index(z.shape[1])], -1, 1)
    return (0.5 * np.sum(z**2, axis=1) - np.linalg.slogdet(full)[1]).ravel()


def _effective_rows(omega: Array) -> float:
    """Return the number of equally weighted rows that tell as much (Kish): 1 / sum omega^2."""
    return 1.0 / float(np.sum(np.asarray(omega) ** 2))
