"""What comes before the potential: `brenier.flow.preprocessing` and its kin in NumPy."""

from dataclasses import dataclass
from typing import Any

import numpy as np

LOG_2_PI = 1.8378770664093453
# As in `brenier.flow.tail`.
MOST_SQUARED, MOST_EXPONENT, HALLEY_STEPS = 1e300, 300.0, 7


def special() -> Any:
    """Return SciPy's special functions, which most models do without."""
    # Here and not above: to import it takes longer than all else.
    try:
        import scipy.special
    except ImportError as error:
        raise ImportError(
            "Expected SciPy, for a column between two bounds; got none. Install it: pip install "
            "scipy."
        ) from error
    return scipy.special


@dataclass(frozen=True)
class Bounds:
    """Log, logit and probit maps of bounded columns, (n,)."""

    low: np.ndarray
    high: np.ndarray
    probit: bool

    def inside(self, X: np.ndarray) -> np.ndarray:
        """Return which rows lie strictly within all bounds."""
        return np.all((X > self.low) & (X < self.high), axis=1)

    def forward(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return y and log |det dy/dx|; rows outside give what an inner point gives."""
        low, high, has_low, has_high = self._finite()
        both = has_low & has_high
        above = np.where(has_low & (X > low), X - low, 1.0)
        below = np.where(has_high & (X < high), high - X, 1.0)
        width = np.where(both, high - low, 1.0)
        log_above, log_below = np.log(above), np.log(below)
        Y = np.where(has_low | has_high, log_above - log_below, X)
        log_slope = np.log(width) - log_above - log_below
        if self.probit and both.any():
            between = both & (X > low) & (X < high)
            a, b = (np.where(between, part / width, 0.5) for part in (above, below))
            y = np.where(a < b, special().ndtri(a), -special().ndtri(b))
            Y = np.where(both, y, Y)
            log_slope = np.where(both, 0.5 * (y * y + LOG_2_PI) - np.log(width), log_slope)
        return Y, np.sum(log_slope, axis=1)

    def inverse(self, Y: np.ndarray) -> np.ndarray:
        """Return x, strictly inside the bounds however far out y is."""
        low, high, has_low, has_high = self._finite()
        both = has_low & has_high
        width = np.where(both, high - low, 1.0)
        with np.errstate(over="ignore"):
            from_low = low + width * self._share(Y, both)
            from_high = high - width * self._share(-Y, both)
        nearer_low = has_low & (~has_high | (Y < 0))
        X = np.where(nearer_low, from_low, np.where(has_high, from_high, Y))
        limits = np.finfo(float)
        least = np.maximum(np.nextafter(low, np.inf), low + limits.tiny)
        most = np.minimum(np.nextafter(high, -np.inf), high - limits.tiny)
        least = np.where(has_low, least, limits.min)
        most = np.where(has_high, most, limits.max)
        return np.where(has_low | has_high, np.clip(X, least, most), X)

    def _share(self, y: np.ndarray, both: np.ndarray) -> np.ndarray:
        """Return the distance from the bound: exp(y), or a share of the width between two."""
        one_sided = np.exp(np.where(both, 0.0, y))
        if not both.any():
            return one_sided
        two_sided = special().ndtr(y) if self.probit else np.exp(-np.logaddexp(0.0, -y))
        return np.where(both, two_sided, one_sided)

    def _finite(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        has_low, has_high = np.isfinite(self.low), np.isfinite(self.high)
        low, high = np.where(has_low, self.low, 0.0), np.where(has_high, self.high, 0.0)
        return low, high, has_low, has_high


@dataclass(frozen=True)
class Tail:
    """z to u of heavier tails, radially (`brenier.flow.tail`)."""

    h: float

    def forward(self, Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return u and log |det du/dz| of every row."""
        n = Z.shape[1]
        shift = self.h * (n + 1)
        squared = np.minimum(np.sum(Z * Z, axis=1), MOST_SQUARED)
        w = lambert_w(self.h * squared * np.exp(shift))
        half = 0.5 * (shift - w)
        return Z * np.exp(half)[:, None], n * half - np.log1p(w)

    def inverse(self, U: np.ndarray) -> np.ndarray:
        """Return z of rows u."""
        squared = np.sum(U * U, axis=1, keepdims=True)
        exponent = 0.5 * self.h * (squared - (U.shape[1] + 1))
        return U * np.exp(np.minimum(exponent, MOST_EXPONENT))


def lambert_w(v: np.ndarray) -> np.ndarray:
    """Return the w >= 0 with w exp(w) = v, for v >= 0."""
    w = np.log1p(v)
    for _ in range(HALLEY_STEPS):
        excess = w - v * np.exp(-w)
        w = w - excess / (w + 1.0 - 0.5 * (w + 2.0) * excess / (w + 1.0))
    return w


@dataclass(frozen=True)
class Whitening:
    """x -> C^{-1} ((x - mean) / scale), C lower triangular."""

    mean: np.ndarray
    scale: np.ndarray
    factor: np.ndarray

    def forward(self, X: np.ndarray) -> np.ndarray:
        """Return the whitened rows."""
        return np.linalg.solve(self.factor, ((X - self.mean) / self.scale).T).T

    def inverse(self, Y: np.ndarray) -> np.ndarray:
        """Return the rows in data units."""
        return (Y @ self.factor.T) * self.scale + self.mean

    @property
    def log_det(self) -> float:
        """Log |det| of the forward map."""
        return float(-np.sum(np.log(self.scale)) - np.sum(np.log(np.diagonal(self.factor))))


@dataclass(frozen=True)
class Scaling:
    """The context as the network sees it (`brenier.flow.context`); `curve` is of three arrays."""

    mean: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray
    curve: tuple[np.ndarray, np.ndarray, np.ndarray] | None

    def forward(self, X: np.ndarray) -> np.ndarray:
        """Return the scaled context."""
        return (self._bent(np.clip(X, self.low, self.high)) - self.mean) / self.scale

    def _bent(self, X: np.ndarray) -> np.ndarray:
        if self.curve is None:
            return X
        sign, values, scores = self.curve
        logarithmic = sign != 0.0
        positive = np.where(logarithmic & (sign * X > 0), sign * X, 1.0)
        bent = np.where(logarithmic, sign * np.log(positive), X)
        for j in np.flatnonzero(np.isfinite(values[0])).tolist():
            bent[:, j] = np.interp(X[:, j], values[:, j], scores[:, j])
        return bent


@dataclass(frozen=True)
class Spread:
    """y -> exp(-S c) (y - M c), c a scaled context and a one (`brenier.flow.spread`)."""

    location: np.ndarray
    log_scale: np.ndarray

    def forward(self, Y: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what is left of the targets at their contexts, and log |det| of the map."""
        means, log_scales = self._at(C)
        return (Y - means) * np.exp(-log_scales), -np.sum(log_scales, axis=1)

    def inverse(self, Y: np.ndarray, C: np.ndarray) -> np.ndarray:
        """Return the targets of which Y is left at their contexts."""
        means, log_scales = self._at(C)
        return means + Y * np.exp(log_scales)

    def _at(self, C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return location and logarithm of the scale at every context."""
        parts = (self.location, self.log_scale)
        means, log_scales = (C @ part[:, :-1].T + part[:, -1] for part in parts)
        return means, log_scales


@dataclass(frozen=True)
class Preprocessing:
    """Order of the columns, bounds, whitening, far rows brought nearer; context scaled, spread."""

    bounds: Bounds
    whitening: Whitening
    far: Tail | None
    scaling: Scaling | None
    spread: Spread | None
    order: np.ndarray
    context_order: np.ndarray

    @property
    def n(self) -> int:
        """Number of columns, the context's not counted."""
        return len(self.order)

    def inside(self, X: np.ndarray) -> np.ndarray:
        """Return which rows lie strictly within all bounds."""
        return self.bounds.inside(X[:, self.order])

    def forward(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the preprocessed rows and log |det| of the map there."""
        Y, log_det = self.bounds.forward(X[:, self.order])
        Y, log_det = self.whitening.forward(Y), log_det + self.whitening.log_det
        if self.far is not None:
            Y, more = self.far.forward(Y)
            log_det = log_det + more
        C = self.context(X[:, self.n :])
        if self.spread is not None:
            Y, more = self.spread.forward(Y, C)
            log_det = log_det + more
        return np.concatenate([Y, C], axis=1), log_det

    def inverse(self, Y: np.ndarray, C: np.ndarray) -> np.ndarray:
        """Return the rows in data units, without context, at preprocessed contexts."""
        Y = Y if self.spread is None else self.spread.inverse(Y, C)
        Y = Y if self.far is None else self.far.inverse(Y)
        return self.images(self.bounds.inverse(self.whitening.inverse(Y)))

    def context(self, C: np.ndarray) -> np.ndarray:
        """Return the preprocessed context."""
        C = C[:, self.context_order]
        return C if self.scaling is None else self.scaling.forward(C)

    def images(self, Z: np.ndarray) -> np.ndarray:
        """Return columns in the order of the data's."""
        return Z[:, np.argsort(self.order)]

    def of_images(self, Z: np.ndarray) -> np.ndarray:
        """Return columns in the order that they are taken in."""
        return Z[:, self.order]
