"""The mean of values that come in pieces, and its standard error."""

import numpy as np
from jaxtyping import Float

from brenier.training.report import MeanAndError


class RunningMean:
    """A weighted mean whose values are added up, and not kept.

    Sums are of values less the mean of the first piece, so that little is lost where values are far
    from zero and near each other.

    Attributes
    ----------
    total, squares : float
        Sums of the weights and of their squares.
    """

    def __init__(self):
        self.total = self.squares = 0.0
        self._n, self._shift = 0, None
        self._least, self._largest = np.inf, -np.inf
        # Sums of w x, w^2 x and w^2 x^2, x less the shift.
        self._sums = 0.0, 0.0, 0.0

    def add(self, values: Float[np.ndarray, " N"], weights: Float[np.ndarray, " N"]) -> None:
        """Count values with positive weights."""
        if not len(values):
            return
        if self._shift is None:
            finite = np.isfinite(values)
            self._shift = float(np.mean(values[finite])) if finite.any() else 0.0
        x = values - self._shift
        squares = weights * weights
        with np.errstate(invalid="ignore"):
            sums = weights @ x, squares @ x, squares @ (x * x)
            self._sums = tuple(float(a + b) for a, b in zip(self._sums, sums, strict=True))
        self.total += float(np.sum(weights))
        self.squares += float(np.sum(squares))
        self._n += len(values)
        self._least = min(self._least, float(np.min(weights)))
        self._largest = max(self._largest, float(np.max(weights)))

    def rescale(self, factor: float) -> None:
        """Multiply the weights of all values so far; where that is by zero, none counts."""
        first, second, third = self._sums if factor else (0.0, 0.0, 0.0)
        self._sums = factor * first, factor**2 * second, factor**2 * third
        self.total, self.squares = factor * self.total, factor**2 * self.squares
        self._least, self._largest = factor * self._least, factor * self._largest

    @property
    def effective_size(self) -> float:
        """How many values of equal weight are worth as much (Kish 1965)."""
        return self.total**2 / self.squares

    @property
    def unequal(self) -> bool:
        """Whether weights differ."""
        return self._largest > self._least

    @property
    def result(self) -> MeanAndError:
        """The mean and its standard error, those of `MeanAndError.of`; there must be values."""
        first, second, third = self._sums
        mean, degrees = first / self.total, self.effective_size - 1.0
        if self._n < 2 or degrees <= 0 or not np.isfinite(mean):
            return MeanAndError(float(mean + (self._shift or 0.0)), float("nan"))
        variance = third - 2.0 * mean * second + mean**2 * self.squares
        spread = np.sqrt(max(variance, 0.0)) / self.total
        error = spread * np.sqrt(self._n / (self._n - 1))
        return MeanAndError(float(mean + (self._shift or 0.0)), float(error), degrees)
