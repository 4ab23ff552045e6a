r"""Data-dependent initialisation: initial weights of the network, placed by the data.

Every hidden unit is a smooth kink of a convex function. A kink that lies outside the data, or is
wider or much sharper than the data's structure, adds nothing that training could take hold of.
So each unit's kink goes through a randomly chosen row, in a random direction, with a slope drawn
over a range of scales: its pre-activation a = L u + K x has mean square `spread`^2 over the data,
and b = -a at the chosen row.

The layers of a context's network are placed alike. The targets are first shifted by a ridge
regression on the context and its features, so that kinks lie among the residuals.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brenier.arrays import Array
from brenier.potential.activations import AbstractActivation
from brenier.potential.conditional import GatedNetwork
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.nonnegativity import AbstractNonnegativity, Bounded
from brenier.potential.picnn import Affine, PartiallyConvexNetwork
from brenier.potential.radial import RadialUnits
from brenier.program import program


def initial_network(
    X: Float[np.ndarray, "N n"],
    widths: tuple[int, ...],
    activation: AbstractActivation,
    nonnegativity: AbstractNonnegativity,
    rng: np.random.Generator,
    *,
    spread: tuple[float, float],
) -> InputConvexNetwork:
    """Return a network of hidden `widths` whose kinks pass through rows of X.

    Parameters
    ----------
    X : (N, n)
        Rows.
    widths, activation, nonnegativity
        Of the network.
    rng
        Where random numbers come from.
    spread : pair of float
        Between which the standard deviations of the pre-activations are drawn.
    """
    n = X.shape[1]
    centred = X - X.mean(axis=0)
    K, b, L = [], [], []
    u = None
    for width in widths:
        directions = rng.normal(size=(width, n))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        a = centred @ directions.T
        hidden = np.zeros((width, 0))
        if u is not None:
            hidden = rng.exponential(size=(width, u.shape[1]))
            from_below = (u - u.mean(axis=0)) @ hidden.T
            balance = a.std(axis=0) / np.maximum(from_below.std(axis=0), 1e-12)
            hidden *= balance[:, None]
            a = a + from_below * balance
        deviation = np.exp(rng.uniform(*np.log(spread), size=width))
        scale = deviation / np.maximum(a.std(axis=0), 1e-12)
        directions, hidden = scale[:, None] * directions, scale[:, None] * hidden
        raw = X @ directions.T + (0 if u is None else u @ hidden.T)
        bias = -raw[rng.integers(len(X), size=width), np.arange(width)]
        K.append(directions)
        b.append(bias)
        if u is not None:
            L.append(nonnegativity.raw(hidden))
        u = np.asarray(_activated(activation, raw + bias))
    return InputConvexNetwork(tuple(K), tuple(b), tuple(L), activation, nonnegativity)


@program
def _activated(activation: AbstractActivation, a: Array) -> Array:
    return activation.jet(a)[0]


def initial_radial_units(
    X: Float[np.ndarray, "N n"],
    width: int,
    rng: np.random.Generator,
    *,
    spread: tuple[float, float],
    noise: float,
) -> RadialUnits:
    """Return radial units with centres at rows of X, nearly round.

    Parameters
    ----------
    X : (N, n)
        Rows.
    width : int
        Number of units.
    rng
        Where random numbers come from.
    spread : pair of float
        Between which the slopes are drawn, relative to the data's own scale.
    noise : float
        How far the matrices are from multiples of the identity, entry by entry.
    """
    n = X.shape[1]
    slope = np.exp(rng.uniform(*np.log(spread), size=width))
    shape = np.eye(n) + noise * rng.normal(size=(width, n, n))
    B = (slope / np.sqrt(X.var(axis=0).sum()))[:, None, None] * shape
    centres = X[rng.integers(len(X), size=width)]
    return RadialUnits(B, -np.einsum("kra,ka->kr", B, centres))


@dataclass(frozen=True)
class ContextStart:
    """Numbers of a context network's initial weights.

    Attributes
    ----------
    spread : pair of float
        Between which the standard deviations of pre-activations of context features, and of the
        quadratics' gates, are drawn.
    noise : float
        Weights by which biases and gates of convex units depend on the context's features.
    shift_ridge : float
        Ridge of the first shift, relative to the variance of a standardised column.
    least_sd : float
        Least residuals that kinks are placed among, relative to the targets' standard deviation.
    """

    spread: tuple[float, float]
    noise: float
    shift_ridge: float
    least_sd: float


def initial_conditional_network(
    X: Float[np.ndarray, "N d"],
    n: int,
    widths: tuple[int, ...],
    context_widths: tuple[int, ...],
    n_gates: int,
    activation: AbstractActivation,
    rng: np.random.Generator,
    *,
    spread: tuple[float, float],
    context: ContextStart,
) -> GatedNetwork:
    """Return a partially convex network, placed by rows (y, c) of n targets and a context.

    Parameters
    ----------
    X : (N, d)
        Rows.
    n : int
        Number of targets.
    widths, context_widths : tuple of int
        Of the convex layers and of the context's.
    n_gates : int
        Gated quadratics along each axis.
    activation, rng
        Of the convex layers; where random numbers come from.
    spread : pair of float
        As in `initial_network`.
    context : ContextStart
        Numbers of all that sees the context.
    """
    y, c = X[:, :n], X[:, n:]
    h, layers = c, []
    for width in context_widths:
        layers.append(_through_rows(h, width, rng, context.spread))
        h = np.tanh(np.asarray(layers[-1](h.T)).T)
    shift = _ridge_regression(np.concatenate([c, h], axis=1), y, context.shift_ridge)
    residual = y - np.asarray(shift(np.concatenate([c, h], axis=1).T)).T
    residual = residual + context.least_sd * y.std(axis=0) * rng.normal(size=y.shape)
    convex = initial_network(residual, widths, activation, Bounded(), rng, spread=spread)
    k = h.shape[1]
    bias = tuple(Affine(context.noise * rng.normal(size=(len(b), k)), b) for b in convex.b)
    gates = [
        Affine(context.noise * rng.normal(size=(width, k)), np.zeros(width)) for width in widths
    ]
    units = PartiallyConvexNetwork(
        context=tuple(layers),
        shift=shift,
        S=np.zeros((n, k)),
        K=convex.K,
        bias=bias,
        # Gates are near one half.
        L=tuple(2.0 * L for L in convex.L),
        gate=tuple(gates[:-1]),
        activation=activation,
    )
    quadratic_gates = _through_rows(h, n * n_gates, rng, context.spread)
    return GatedNetwork(units, gates[-1], quadratic_gates)


def _through_rows(
    h: Float[np.ndarray, "N k"], width: int, rng: np.random.Generator, spread: tuple[float, float]
) -> Affine:
    """Return an affine map whose outputs are zero at rows of h, and spread as context features."""
    W = rng.normal(size=(width, h.shape[1]))
    wanted = np.exp(rng.uniform(*np.log(spread), size=width))
    deviation = (h @ W.T).std(axis=0)
    # Constant where the context is.
    W *= (wanted / np.where(deviation > 1e-8, deviation, 1.0))[:, None]
    return Affine(W, -(h @ W.T)[rng.integers(len(h), size=width), np.arange(width)])


def _ridge_regression(
    e: Float[np.ndarray, "N k"], y: Float[np.ndarray, "N n"], ridge: float
) -> Affine:
    mean, centred = e.mean(axis=0), e - e.mean(axis=0)
    gram = centred.T @ centred / len(e) + ridge * np.eye(e.shape[1])
    W = np.linalg.solve(gram, centred.T @ (y - y.mean(axis=0)) / len(e)).T
    return Affine(W, y.mean(axis=0) - W @ mean)
