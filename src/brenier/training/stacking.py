r"""Stacking: how much of each potential, by the convex problem in the last layer once more.

The features are whole potentials, each found by a run of its own, and the Gaussian's; their
weights in the sum are

    a = argmin_{a >= 0}  J(sum_k a_k Phi_k) - 1/M sum_k log a_k

on M held-out rows. The barrier is a prior: one more row's worth of evidence for each of them, which
keeps a few hundred rows from throwing a good potential out. The scale of the sum is free, so a map
that is too sure of itself on rows it has not seen is stretched back.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from brenier.arrays import Array, padded_length
from brenier.data.rows import Split, WeightedRows
from brenier.linalg import full_index
from brenier.potential.features import AbstractPotential
from brenier.potential.sums import SumPotential
from brenier.program import program
from brenier.training.settings import Settings
from brenier.varpro.sample import LEAST_HELDOUT, PaddedSample

# Norm of the gradient in the weights' logarithms from which one more Newton step is the last.
GRADIENT_TOLERANCE = 1e-6
# Bytes of a potential's Jacobians, entry by entry, and what it takes to factorise them (n^3 a row):
# a handful of numbers needs no more rows.
JACOBIAN_BYTES, WORK = 1 << 29, 1 << 30


Tile = tuple[Float[np.ndarray, "K n _"], Float[np.ndarray, "K P _"], Float[np.ndarray, " _"]]


def stacking_weights(
    potentials: Sequence[AbstractPotential], heldout: WeightedRows, settings: Settings
) -> Float[np.ndarray, " K"] | None:
    """Return the potentials' weights in their sum; None where the problem has no solution.

    Parameters
    ----------
    potentials : sequence of K AbstractPotential
        On the same coordinates.
    heldout : WeightedRows
        Rows that none of them was fitted to; more than `whole_rows` of them would only
        refine a handful of numbers that are precise enough.
    settings : Settings
        Of the fit.
    """
    return weights_of_folds([Part(potentials, heldout)], settings)


class Part(NamedTuple):
    """Held-out rows of a fold, and the fold's potentials, which were not fitted to them."""

    potentials: Sequence[AbstractPotential]
    heldout: WeightedRows


def weights_of_folds(parts: Sequence[Part], settings: Settings) -> Float[np.ndarray, " K"] | None:
    """Return the weights that the first, second, ... potentials of all folds share.

    Each row is judged by potentials that have not seen it; None where there is no solution.
    """
    tiles: list[Tile] = []
    for potentials, heldout in parts:
        rows = heldout[: _most_rows(potentials[0].n, settings)]
        sample = PaddedSample.of(
            rows.X, rows.weights, max(LEAST_HELDOUT, len(rows.X)), least=LEAST_HELDOUT
        ).tiles()
        of_members = [jax.device_get(maps_and_jacobians(p, sample.X[0])) for p in potentials]
        maps, jacobians = (np.stack(of_all, axis=1) for of_all in zip(*of_members, strict=True))
        omega = np.asarray(sample.omega[0]) * np.sum(rows.weights)
        tiles.extend(zip(maps, jacobians, omega, strict=True))
    total = sum(float(np.sum(omega)) for _, _, omega in tiles)
    tiles = [(maps, jacobians, omega / total) for maps, jacobians, omega in tiles]
    return _solve(tiles, 1.0 / _effective_rows(np.concatenate([omega for *_, omega in tiles])))


@program
def maps_and_jacobians(potential: AbstractPotential, tiles: Array) -> tuple[Array, Array]:
    """Return z (T, n, B) and packed A (T, P, B), tile by tile."""
    return jax.lax.map(potential.gradient_and_hessian, tiles)


def _solve(tiles: Sequence[Tile], tau: float) -> Float[np.ndarray, " K"] | None:
    """Return the weights by Newton's method with a trust region, in their logarithms u.

    With a = exp(u) the problem has no bounds, its gradient is a J' - tau, its Hessian
    a J'' a^T + diag(a J').
    """
    K = len(tiles[0][0])

    @lru_cache(maxsize=1)
    def at(u: tuple[float, ...]) -> tuple[float, np.ndarray, np.ndarray]:
        a = np.exp(u)
        J, gradient, hessian = _sum_of_tiles(a, tiles)
        scaled = a * gradient
        hessian = np.outer(a, a) * hessian + np.diag(scaled)
        return J - tau * float(np.sum(u)), scaled - tau, hessian

    start = np.full(K, -np.log(K))
    if not np.isfinite(at(tuple(start))[0]):
        return None
    found = minimize(
        lambda u: at(tuple(u))[0],
        start,
        jac=lambda u: at(tuple(u))[1],
        hess=lambda u: at(tuple(u))[2],
        method="trust-exact",
        options={"gtol": GRADIENT_TOLERANCE},
    )
    if not found.success:
        return None
    # From here on values differ by less than their rounding, but the gradient does not.
    _, gradient, hessian = at(tuple(found.x))
    return np.exp(found.x - np.linalg.solve(hessian, gradient))


def _sum_of_tiles(
    a: Float[np.ndarray, " K"], tiles: Sequence[Tile]
) -> tuple[float, Float[np.ndarray, " K"], Float[np.ndarray, "K K"]]:
    """Return J(sum_k a_k Phi_k), its gradient and its Hessian in a; J is infinite outside."""
    K, n = tiles[0][0].shape[:2]
    J, gradient, hessian = 0.0, np.zeros(K), np.zeros((K, K))
    for z, packed, omega in tiles:
        A = np.moveaxis(packed[:, full_index(n)], -1, 1)
        image, whole = np.tensordot(a, z, 1), np.tensordot(a, A, 1)
        sign, log_det = np.linalg.slogdet(whole)
        if np.any(sign[omega > 0] <= 0):
            return np.inf, gradient, hessian
        share = np.linalg.solve(whole, A)
        J += omega @ (0.5 * np.sum(image**2, axis=0) - log_det)
        gradient += (z * image).sum(axis=1) @ omega - np.trace(share, axis1=2, axis2=3) @ omega
        root = np.sqrt(omega)
        scaled, weighted = z * root, share * root[:, None, None]
        turned = np.swapaxes(weighted, 2, 3)
        hessian += scaled.reshape(K, -1) @ scaled.reshape(K, -1).T
        hessian += weighted.reshape(K, -1) @ turned.reshape(K, -1).T
    return float(J), gradient, hessian


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
    block = _block(split, potentials[0].n, settings)
    kept = [k for k, share in enumerate(shares) if share]
    present, weights = [potentials[k] for k in kept], np.asarray(shares)[kept]
    train, held = (
        float("nan") if rows is None else rows.mean(_row_losses(present, weights, rows, block))
        for rows in split
    )
    return train, held


def potential_losses(
    potential: AbstractPotential, rows: WeightedRows, split: Split, settings: Settings
) -> Float[np.ndarray, " M"]:
    """Return 1/2 |z|^2 - log det A of every row, of a sum with its members' programs.

    They are compiled for the split's held-out rows.
    """
    members, shares = (potential,), np.ones(1)
    if isinstance(potential, SumPotential):
        members, shares = potential.members, np.asarray(potential.shares)
    return losses_of_rows(members, shares, rows, split, settings)


def losses_of_rows(
    potentials: Sequence[AbstractPotential],
    shares: Float[np.ndarray, " K"],
    rows: WeightedRows,
    split: Split,
    settings: Settings,
) -> Float[np.ndarray, " M"]:
    """Return the losses of rows under a weighted sum, as `potential_losses`."""
    return _row_losses(potentials, shares, rows, _block(split, potentials[0].n, settings))


def _block(split: Split, n: int, settings: Settings) -> int:
    """Return the rows at a time for which the programs that find the weights are compiled."""
    heldout = split.train if split.heldout is None else split.heldout
    return padded_length(max(LEAST_HELDOUT, min(len(heldout.X), _most_rows(n, settings))))


def _most_rows(n: int, settings: Settings) -> int:
    """Return how many rows of n columns weights are found by, at most: what there is room for."""
    fit = min(JACOBIAN_BYTES // (4 * n * (n + 1)), WORK // n**3)
    return min(settings.whole_rows, max(LEAST_HELDOUT, fit))


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
