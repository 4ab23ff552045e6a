"""Gaussian components of a mixture, many at once: densities, images and preimages by formula."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import logsumexp

from brenier.arrays import LOG_2_PI

# Numbers that are held in memory at once.
MOST_NUMBERS = 1 << 22


@dataclass(frozen=True)
class Gaussians:
    """Gaussians in the same coordinates.

    Attributes
    ----------
    means : (G, n)
        Their means.
    factors : (G, n, n)
        Lower Cholesky factors of their covariances.
    """

    means: Float[np.ndarray, "G n"]
    factors: Float[np.ndarray, "G n n"]

    def __len__(self) -> int:
        return len(self.means)

    def __getitem__(self, which) -> "Gaussians":
        """Return those selected by a mask or by their places."""
        return Gaussians(self.means[which], self.factors[which])

    @staticmethod
    def together(parts: "list[Gaussians]") -> "Gaussians":
        """Return all Gaussians of several lots."""
        means, factors = zip(*((part.means, part.factors) for part in parts), strict=True)
        return Gaussians(np.concatenate(means), np.concatenate(factors))

    @property
    def roots(self) -> Float[np.ndarray, "G n n"]:
        """The symmetric square roots of the covariances."""
        vectors, sd, _ = np.linalg.svd(self.factors)
        return np.einsum("gik,gk,gjk->gij", vectors, sd, vectors)

    def log_density(self, Y: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N G"]:
        """Return log p of every row under each of them."""
        if len(self) == 0:
            return np.zeros((len(Y), 0))
        n = self.means.shape[1]
        inverses = np.linalg.inv(self.factors)
        log_dets = np.sum(np.log(np.diagonal(inverses, axis1=1, axis2=2)), axis=1)
        shifts = np.einsum("gij,gj->gi", inverses, self.means)
        squares = np.empty((len(Y), len(self)))
        for part in blocks(len(Y), len(self) * n):
            z = np.tensordot(Y[part], inverses, axes=(1, 2)) - shifts
            squares[part] = np.einsum("jgi,jgi->jg", z, z)
        return log_dets - 0.5 * squares - 0.5 * n * LOG_2_PI

    def log_density_of_sum(
        self, Y: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " G"]
    ) -> Float[np.ndarray, " N"]:
        """Return log sum_g weights_g p_g of every row."""
        found = np.empty(len(Y))
        for part in blocks(len(Y), len(self)):
            found[part] = logsumexp(self.log_density(Y[part]) + np.log(weights), axis=1)
        return found

    def images(
        self, Y: Float[np.ndarray, "N n"], which: Int[np.ndarray, " N"]
    ) -> Float[np.ndarray, "N n"]:
        """Return S^(-1/2) (y - m) of every row, with the mean and covariance of its own Gaussian.

        The gradient of a convex function, as a potential's map is.
        """
        return _products(np.linalg.inv(self.roots), Y - self.means[which], which)

    def preimages(
        self, Z: Float[np.ndarray, "N n"], which: Int[np.ndarray, " N"]
    ) -> Float[np.ndarray, "N n"]:
        """Return the rows whose images are given."""
        return _products(self.roots, Z, which) + self.means[which]


def _products(
    matrices: Float[np.ndarray, "G n n"], Y: Float[np.ndarray, "N n"], which: Int[np.ndarray, " N"]
) -> Float[np.ndarray, "N n"]:
    """Return the product of every row's own matrix with it."""
    found = np.empty(Y.shape)
    for part in blocks(len(Y), Y.shape[1] ** 2):
        found[part] = np.einsum("jik,jk->ji", matrices[which[part]], Y[part])
    return found


def blocks(N: int, numbers: int) -> list[slice]:
    """Return rows in blocks, in which so many numbers a row are not too many in memory."""
    step = max(1, MOST_NUMBERS // max(numbers, 1))
    return [slice(k, k + step) for k in range(0, N, step)]
