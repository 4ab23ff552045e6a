r"""Far rows: whitening that they do not make, and a radial map that brings them nearer.

One row in a thousand that is a thousand standard deviations off makes the covariance: after
whitening by it the others lie in a speck, and every number that is meant in standard deviations is
wrong. Location and scatter are therefore also fitted by a multivariate t density of few degrees of
freedom [1]_, which far rows hardly move, and rows are far where they are `far_distance` of its
standard deviations off. Curved densities have some such rows, and funnels many. Where one is
farther than a curve reaches, or they are as many as tails of a power have, rows are whitened by
that scatter, and mapped by

    y = u exp(h (|u|^2 - a) / 2)

backwards (`brenier.flow.tail`): tails that fall like a power become a normal's. The h, and the
scale of the scatter with it, are those under which the rows are likeliest if u is normal. Every row
keeps its weight. Of very many columns no row is far: in some direction or other every one is.

Given a context, a scale that depends on it makes many rows far that no row of like context is
nearer than: such a row is measured by its neighbours', and the scale removed otherwise
(`brenier.flow.spread`). The map would make shells of what is a normal at every context.

References
----------
.. [1] J. T. Kent, D. E. Tyler, "Redescending M-estimates of multivariate location and scatter",
       Annals of Statistics 19(4), 1991.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize
from scipy.spatial import KDTree
from scipy.special import chdtri

from brenier.arrays import standardise
from brenier.flow.preprocessing import Preprocessing, Whitening, whitening
from brenier.flow.tail import Tail

# Degrees of freedom of the t fit, its most steps, and the change at which it ends.
DEGREES, STEPS, TOLERANCE = 3.0, 100, 1e-6
# Between which h and the scale are sought: tails beyond Cauchy's, that of h = 1, are no use.
HEAVINESS, SCALES = (1e-3, 2.0), (1e-3, 1e3)
# Rows that the fits are made of at most, and rows a column below which there is none.
MOST_ROWS, LEAST_ROWS = 32768, 2
# Rows that are measured by those of like context, and the farthest of all that are besides.
NEAR_ROWS, FARTHEST = 8192, 64
# Far rows that are named, and rows of the same far value that look like a code for a missing one.
NAMED, LEAST_OF_A_CODE = 5, 3


class Scatter(NamedTuple):
    """Location and scatter that far rows hardly move.

    Attributes
    ----------
    whitening : Whitening
        By them: squared distances of most rows from the origin are those of a normal's.
    radii : (N,)
        Every row's distance from them, in robust standard deviations.
    """

    whitening: Whitening
    radii: Float[np.ndarray, " N"]


class Distances(NamedTuple):
    """Which rows are far, and when they are brought nearer.

    Attributes
    ----------
    far : float
        Robust standard deviations beyond which a row is far.
    shares : tuple
        Least and largest share of far rows that look like tails of a power.
    least : int
        Rows that make a share.
    alone : float
        Robust standard deviations from which on one row is enough.
    neighbours : int
        Rows of like context that a density given a context measures a far row by.
    most_columns : int
        Columns beyond which no row is far: in some direction or other every one is.
    """

    far: float
    shares: tuple[float, float]
    least: int
    alone: float
    neighbours: int
    most_columns: int

    def can_tell(self, Y: Float[np.ndarray, "N n"]) -> bool:
        """Whether rows have a scatter by which some of them are far."""
        N, n = Y.shape
        return LEAST_ROWS * n < N and n <= self.most_columns

    def asks_for_more(
        self, radii: Float[np.ndarray, " N"], weights: Float[np.ndarray, " N"]
    ) -> bool:
        """Whether rows of such distances are to be brought nearer."""
        least, most = self.shares
        far = radii > self.far
        share = np.sum(weights[far]) / np.sum(weights)
        are_some = np.sum(far) >= self.least and least <= share <= most
        return bool(np.max(radii) > self.alone or are_some)


def far_rows_nearer(
    Y: Float[np.ndarray, "N n"],
    weights: Float[np.ndarray, " N"],
    how: str,
    distances: Distances,
    context: Float[np.ndarray, "N q"] | None = None,
) -> tuple[Whitening, Tail | None]:
    """Return the whitening of weighted rows, and what brings far ones nearer if there are any.

    Parameters
    ----------
    Y : (N, n)
        Rows, after their bounds' maps.
    weights : (N,)
        Their weights, in any unit.
    how : {"full", "standardize", "none"}
        Which covariance is removed.
    distances : Distances
        Which rows are far, and when they are brought nearer.
    context : (N, q), optional
        Of a density given it, standardised: rows are then far off those of like context.
    """
    plain = whitening(Y, weights, how)
    if how == "none" or not distances.can_tell(Y):
        return plain, None
    scatter = robust_scatter(Y, weights, how)
    if not distances.asks_for_more(scatter.radii, weights):
        return plain, None
    if context is not None:
        local = _among_neighbours(scatter.radii, weights, context, distances)
        if not distances.asks_for_more(*local):
            return plain, None
    rows = scatter.whitening.forward(Y[:MOST_ROWS])
    h, scale = _heaviness(np.linalg.norm(rows, axis=1), weights[:MOST_ROWS], Y.shape[1])
    own = scatter.whitening
    return Whitening(own.mean, own.scale, own.factor * scale), Tail(np.asarray(h))


def _among_neighbours(
    radii: Float[np.ndarray, " N"],
    weights: Float[np.ndarray, " N"],
    context: Float[np.ndarray, "N q"],
    distances: Distances,
) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """Return distances, those of far rows in units of what rows of like context have, and weights.

    Of a long table those of its first rows, which are any, among themselves; and of the farthest
    others, among all, with no weight: they are no share of the table, but one may be enough.
    """
    first, farthest = np.arange(len(radii))[:NEAR_ROWS], np.argsort(-radii)[:FARTHEST]
    farthest = farthest[farthest >= NEAR_ROWS]
    own = radii[first].copy()
    far = np.flatnonzero(own > distances.far)
    own[far] = _measured(far, radii[first], context[first], distances.neighbours)
    others = _measured(farthest, radii, context, distances.neighbours)
    return (
        np.concatenate([own, others]),
        np.concatenate([weights[first], np.zeros(len(farthest))]),
    )


def _measured(
    rows: Int[np.ndarray, " M"],
    radii: Float[np.ndarray, " N"],
    context: Float[np.ndarray, "N q"],
    k: int,
) -> Float[np.ndarray, " M"]:
    """Return the distances of some rows in units of what the k rows of most like context have."""
    if not len(rows):
        return radii[rows]
    k, usual = min(k, len(radii)), np.median(radii)
    _, near = KDTree(context).query(context[rows], k)
    of_like = np.median(radii[near.reshape(len(rows), k)], axis=1)
    return radii[rows] * usual / np.maximum(of_like, usual)


def lone_rows(
    Y: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"], distances: Distances
) -> Bool[np.ndarray, " N"]:
    """Return which rows are far off all others, and too few for a tail.

    One such row would decide alone whatever it is asked, so they choose and judge nothing.
    """
    if not distances.can_tell(Y):
        return np.zeros(len(Y), bool)
    lone = robust_scatter(Y, weights, "full").radii > distances.alone
    return lone & (np.sum(weights[lone]) < distances.shares[0] * np.sum(weights))


class FarRows(NamedTuple):
    """What is said of far rows.

    Attributes
    ----------
    count : int
        How many there are.
    named : tuple of str
        The farthest, each with its row, column and value.
    codes : tuple of str
        Values that several of them share.
    """

    count: int
    named: tuple[str, ...]
    codes: tuple[str, ...]


def far_rows_of(
    X: Float[np.ndarray, "N n"],
    preprocessing: Preprocessing,
    names: Sequence[str],
    distance: float,
) -> FarRows:
    """Return what is to be said of the rows that a fit brought nearer.

    Parameters
    ----------
    X : (N, n)
        The columns that the density is of, rows in the table's order.
    preprocessing : Preprocessing
        The fit's.
    names : sequence of str
        Column names.
    distance : float
        Robust standard deviations beyond which a row is far.
    """
    if preprocessing.far is None:
        return FarRows(0, (), ())
    Y, own = preprocessing.bounds.columns(X), preprocessing.whitening
    unit = (Y - own.mean) / own.scale
    rows = np.flatnonzero(robust_scatter(Y, np.ones(len(Y)), "full").radii > distance)
    columns = np.argmax(np.abs(unit[rows]) / np.sqrt(np.sum(own.factor**2, axis=1)), axis=1)
    distance = np.max(np.abs(unit[rows]), axis=1)
    farthest = np.argsort(-distance, kind="stable")[:NAMED]
    named = [f"row {rows[k]}, {names[columns[k]]!r} = {X[rows[k], columns[k]]:g}" for k in farthest]
    codes = [
        f"{count} rows at {value:g} in {names[column]!r}"
        for column in np.unique(columns)
        for value, count in zip(*_counted(X[rows[columns == column], column]), strict=True)
        if count >= LEAST_OF_A_CODE
    ]
    return FarRows(len(rows), tuple(named), tuple(codes))


def _counted(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct values, and how often there is each."""
    return np.unique(values, return_counts=True)


def robust_scatter(
    Y: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"], how: str
) -> Scatter:
    """Return the multivariate t fit of rows, and which of them are far from it."""
    n = Y.shape[1]
    centre = np.median(Y, axis=0)
    spread = np.median(np.abs(Y - centre), axis=0)
    _, sd, _ = standardise(Y, weights)
    scale = np.where(spread > 0, spread, sd)
    unit = (Y - centre) / scale
    omega = weights / np.sum(weights)
    some, share = unit[:MOST_ROWS], omega[:MOST_ROWS] / np.sum(omega[:MOST_ROWS])
    mean, factor = np.zeros(n), np.eye(n)
    for _ in range(STEPS):
        squares = _squares(some, mean, factor)
        pull = share * (DEGREES + n) / (DEGREES + squares)
        pull /= np.sum(pull)
        before, mean = mean, pull @ some
        centred = some - mean
        covariance = (pull[:, None] * centred).T @ centred
        if how == "standardize":
            covariance = np.diag(np.diag(covariance))
        last = factor
        try:
            factor = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            # So many rows coincide that the scatter shrinks to nothing: before it does is enough.
            break
        if np.max(np.abs(factor - last)) + np.max(np.abs(mean - before)) < TOLERANCE:
            break
    squares = _squares(unit, mean, factor)
    # The median square of the rows that do not coincide with the centre is a normal's then.
    ratio = np.median(squares[squares > 0.0]) / chdtri(n, 0.5)
    found = Whitening(centre + scale * mean, scale, factor * np.sqrt(ratio))
    return Scatter(found, np.sqrt(squares / ratio))


def _squares(Y: np.ndarray, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return np.sum(np.linalg.solve(factor, (Y - mean).T) ** 2, axis=0)


def _heaviness(
    radii: Float[np.ndarray, " N"], weights: Float[np.ndarray, " N"], n: int
) -> tuple[float, float]:
    """Return h and a scale of the radii under which they are likeliest."""
    omega = weights / np.sum(weights)
    rows = np.zeros((n, len(radii)))

    def loss(x: np.ndarray) -> float:
        h, scale = np.exp(x)
        rows[0] = radii / scale
        u, log_det = Tail(np.asarray(h)).forward(rows)
        return float(omega @ (0.5 * u[0] ** 2 - log_det)) + n * float(x[1])

    start, ranges = np.log([0.1, 1.0]), np.log([HEAVINESS, SCALES])
    found = minimize(loss, start, method="Nelder-Mead", bounds=ranges)
    h, scale = np.exp(found.x)
    return float(h), float(scale)
