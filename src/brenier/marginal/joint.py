r"""A density in coordinates without bounds, in which its draws are of about the size of one.

With a < x, x < b, or a < x < b,

    y = log(x - a),    y = -log(b - x),    y = q((x - a) / (b - a)),

q the normal quantile; then u = (y - m) / s, with the draws' medians m and scales s. Whatever is
integrated over u respects the bounds, and has the same numbers in any unit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from brenier.arrays import LOG_2_PI

# Shares of a normal's values below one and two standard deviations about the median.
CENTRAL = (0.158655, 0.841345)


@dataclass(frozen=True)
class Coordinates:
    """The map between columns in data units and coordinates without bounds.

    Attributes
    ----------
    low, high : (n,)
        Bounds in data units, infinite where there is none.
    middle, scale : (n,)
        What is subtracted from y, and what it is divided by.
    """

    low: Float[np.ndarray, " n"]
    high: Float[np.ndarray, " n"]
    middle: Float[np.ndarray, " n"]
    scale: Float[np.ndarray, " n"]

    @staticmethod
    def about(
        rows: Float[np.ndarray, "N n"],
        low: Float[np.ndarray, " n"],
        high: Float[np.ndarray, " n"],
    ) -> "Coordinates":
        """Return those in which the given rows have median zero and about unit scale."""
        n = rows.shape[1]
        plain = Coordinates(low, high, np.zeros(n), np.ones(n))
        Y = plain.inward(rows)
        below, above = np.quantile(Y, CENTRAL, axis=0)
        width, extent = 0.5 * (above - below), np.ptp(Y, axis=0)
        scale = np.where(width > 0, width, np.where(extent > 0, extent, 1.0))
        return Coordinates(low, high, np.median(Y, axis=0), scale)

    def __getitem__(self, columns) -> "Coordinates":
        """Return those of some columns."""
        parts = (self.low, self.high, self.middle, self.scale)
        return Coordinates(*(part[columns] for part in parts))

    @property
    def _has(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which columns have a lower bound alone, an upper one alone, and both."""
        low, high = np.isfinite(self.low), np.isfinite(self.high)
        return low & ~high, high & ~low, low & high

    def inward(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N n"]:
        """Return u of rows within the bounds."""
        above, below, both = self._has
        Y = np.array(X, dtype=np.float64)
        Y[:, above] = np.log(X[:, above] - self.low[above])
        Y[:, below] = -np.log(self.high[below] - X[:, below])
        low, high = self.low[both], self.high[both]
        lower, upper = ((part / (high - low)) for part in (X[:, both] - low, high - X[:, both]))
        Y[:, both] = np.where(lower < upper, ndtri(lower), -ndtri(upper))
        return (Y - self.middle) / self.scale

    def outward(self, U: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N n"]:
        """Return rows in data units, strictly inside the bounds however far out u is."""
        above, below, both = self._has
        X = Y = U * self.scale + self.middle
        with np.errstate(over="ignore"):
            X = np.where(above, self.low + np.exp(np.where(above, Y, 0.0)), X)
            X = np.where(below, self.high - np.exp(np.where(below, -Y, 0.0)), X)
        low, width = np.where(both, self.low, 0.0), np.where(both, self.high - self.low, 1.0)
        nearer_low = low + width * ndtr(Y)
        nearer_high = np.where(both, self.high, 0.0) - width * ndtr(-Y)
        X = np.where(both, np.where(Y < 0, nearer_low, nearer_high), X)
        # No subnormal numbers, which compiled programs round to zero.
        tiny = np.finfo(float).tiny
        least = np.maximum(np.nextafter(self.low, np.inf), self.low + tiny)
        most = np.minimum(np.nextafter(self.high, -np.inf), self.high - tiny)
        least = np.where(np.isfinite(self.low), least, -np.inf)
        return np.clip(X, least, np.where(np.isfinite(self.high), most, np.inf))

    def log_slopes(self, U: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
        """Return log |det dx/du|."""
        above, below, both = self._has
        Y = U * self.scale + self.middle
        width = np.where(both, self.high - self.low, 1.0)
        between = np.log(width) - 0.5 * (Y * Y + LOG_2_PI)
        slopes = np.where(above, Y, np.where(below, -Y, np.where(both, between, 0.0)))
        return np.sum(slopes + np.log(self.scale), axis=1)

    def inside(self, X: Float[np.ndarray, "N n"]) -> np.ndarray:
        """Return which rows lie strictly within all bounds, (N,)."""
        return np.all((X > self.low) & (X < self.high), axis=1)


@dataclass(frozen=True)
class Joint:
    """A density of n columns, as it is asked here.

    Attributes
    ----------
    log_density : callable
        Rows in data units, (N, n), to log p, (N,).
    coordinates : Coordinates
        Of its columns.
    draws : (M, n)
        Draws from it in these coordinates, which show where it lies.
    """

    log_density: Callable[[Float[np.ndarray, "N n"]], Float[np.ndarray, " N"]]
    coordinates: Coordinates
    draws: Float[np.ndarray, "M n"]

    @property
    def n(self) -> int:
        """Number of columns."""
        return self.draws.shape[1]

    def log_density_of(self, U: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
        """Return the logarithm of the density of u; minus infinity where x is no number."""
        X = self.coordinates.outward(U)
        usable = np.all(np.isfinite(X), axis=1)
        found = np.full(len(U), -np.inf)
        if usable.any():
            found[usable] = self.log_density(X[usable])
        return found + self.coordinates.log_slopes(U)
