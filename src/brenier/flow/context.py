r"""The context as the network sees it: standardised, and kept within a range.

Nothing has to be convex in the context, so that a column may be bent before. Of a column with
values far from most others, which would hold the others in a speck, the logarithm is taken where
they have one sign and the logarithms are far from none; else every value stands for the normal
quantile of its rank, by linear interpolation between quantiles of the training rows. Columns of a
few distinct values have no ranks to speak of, and stay as they are.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float
from scipy.special import ndtri

from brenier.arrays import Array, library_of, standardise

# The median absolute deviation of a standard normal.
NORMAL_MAD = 0.6744897501960817


class Bending(NamedTuple):
    """Which columns are bent, and how finely.

    Attributes
    ----------
    far : float
        Robust standard deviations from the median beyond which a value is far.
    n_quantiles : int
        Quantiles that a column's ranks are read off.
    least_distinct : int
        Distinct values below which it has no ranks.
    """

    far: float
    n_quantiles: int
    least_distinct: int


class Curve(eqx.Module):
    """A map of every column, increasing.

    Attributes
    ----------
    sign : (q,)
        1 or -1: the column is sign * log(sign * c); 0: it is not.
    values, scores : (k, q)
        Where a column goes from and to, by linear interpolation; NaN: it stays where it is.
    """

    sign: Float[Array, " q"]
    values: Float[Array, "k q"]
    scores: Float[Array, "k q"]

    def forward(self, X: Float[Array, "N q"]) -> Float[Array, "N q"]:
        """Return the columns where they go."""
        xp: Any = library_of(X)
        logarithmic = self.sign != 0.0
        positive = xp.where(logarithmic & (self.sign * X > 0), self.sign * X, 1.0)
        bent = xp.where(logarithmic, self.sign * xp.log(positive), X)
        ranked = xp.isfinite(self.values[0])
        columns = [
            xp.where(
                ranked[j], xp.interp(X[:, j], self.values[:, j], self.scores[:, j]), bent[:, j]
            )
            for j in range(X.shape[1])
        ]
        return xp.stack(columns, axis=1)


class ContextScaling(eqx.Module):
    """c = (curve(x) - mean) / scale, x kept within a range.

    Beyond the range of the training rows, widened on either side by its own width, the context is
    taken for that at the edge: what a network says farther out means nothing.

    Attributes
    ----------
    mean, scale : (q,)
        After the curve. The scale of a constant column is infinite, so that it has no influence.
    low, high : (q,)
        Edges, in data units.
    curve : Curve or None
        None: all columns stay as they are.
    """

    mean: Float[Array, " q"]
    scale: Float[Array, " q"]
    low: Float[Array, " q"]
    high: Float[Array, " q"]
    curve: Curve | None = None

    @staticmethod
    def of(
        X: Float[np.ndarray, "N q"],
        weights: Float[np.ndarray, " N"],
        constant: Bool[np.ndarray, " q"],
        bending: Bending,
    ) -> "ContextScaling":
        """Return the scaling of weighted rows, whose constant columns are known."""
        curve = _curve(X, constant, bending)
        low, high = X.min(axis=0), X.max(axis=0)
        width = high - low
        edges = low - width, high + width
        bent = X
        if curve is not None:
            bent, edges = np.asarray(curve.forward(X)), _edges(curve, low, high, *edges)
        mean, scale, _ = standardise(bent, weights)
        return ContextScaling(mean, np.where(constant, np.inf, scale), *edges, curve)

    def typical(self, place: float) -> Float[np.ndarray, " q"]:
        """Return a context so many standard deviations from the mean, in data units.

        Of columns that are bent, one between the edges.
        """
        spread = np.where(np.isfinite(self.scale), self.scale, 0.0)
        plain = np.asarray(self.mean + place * spread)
        if self.curve is None:
            return plain
        bent = (self.curve.sign != 0.0) | np.isfinite(self.curve.values[0])
        middle = 0.5 * (1.0 + 0.5 * place)
        between = self.low + middle * (self.high - self.low)
        return np.where(bent, np.asarray(between), plain)

    def far(self, X: Float[Array, "N q"]) -> Array:
        """Return which rows lie beyond the edges, (N,)."""
        varies = jnp.isfinite(self.scale)
        return jnp.any(varies & ((X < self.low) | (X > self.high)), axis=1)

    def forward(self, X: Float[Array, "N q"]) -> Float[Array, "N q"]:
        """Return the scaled context."""
        kept = library_of(X).clip(X, self.low, self.high)
        bent = kept if self.curve is None else self.curve.forward(kept)
        return (bent - self.mean) / self.scale


def _curve(
    X: Float[np.ndarray, "N q"], constant: Bool[np.ndarray, " q"], bending: Bending
) -> Curve | None:
    """Return the curve of columns with far values; None where none has any."""
    q = X.shape[1]
    sign = np.zeros(q)
    values, scores = np.full((2, bending.n_quantiles, q), np.nan)
    for j in np.flatnonzero(~constant).tolist():
        column = X[:, j]
        if not _has_far(column, bending.far):
            continue
        own = float(np.sign(column[0]))
        if np.all(own * column > 0) and not _has_far(np.log(own * column), bending.far):
            sign[j] = own
        elif len(np.unique(column)) >= bending.least_distinct:
            values[:, j], scores[:, j] = _quantiles(column, bending.n_quantiles)
    if not np.any(sign) and np.all(np.isnan(values)):
        return None
    return Curve(sign, values, scores)


def _has_far(column: Float[np.ndarray, " N"], far: float) -> bool:
    """Whether some values are far from most others."""
    distance = np.abs(column - np.median(column))
    spread = np.median(distance) / NORMAL_MAD
    return bool(spread > 0 and np.max(distance) > far * spread)


def _quantiles(column: Float[np.ndarray, " N"], number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return quantiles of a column, and the normal's of the same rank; equal ones become one."""
    ranks = (np.arange(number) + 0.5) / number
    found = np.quantile(column, ranks)
    found[0], found[-1] = column.min(), column.max()
    places = np.searchsorted(found, found, side="left"), np.searchsorted(found, found, "right") - 1
    middle = 0.5 * (ranks[places[0]] + ranks[places[1]])
    return found, ndtri(middle)


def _edges(
    curve: Curve, low: np.ndarray, high: np.ndarray, wide_low: np.ndarray, wide_high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the range with its own width on either side; of logarithms, by their width."""
    logarithmic = curve.sign != 0.0
    a, b = (np.abs(np.where(logarithmic, edge, 1.0)) for edge in (low, high))
    limits = np.finfo(float)
    with np.errstate(over="ignore"):
        beyond_a, beyond_b = a * (a / b), b * (b / a)
    beyond_a, beyond_b = (np.clip(value, limits.tiny, limits.max) for value in (beyond_a, beyond_b))
    wide_low = np.where(logarithmic, curve.sign * beyond_a, wide_low)
    return wide_low, np.where(logarithmic, curve.sign * beyond_b, wide_high)
