r"""Distributions in pieces that are far apart, straight or bent, of known density.

One map of one potential has to join them by bridges: besides the gap to the truth there is the
share of drawn rows that lie outside every piece.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import logsumexp

from brenier.data.datasets import LOG_2PI, AbstractDistribution

# Standard deviations from every centre beyond which a row is outside. Of a unit Gaussian's own
# rows in 8 columns 1.8e-5 are, where 5 would leave 1.6e-3 out and count the truth's as outside.
REACH = 6.0
# Of the centres drawn in a cube.
SEED = 5


@dataclass(frozen=True)
class Pieces(AbstractDistribution):
    r"""Unit Gaussians about centres, all bent alike.

        p(x) = sum_k pi_k N(y_k(x); 0, I),    y_k(x) = u - bend (u_1^2 - 1) e_2,    u = x - c_k.

    x -> y_k has determinant one. Pieces are taken to be so far apart that none has mass where
    another is: then the entropy is that of pi and (n/2) log(2 pi e).

    Parameters
    ----------
    centres : tuple of tuples of float
        The c_k, K of them with n coordinates each.
    bend : float
        Of each piece; 0 leaves it a Gaussian. Needs two columns otherwise.
    shares : tuple of float
        The pi_k up to a factor, positive; equal if there are none.
    """

    name: ClassVar[str] = "pieces"
    centres: tuple[tuple[float, ...], ...]
    bend: float = 0.0
    shares: tuple[float, ...] = ()

    @property
    def n_features(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Number of columns n."""
        return len(self.centres[0])

    @cached_property
    def pi(self) -> Float[np.ndarray, " K"]:
        """The probability of each piece."""
        shares = np.array(self.shares or (1.0,) * len(self.centres))
        return shares / shares.sum()

    def straightened(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N K n"]:
        """Return rows in every piece's own coordinates y_k, where it is a standard normal."""
        Y = X[:, None, :] - np.array(self.centres)
        if self.bend:
            Y[..., 1] -= self.bend * (Y[..., 0] ** 2 - 1.0)
        return Y

    def piece(self, X: Float[np.ndarray, "N n"]) -> Int[np.ndarray, " N"]:
        """Return the most probable piece of every row."""
        return np.argmax(self._log_parts(X), axis=1)

    def outside(self, X: Float[np.ndarray, "N n"]) -> Bool[np.ndarray, " N"]:
        """Return which rows lie outside every piece; those that are not finite do."""
        distances = np.linalg.norm(self.straightened(X), axis=2)
        return ~np.any(distances <= REACH, axis=1)

    def _log_parts(self, X: np.ndarray) -> np.ndarray:
        """Return log pi_k N(y_k(x)), (N, K)."""
        squares = np.sum(self.straightened(X) ** 2, axis=2)
        return np.log(self.pi) - 0.5 * (squares + self.n_features * LOG_2PI)

    def _log_density(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(logsumexp(self._log_parts(X), axis=1))

    def _sample(self, N: int, generator: np.random.RandomState) -> np.ndarray:
        chosen = generator.choice(len(self.centres), size=N, p=self.pi)
        Y = generator.normal(size=(N, self.n_features))
        if self.bend:
            Y[:, 1] += self.bend * (Y[:, 0] ** 2 - 1.0)
        return np.array(self.centres)[chosen] + Y

    def _entropy(self) -> float:
        return 0.5 * self.n_features * (LOG_2PI + 1.0) - float(self.pi @ np.log(self.pi))


def far_modes() -> Pieces:
    """Return three unit Gaussians, 50 and more apart, of shares 3 : 2 : 1."""
    return Pieces(((50.0, 0.0), (0.0, 50.0), (0.0, 0.0)), shares=(3.0, 2.0, 1.0))


def modes_in_a_cube() -> Pieces:
    """Return four unit Gaussians whose centres were drawn uniformly in [0, 40]^8."""
    centres = np.random.default_rng(SEED).uniform(0.0, 40.0, size=(4, 8))
    return Pieces(tuple(map(tuple, centres.tolist())))


def bananas() -> Pieces:
    """Return three unit bananas in three columns, side by side and one behind the other.

    A piece is within 6 of its centre along the first and last column, so that none reaches another.
    """
    return Pieces(((0.0, 0.0, 0.0), (20.0, 0.0, 0.0), (0.0, 0.0, 20.0)), bend=0.7)
