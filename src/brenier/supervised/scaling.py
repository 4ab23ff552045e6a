"""Columns brought to a common scale, and back.

Inputs are standardised and cut off far out, so that a row far from all others does not decide what
the network looks like; beyond, predictions are those at the cut. Targets of a regression are
standardised only.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from brenier.arrays import standardise


class InputScaling(NamedTuple):
    """Inputs as the network sees them, padded with columns of zeros.

    Attributes
    ----------
    mean, deviation : (n,)
        Of the training rows; a column that is constant is divided by one.
    farthest : float
        Deviations from the mean that columns are cut off at.
    width : int
        Columns with the padding, so that tables of similar width share compiled programs.
    """

    mean: Float[np.ndarray, " n"]
    deviation: Float[np.ndarray, " n"]
    farthest: float
    width: int

    @staticmethod
    def of(
        X: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"], farthest: float
    ) -> "InputScaling":
        """Return the scaling of training rows."""
        mean, deviation = _moments(X, weights)
        return InputScaling(mean, deviation, farthest, padded_width(X.shape[1]))

    def __call__(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N width"]:
        """Return rows as the network sees them."""
        scaled = np.clip((X - self.mean) / self.deviation, -self.farthest, self.farthest)
        return np.pad(scaled, ((0, 0), (0, self.width - X.shape[1])))


class TargetScaling(NamedTuple):
    """Targets as the loss takes them: those of a regression standardised, others as they are.

    Attributes
    ----------
    mean, deviation : (o,)
        Of the training rows.
    """

    mean: Float[np.ndarray, " o"]
    deviation: Float[np.ndarray, " o"]

    @staticmethod
    def of(Y: Float[np.ndarray, "N o"], weights: Float[np.ndarray, " N"]) -> "TargetScaling":
        """Return the scaling of training rows."""
        return TargetScaling(*_moments(Y, weights))

    @staticmethod
    def none(o: int) -> "TargetScaling":
        """Return that of targets that are left as they are."""
        return TargetScaling(np.zeros(o), np.ones(o))

    def __call__(self, Y: Float[np.ndarray, "N o"]) -> Float[np.ndarray, "N o"]:
        """Return standardised targets."""
        return (Y - self.mean) / self.deviation

    def back(self, outputs: Float[np.ndarray, "N o"]) -> Float[np.ndarray, "N o"]:
        """Return outputs in the targets' units."""
        return self.mean + self.deviation * outputs


def _moments(
    Y: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"]
) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted means and deviations, one in place of zero."""
    mean, deviation, _ = standardise(Y, weights)
    # What rounding makes of a constant column is no deviation.
    varies = deviation > np.finfo(float).eps * len(Y) * np.abs(mean)
    return mean, np.where(varies, deviation, 1.0)


def padded_width(n: int) -> int:
    """Return the least standard number of columns that is no less than n: 2^k or 3 x 2^k."""
    power = 1 << max(n - 1, 1).bit_length()
    return max(2, power if 4 * n > 3 * power else 3 * power // 4)
