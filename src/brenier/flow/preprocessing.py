r"""Exact invertible layers between the data and the potential.

Per-column bounds first: with a < x, x < b, or a < x < b,

    y = log(x - a),    y = -log(b - x),    y = q((x - a) / (b - a)),

each increasing, q the normal quantile (in older model files the logit); then whitening
y -> C^{-1} (y - m): C the Cholesky factor of the covariance ("full"), its diagonal of standard
deviations ("standardize"), or the identity with m = 0 ("none", which alone keeps the Euclidean
Brenier map in the data's coordinates). Where some rows lie far from all others, a radial map then
brings them nearer (`brenier.training.far_rows`). Given a context, targets may lose a location and
a scale that depend on it (`brenier.flow.spread`).
"""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy
import numpy as np
import scipy.special
from jaxtyping import Float
from scipy.linalg import solve_triangular

from brenier.arrays import LOG_2_PI, Array, library_of, standardise
from brenier.flow.context import ContextScaling
from brenier.flow.spread import ContextSpread
from brenier.flow.tail import Tail
from brenier.program import program


class ColumnBounds(eqx.Module):
    """Log and probit maps of bounded columns.

    Attributes
    ----------
    low, high : (n,)
        Bounds in data units; infinite where there is none.
    probit : bool
        Whether a column between two bounds goes through the normal quantile; else the logit.
    """

    low: Float[Array, " n"]
    high: Float[Array, " n"]
    probit: bool = eqx.field(static=True, default=True)

    def inside(self, X: Float[Array, "N n"]) -> Array:
        """Return which rows lie strictly within all bounds, (N,)."""
        # By the arrays' own method: NumPy's are compared without a program.
        inside: Any = (X > self.low) & (X < self.high)
        return inside.all(axis=1)

    def forward(self, X: Float[Array, "N n"]) -> tuple[Float[Array, "N n"], Float[Array, " N"]]:
        """Return y and log |det dy/dx|; rows outside the bounds give what an inner point gives."""
        xp = library_of(X)
        has_low, has_high = xp.isfinite(self.low), xp.isfinite(self.high)
        low, high = xp.where(has_low, self.low, 0.0), xp.where(has_high, self.high, 0.0)
        above = xp.where(has_low & (X > low), X - low, 1.0)
        below = xp.where(has_high & (X < high), high - X, 1.0)
        log_above, log_below = xp.log(above), xp.log(below)
        both = has_low & has_high
        width = xp.where(both, high - low, 1.0)
        Y = xp.where(has_low | has_high, log_above - log_below, X)
        log_slope = xp.log(width) - log_above - log_below
        if self.probit:
            between = both & (X > low) & (X < high)
            shares = (xp.where(between, part / width, 0.5) for part in (above, below))
            y = _probit(*shares)
            Y = xp.where(both, y, Y)
            log_slope = xp.where(both, 0.5 * (y * y + LOG_2_PI) - xp.log(width), log_slope)
        return Y, xp.sum(log_slope, axis=1)

    def columns(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N n"]:
        """Return y; without bounds X itself."""
        if not np.any(np.isfinite(self.low) | np.isfinite(self.high)):
            return X
        return np.asarray(self.forward(X)[0])

    @program
    def inverse(self, Y: Float[Array, "N n"]) -> Float[Array, "N n"]:
        """Return x, strictly inside the bounds however far out y is."""
        has_low, has_high = jnp.isfinite(self.low), jnp.isfinite(self.high)
        both = has_low & has_high
        low, high = jnp.where(has_low, self.low, 0.0), jnp.where(has_high, self.high, 0.0)
        from_low = low + jnp.where(both, high - low, 1.0) * self._share(Y, both)
        from_high = high - jnp.where(both, high - low, 1.0) * self._share(-Y, both)
        nearer_low = has_low & (~has_high | (Y < 0))
        X = jnp.where(nearer_low, from_low, jnp.where(has_high, from_high, Y))
        # The least normal number, since XLA rounds the subnormal neighbours of zero to zero.
        limits = jnp.finfo(X.dtype)
        least = jnp.maximum(jnp.nextafter(low, jnp.inf), low + limits.tiny)
        most = jnp.minimum(jnp.nextafter(high, -jnp.inf), high - limits.tiny)
        least = jnp.where(has_low, least, limits.min)
        most = jnp.where(has_high, most, limits.max)
        return jnp.where(has_low | has_high, jnp.clip(X, least, most), X)

    def _share(self, y: Array, both: Array) -> Array:
        """Return the distance from the bound: exp(y), or a share of the width between two."""
        two_sided = jax.scipy.special.ndtr(y) if self.probit else jnp.exp(-jnp.logaddexp(0.0, -y))
        return jnp.where(both, two_sided, jnp.exp(jnp.where(both, 0.0, y)))


def _probit(above: Array, below: Array) -> Array:
    """Return the normal quantile of `above`, which is one less `below`, precise on both sides."""
    ndtri = scipy.special.ndtri if library_of(above) is np else jax.scipy.special.ndtri
    return library_of(above).where(above < below, ndtri(above), -ndtri(below))


class Whitening(eqx.Module):
    """x -> C^{-1} ((x - mean) / scale), C lower triangular.

    The column scales are kept apart from C, so that columns of 1e-12 and 1e12 lose no digits.

    Attributes
    ----------
    mean, scale : (n,)
        In data units; scale > 0.
    factor : (n, n)
        C, lower triangular with positive diagonal.
    """

    mean: Float[Array, " n"]
    scale: Float[Array, " n"]
    factor: Float[Array, "n n"]

    def forward(self, X: Float[Array, "N n"]) -> Float[Array, "N n"]:
        """Return the whitened rows."""
        centred = ((X - self.mean) / self.scale).T
        if library_of(X) is np:
            return solve_triangular(self.factor, centred, lower=True).T
        return jax.scipy.linalg.solve_triangular(jnp.asarray(self.factor), centred, lower=True).T

    def inverse(self, Y: Float[Array, "N n"]) -> Float[Array, "N n"]:
        """Return the rows in data units."""
        return (Y @ jnp.asarray(self.factor).T) * self.scale + self.mean

    @property
    def log_det(self) -> Array:
        """Log |det| of the forward map."""
        xp = library_of(self.scale)
        return xp.asarray(-xp.sum(xp.log(self.scale)) - xp.sum(xp.log(xp.diagonal(self.factor))))


class AbstractPreprocessing(eqx.Module):
    """An exact invertible map of the columns of a density; a context's columns follow in a row."""

    @property
    @abstractmethod
    def column_bounds(self) -> ColumnBounds:
        """Bounds of the columns, the context's not among them."""

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of columns, the context's not counted."""

    @abstractmethod
    def inside(self, X: Float[Array, "N d"]) -> Array:
        """Return which rows lie strictly within all bounds, (N,)."""

    @abstractmethod
    def forward(self, X: Float[Array, "N d"]) -> tuple[Float[Array, "N d"], Float[Array, " N"]]:
        """Return the preprocessed rows and log |det| of the map there."""

    @abstractmethod
    def inverse(self, Y: Float[Array, "N d"]) -> Float[Array, "N n"]:
        """Return the rows in data units, without context, of rows as `forward` gives them."""

    @abstractmethod
    def context(self, X: Float[Array, "N q"]) -> Float[Array, "N q"]:
        """Return the preprocessed context."""

    def images(self, Z: Float[Array, "N n"]) -> Float[Array, "N n"]:
        """Return images with a column for each of the data's, in their order."""
        return Z

    def of_images(self, Z: Float[Array, "N n"]) -> Float[Array, "N n"]:
        """Return what `images` made images of."""
        return Z


class Preprocessing(AbstractPreprocessing):
    """Bounds, then whitening, then the map that brings far rows nearer, if there are any."""

    bounds: ColumnBounds
    whitening: Whitening
    far: Tail | None = None

    @property
    def column_bounds(self) -> ColumnBounds:
        """Bounds."""
        return self.bounds

    @property
    def n(self) -> int:
        """Number of columns."""
        return self.whitening.mean.shape[0]

    def inside(self, X: Float[Array, "N n"]) -> Array:
        """Return which rows lie strictly within all bounds, (N,)."""
        return self.bounds.inside(X)

    def forward(self, X: Float[Array, "N n"]) -> tuple[Float[Array, "N n"], Float[Array, " N"]]:
        """Return the preprocessed rows and log |det| of the map there."""
        Y, log_det = self.bounds.forward(X)
        Y, log_det = self.whitening.forward(Y), log_det + self.whitening.log_det
        if self.far is None:
            return Y, log_det
        nearer, log_det_far = self.far.forward(Y.T)
        return nearer.T, log_det + log_det_far

    @program
    def inverse(self, Y: Float[Array, "N n"]) -> Float[Array, "N n"]:
        """Return the rows in data units."""
        if self.far is not None:
            Y = self.far.inverse(Y)
        return self.bounds.inverse(self.whitening.inverse(Y))

    def context(self, X: Float[Array, "N q"]) -> Float[Array, "N q"]:
        """Return the context as it is: there is none."""
        return X


class ConditionalPreprocessing(AbstractPreprocessing):
    """Bounds and whitening of the targets, scaling of the context after them.

    Attributes
    ----------
    targets : Preprocessing
        Of the targets by themselves.
    scaling : ContextScaling
        Of the context.
    spread : ContextSpread or None
        What whitened targets lose that depends on the context, if there is such.
    """

    targets: Preprocessing
    scaling: ContextScaling
    spread: ContextSpread | None = None

    @property
    def column_bounds(self) -> ColumnBounds:
        """The targets' bounds."""
        return self.targets.bounds

    @property
    def n(self) -> int:
        """Number of targets."""
        return self.targets.n

    def inside(self, X: Float[Array, "N d"]) -> Array:
        """Return which rows' targets lie strictly within all bounds, (N,)."""
        return self.targets.inside(X[:, : self.n])

    def forward(self, X: Float[Array, "N d"]) -> tuple[Float[Array, "N d"], Float[Array, " N"]]:
        """Return the preprocessed rows and log |det| of the targets' map there."""
        Y, log_det = self.targets.forward(X[:, : self.n])
        C = self.context(X[:, self.n :])
        if self.spread is not None:
            Y, log_det_spread = self.spread.forward(Y, C)
            log_det = log_det + log_det_spread
        return library_of(X).concatenate([Y, C], axis=1), log_det

    @program
    def inverse(self, Y: Float[Array, "N d"]) -> Float[Array, "N n"]:
        """Return the targets in data units, of rows as `forward` gives them."""
        targets, C = Y[:, : self.n], Y[:, self.n :]
        if self.spread is not None:
            targets = self.spread.inverse(targets, C)
        return self.targets.inverse(targets)

    def context(self, X: Float[Array, "N q"]) -> Float[Array, "N q"]:
        """Return the scaled context."""
        return self.scaling.forward(X)


def whitening(Y: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"], how: str) -> Whitening:
    """Return the whitening of weighted rows.

    Parameters
    ----------
    Y : (N, n)
        Rows of full rank, N > n.
    weights : (N,)
        Their weights, in any unit.
    how : {"full", "standardize", "none"}
        Which covariance is removed.
    """
    n = Y.shape[1]
    if how == "none":
        return Whitening(np.zeros(n), np.ones(n), np.eye(n))
    mean, scale, standardised = standardise(Y, weights)
    if how == "standardize":
        return Whitening(mean, scale, np.eye(n))
    omega = weights / np.sum(weights)
    # The Cholesky factor of Z^T Z is R^T of Z = Q R: no covariance is formed, no digits lost.
    R = np.linalg.qr(np.sqrt(omega)[:, None] * standardised, mode="r")
    return Whitening(mean, scale, np.ascontiguousarray((np.sign(np.diag(R))[:, None] * R).T))
