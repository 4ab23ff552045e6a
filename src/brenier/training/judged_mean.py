r"""What rows that chose nothing say of a density: its gain over the Gaussian, with an interval.

Differences of log-densities are skewed: what a density gains in the tails it gains on few rows,
and a hundred judge rows may hold none of them. But how many rows of all lie how far out, squared
Mahalanobis distances r^2 under the Gaussian tell, and these are known for every row. The mean of
the differences d is therefore estimated by regression [1]_,

    gain = mean_J d + (mean_all a - mean_J a) . beta,    a = (r^2, r^4),

beta the least-squares slopes on the judge rows J. Rows that the Gaussian was fitted to have r^2
under the Gaussian without them. The standard error is that of the sum of each row's influence,

    psi_j = 1_J(j) c_j e_j / (1 - h_j) + omega_j (a_j - mean_all a) . beta,

c_j the weight of d_j in the least-squares mean, residuals e_j divided by one less their leverage
h_j, as the jackknife does [2]_; of chains, influences are summed block by block first. The interval
is Student's. Where one row alone makes much of the covariance, r^4 says more of it than of the
tails, and the mean is the plain one.

References
----------
.. [1] W. G. Cochran, "Sampling Techniques", 3rd edition, Wiley, 1977, chapter 7.
.. [2] J. G. MacKinnon, H. White, "Some heteroskedasticity-consistent covariance matrix estimators
       with improved finite sample properties", Journal of Econometrics 29(3), 1985.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from brenier.data.rows import WeightedRows
from brenier.data.weights import effective_size
from brenier.training.report import MeanAndError

# Largest share of the covariance, in some direction, that one row may make: beyond it r^4 says more
# of that row than of the tails.
MOST_LEVERAGE = 0.1
# How many powers of r there are.
N_SLOPES = 2
# Largest leverage of a judge row.
MOST_OF_JUDGE = 0.99


@dataclass(frozen=True)
class Squares:
    """Squared Mahalanobis distances under the Gaussian baseline.

    Attributes
    ----------
    train, judge : (N,), (M,)
        Of the rows it was fitted to, each under the Gaussian without it, and of the judge rows.
    rows : WeightedRows
        The former.
    """

    train: Float[np.ndarray, " N"]
    judge: Float[np.ndarray, " M"]
    rows: WeightedRows

    @property
    def usable(self) -> bool:
        """Whether no row alone makes the covariance."""
        omega = self.rows.weights / np.sum(self.rows.weights)
        share = omega * self.train
        return bool(np.all(np.isfinite(share)) and np.max(share / (1.0 + share)) < MOST_LEVERAGE)


def judged_mean(
    values: Float[np.ndarray, " M"], judge: WeightedRows, squares: Squares | None
) -> MeanAndError:
    """Return the mean of a value of every judge row, by regression on the squares if usable.

    Parameters
    ----------
    values : (M,)
        A log-density, or a difference of two (nats).
    judge : WeightedRows
        The judge rows.
    squares : Squares or None
        None: their plain mean.
    """
    omega = judge.weights / np.sum(judge.weights)
    n_blocks = len(np.unique(_numbered(judge)))
    usable = squares is not None and squares.usable
    degrees = min(effective_size(judge.weights), n_blocks) - (N_SLOPES * usable + 1)
    if not np.all(np.isfinite(values)) or degrees <= 0:
        return MeanAndError(float(omega @ values), float("nan"))
    if squares is not None and usable:
        mean, influence, blocks = _by_regression(values, judge, omega, squares)
    else:
        mean, blocks = float(omega @ values), _numbered(judge)
        influence = omega * (values - mean) / (1.0 - omega)
    few = float(np.sqrt(n_blocks / degrees)) if judge.block is not None else 1.0
    return MeanAndError(mean, few * _error(influence, blocks), float(degrees))


def _by_regression(
    values: Float[np.ndarray, " M"],
    judge: WeightedRows,
    omega: Float[np.ndarray, " M"],
    squares: Squares,
) -> tuple[float, Float[np.ndarray, " K"], Int[np.ndarray, " K"]]:
    """Return the mean, and every row's influence on it and block, judge rows in front."""
    all_weights = np.concatenate([judge.weights, squares.rows.weights])
    shares = all_weights / np.sum(all_weights)
    a = _powers(np.concatenate([squares.judge, squares.train]))
    centred = a - shares @ a
    centred /= np.sqrt(shares @ centred**2)
    design = np.column_stack([np.ones(len(values)), centred[: len(values)]])
    root = np.sqrt(omega)[:, None]
    inverse = np.linalg.pinv(root * design)
    coefficients = inverse @ (root[:, 0] * values)
    residuals = values - design @ coefficients
    leverage = np.minimum(np.sum((root * design) * inverse.T, axis=1), MOST_OF_JUDGE)
    influence = shares * (centred @ coefficients[1:])
    influence[: len(values)] += inverse[0] * root[:, 0] * residuals / (1.0 - leverage)
    return float(coefficients[0]), influence, _numbered(judge, squares.rows)


def _powers(squares: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N 2"]:
    return np.column_stack([squares, squares**2])


def _numbered(*parts: WeightedRows) -> Int[np.ndarray, " K"]:
    """Return every row's block, a number of its own for every independent row."""
    blocks = [part.block for part in parts if part.block is not None]
    if not blocks:
        return np.arange(sum(len(part.X) for part in parts))
    return np.concatenate(blocks)


def _error(influence: Float[np.ndarray, " K"], blocks: Int[np.ndarray, " K"]) -> float:
    """Return the standard error of a sum whose terms are independent between blocks only."""
    _, own = np.unique(blocks, return_inverse=True)
    sums = np.bincount(own, weights=influence)
    return float(np.sqrt(np.sum(sums**2)))
