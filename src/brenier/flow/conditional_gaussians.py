r"""Gaussian mixtures of rows (c, y), conditioned on c: linear regressions with gates.

A Gaussian of mean (m_c, m_y) and Cholesky factor [[L_c, 0], [B, L_y]] has

    p(c) = N(c; m_c, L_c L_c^T),    p(y | c) = N(y; m_y + A (c - m_c), L_y L_y^T),  A = B L_c^(-1),

so that of a mixture of such, sum_k w_k p_k(c, y), the density of y given c is a mixture of linear
regressions, and every weight a gate ([1]_, localised mixtures of experts):

    p(y | c) = sum_k g_k(c) p_k(y | c),    g_k(c) = w_k p_k(c) / sum_l w_l p_l(c).

References
----------
.. [1] L. Xu, M. I. Jordan, G. E. Hinton, "An Alternative Model for Mixtures of Experts", NIPS 1994.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtr

from brenier.arrays import LOG_2_PI
from brenier.flow.gaussians import Gaussians, blocks


@dataclass(frozen=True)
class ConditionalGaussians:
    """The components of M such mixtures, one mixture's after the other's.

    Attributes
    ----------
    joint : Gaussians
        G components of rows (c, y).
    weights : (G,)
        Those of a mixture sum to one.
    sizes : (M,)
        How many components each mixture has.
    n : int
        Number of targets, the last columns of the rows.
    """

    joint: Gaussians
    weights: Float[np.ndarray, " G"]
    sizes: Int[np.ndarray, " M"]
    n: int

    @staticmethod
    def of(
        mixtures: Sequence[tuple[Float[np.ndarray, " _"], Gaussians]], d: int, n: int
    ) -> "ConditionalGaussians":
        """Return mixtures, each its weights and Gaussians, of rows of d columns."""
        none = (np.zeros(0), Gaussians(np.zeros((0, d)), np.zeros((0, d, d))))
        weights, parts = zip(none, *mixtures, strict=True)
        sizes = np.array([len(part) for part in parts[1:]], int)
        return ConditionalGaussians(
            Gaussians.together(list(parts)), np.concatenate(weights), sizes, n
        )

    def __len__(self) -> int:
        return len(self.joint)

    @property
    def q(self) -> int:
        """Number of columns of the context."""
        return self.joint.means.shape[1] - self.n

    @property
    def starts(self) -> Int[np.ndarray, " M"]:
        """Where the components of each mixture begin."""
        return np.cumsum(self.sizes) - self.sizes

    @cached_property
    def contexts(self) -> Gaussians:
        """The components' densities of c."""
        return Gaussians(self.joint.means[:, : self.q], self.joint.factors[:, : self.q, : self.q])

    @cached_property
    def residuals(self) -> Gaussians:
        """The densities of what the regressions leave."""
        return Gaussians(np.zeros((len(self), self.n)), self.joint.factors[:, self.q :, self.q :])

    @cached_property
    def slopes(self) -> Float[np.ndarray, "G n q"]:
        """A."""
        inverses = np.linalg.inv(self.contexts.factors)
        return self.joint.factors[:, self.q :, : self.q] @ inverses

    @cached_property
    def offsets(self) -> Float[np.ndarray, "G n"]:
        """m_y - A m_c."""
        shifts = np.einsum("gij,gj->gi", self.slopes, self.contexts.means)
        return self.joint.means[:, self.q :] - shifts

    def gates(self, C: Float[np.ndarray, "N q"]) -> Float[np.ndarray, "N G"]:
        """Return g_k of every component at every context; those of a mixture sum to one."""
        if len(self) == 0:
            return np.zeros((len(C), 0))
        terms = self.contexts.log_density(C) + np.log(self.weights)
        terms -= np.repeat(np.maximum.reduceat(terms, self.starts, axis=1), self.sizes, axis=1)
        gates = np.exp(terms)
        return gates / np.repeat(np.add.reduceat(gates, self.starts, axis=1), self.sizes, axis=1)

    def means(self, C: Float[np.ndarray, "N q"]) -> Float[np.ndarray, "N G n"]:
        """Return what every regression says at every context."""
        return np.tensordot(C, self.slopes, axes=(1, 2)) + self.offsets

    def log_density(
        self, Y: Float[np.ndarray, "N n"], C: Float[np.ndarray, "N q"]
    ) -> Float[np.ndarray, "N G"]:
        """Return log p_k(y | c) of every row under every component."""
        inverses = np.linalg.inv(self.residuals.factors)
        log_dets = np.sum(np.log(np.diagonal(inverses, axis1=1, axis2=2)), axis=1)
        Z = np.einsum("gij,kgj->kgi", inverses, Y[:, None] - self.means(C))
        return log_dets - 0.5 * np.sum(Z * Z, axis=2) - 0.5 * self.n * LOG_2_PI

    def probabilities(
        self, Y: Float[np.ndarray, "N 1"], C: Float[np.ndarray, "N q"]
    ) -> Float[np.ndarray, "N G"]:
        """Return every component's probability of at most y, of one target."""
        return ndtr((Y - self.means(C)[..., 0]) / self.residuals.factors[:, 0, 0])

    def images(
        self,
        Y: Float[np.ndarray, "N n"],
        C: Float[np.ndarray, "N q"],
        which: Int[np.ndarray, " N"],
    ) -> Float[np.ndarray, "N n"]:
        """Return every row's image under the map of its component, a convex function's gradient."""
        return self.residuals.images(Y - self._means_of(C, which), which)

    def preimages(
        self,
        Z: Float[np.ndarray, "N n"],
        C: Float[np.ndarray, "N q"],
        which: Int[np.ndarray, " N"],
    ) -> Float[np.ndarray, "N n"]:
        """Return the targets whose images at C are given."""
        return self.residuals.preimages(Z, which) + self._means_of(C, which)

    def _means_of(
        self, C: Float[np.ndarray, "N q"], which: Int[np.ndarray, " N"]
    ) -> Float[np.ndarray, "N n"]:
        """Return what its own regression says at every context."""
        found = np.empty((len(C), self.n))
        for part in blocks(len(C), self.n * self.q):
            own = which[part]
            found[part] = np.einsum("jik,jk->ji", self.slopes[own], C[part]) + self.offsets[own]
        return found
