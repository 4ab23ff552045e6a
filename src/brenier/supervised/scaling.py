r"""Columns brought to a common scale, and back.

Inputs are standardised and cut off far out, so that a row far from all others does not decide what
the network looks like; beyond, predictions are those at the cut. A column that has values very far
out is seen by its ranks as well: it becomes the mean of what is cut off and of its normal scores,

    Phi^{-1}((R - 1/2) / N),    R the rank among N training rows (of weights, the weight up to it),

on the scale of one deviation again. A column of which more than half of the rows, a share p, have
one and the same value is brought to the deviation 4 p (1 - p) in place of one, before all this:
where a pixel is black in all rows but a few, the few would stand out by a great deal. Targets of a
regression are standardised only.
"""

from typing import NamedTuple

import numpy as np
import scipy.special
from jaxtyping import Float

from brenier.arrays import standardise

# Of 1e15 rows the first.
FARTHEST_SCORE = 8.0


class NormalScores(NamedTuple):
    """What is added to a column with values far out.

    Attributes
    ----------
    values, scores : (k,)
        Its different values, ascending, and their normal scores.
    unit : float
        The mean of both is divided by it.
    """

    values: Float[np.ndarray, " k"]
    scores: Float[np.ndarray, " k"]
    unit: float

    @staticmethod
    def of(
        column: Float[np.ndarray, " N"],
        cut_off: Float[np.ndarray, " N"],
        weights: Float[np.ndarray, " N"],
    ) -> "NormalScores":
        """Return those of a column, given what else it is made into."""
        values, place = np.unique(column, return_inverse=True)
        weight = np.bincount(place, weights)
        scores = scipy.special.ndtri((np.cumsum(weight) - 0.5 * weight) / weight.sum())
        # Beside a weight that is all but the whole, those of the others are infinite.
        scores = np.clip(scores, -FARTHEST_SCORE, FARTHEST_SCORE)
        mixed = 0.5 * (cut_off + scores[place])
        mean = np.average(mixed, weights=weights)
        unit = float(np.sqrt(np.average((mixed - mean) ** 2, weights=weights)))
        return NormalScores(values, scores, unit)

    def mixed(
        self, column: Float[np.ndarray, " N"], cut_off: Float[np.ndarray, " N"]
    ) -> Float[np.ndarray, " N"]:
        """Return the mean of both; between the values scores are interpolated."""
        return 0.5 * (cut_off + np.interp(column, self.values, self.scores)) / self.unit


class InputScaling(NamedTuple):
    """Inputs as the network sees them, padded with columns of zeros.

    Attributes
    ----------
    mean, deviation : (n,)
        Of the training rows; a column that is constant is divided by one.
    size : (n,)
        The deviation that columns are brought to before they are cut off.
    farthest : float
        Deviations from the mean that columns are cut off at.
    scores : tuple of n NormalScores or None
        Of the columns with values very far out.
    width : int
        Columns with the padding, so that tables of similar width share compiled programs.
    """

    mean: Float[np.ndarray, " n"]
    deviation: Float[np.ndarray, " n"]
    size: Float[np.ndarray, " n"]
    farthest: float
    scores: tuple[NormalScores | None, ...]
    width: int

    @staticmethod
    def of(
        X: Float[np.ndarray, "N n"],
        weights: Float[np.ndarray, " N"],
        farthest: float,
        ranked_from: float = np.inf,
    ) -> "InputScaling":
        """Return the scaling of training rows.

        Parameters
        ----------
        X : (N, n)
            Inputs.
        weights : (N,)
            Positive weights.
        farthest : float
            Deviations from the mean that columns are cut off at.
        ranked_from : float
            Deviations from the mean beyond which a value makes its column seen by its ranks, too.
        """
        mean, deviation = _moments(X, weights)
        size = np.array([_size(column, weights) for column in X.T])
        scaled = (X - mean) / deviation * size
        cut_off = np.clip(scaled, -farthest, farthest)
        scores = tuple(
            NormalScores.of(X[:, i], cut_off[:, i], weights) if far else None
            for i, far in enumerate(np.max(np.abs(scaled), axis=0) > ranked_from)
        )
        return InputScaling(mean, deviation, size, farthest, scores, padded_width(X.shape[1]))

    def __call__(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N width"]:
        """Return rows as the network sees them."""
        scaled = (X - self.mean) / self.deviation * self.size
        scaled = np.clip(scaled, -self.farthest, self.farthest)
        for i, scores in enumerate(self.scores):
            if scores is not None:
                scaled[:, i] = scores.mixed(X[:, i], scaled[:, i])
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

    def back(self, outputs: Float[np.ndarray, "*N o"]) -> Float[np.ndarray, "*N o"]:
        """Return outputs in the targets' units."""
        return self.mean + self.deviation * outputs


def _size(column: Float[np.ndarray, " N"], weights: Float[np.ndarray, " N"]) -> float:
    """Return 4 p (1 - p), p the share of the most frequent value, where it is above a half."""
    values, place = np.unique(column, return_inverse=True)
    p = np.bincount(place, weights).max() / weights.sum()
    # A constant column is zero anyway.
    return 4.0 * p * (1.0 - p) if p > 0.5 and len(values) > 1 else 1.0


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
