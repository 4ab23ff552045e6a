r"""A mixture of flows: p(x) = sum_k pi_k p_k(x), each with a map of its own.

Some components are flows; of the others, Gaussians in the coordinates of one preprocessing, there
may be hundreds, and they are worked on together. A mixture has no single map. A row x is carried by
the map of one component, drawn from the responsibilities pi_k p_k(x) / p(x): if the mixture is
right, its image is standard normal, whichever component that was.
"""

from dataclasses import dataclass
from functools import cached_property

import jax
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import logsumexp

from brenier.flow.evaluation import in_batches, inverse, log_density, transform
from brenier.flow.flow import ConvexFlow
from brenier.flow.gaussians import Gaussians, blocks
from brenier.flow.preprocessing import AbstractPreprocessing


@dataclass(frozen=True)
class FlowMixture:
    """Components with weights; components are counted in the order of their weights.

    Attributes
    ----------
    flows : tuple of F ConvexFlow
        Components that are flows, with NumPy arrays.
    preprocessing : AbstractPreprocessing
        What comes before the Gaussians.
    gaussians : Gaussians
        G components in its coordinates.
    raw_weights : (F + G,)
        Those of the flows, then those of the Gaussians, summing to one.
    raw_pieces : (F + G,)
        Which connected piece of the density each is of, the heaviest being 0; -1 where it may lie
        over several.
    """

    flows: tuple[ConvexFlow, ...]
    preprocessing: AbstractPreprocessing
    gaussians: Gaussians
    raw_weights: Float[np.ndarray, " K"]
    raw_pieces: Int[np.ndarray, " K"]

    @property
    def n(self) -> int:
        """Number of columns."""
        return self.preprocessing.n

    @property
    def weights(self) -> Float[np.ndarray, " K"]:
        """The components' weights, falling."""
        return self.raw_weights[self.order]

    @property
    def pieces(self) -> Int[np.ndarray, " K"]:
        """Which connected piece of the density every component is of; -1: it may be of several."""
        return self.raw_pieces[self.order]

    @property
    def n_pieces(self) -> int:
        """How many pieces there are; one where no component is of any."""
        return max(1, int(np.max(self.raw_pieces)) + 1)

    def piece_responsibilities(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N P"]:
        """Return how likely every row is of every piece, by the components that are of one."""
        pieces = self.pieces
        if pieces.max() < 0:
            return np.ones((len(X), 1))
        found = np.empty((len(X), self.n_pieces))
        for part in blocks(len(X), len(pieces)):
            shares = self.responsibilities(X[part], pieces >= 0)
            for p in range(self.n_pieces):
                found[part, p] = shares[:, pieces == p].sum(axis=1)
        return found

    @cached_property
    def order(self) -> Int[np.ndarray, " K"]:
        """Which of the flows, then Gaussians, every component is."""
        return np.argsort(-self.raw_weights, kind="stable")

    def log_densities(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N K"]:
        """Return log p_k of every row under every component."""
        of_flows = [in_batches(log_density, flow, X)[:, None] for flow in self.flows]
        Y, log_det = (np.asarray(part) for part in self.preprocessing.forward(X))
        of_gaussians = self.gaussians.log_density(Y) + log_det[:, None]
        of_gaussians[~np.asarray(self.preprocessing.inside(X))] = -np.inf
        return np.concatenate([*of_flows, of_gaussians], axis=1)[:, self.order]

    def log_density(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
        """Return log p of every row (nats)."""
        found = np.empty(len(X))
        for part in blocks(len(X), len(self.raw_weights)):
            terms = self.log_densities(X[part]) + np.log(self.weights)
            found[part] = logsumexp(terms, axis=1)
        return found

    def responsibilities(
        self, X: Float[np.ndarray, "N n"], counted: Bool[np.ndarray, " K"] | None = None
    ) -> Float[np.ndarray, "N K"]:
        """Return pi_k p_k(x) / p(x), among all components or some; weights where p is zero."""
        counted = np.ones(len(self.order), bool) if counted is None else counted
        weights = np.where(counted, self.weights, 0.0) / np.sum(self.weights[counted])
        terms = np.where(counted, self.log_densities(X) + np.log(self.weights), -np.inf)
        total = np.asarray(logsumexp(terms, axis=1, keepdims=True))
        shares = np.exp(terms - np.where(np.isfinite(total), total, 0.0))
        return np.where(np.isfinite(total), shares, weights)

    def images(
        self, X: Float[np.ndarray, "N n"], labels: Int[np.ndarray, " N"]
    ) -> Float[np.ndarray, "N n"]:
        """Return every row's image under the map of its component."""
        places, Z = self.order[labels], np.empty((len(X), self.n))
        for k in np.unique(places[places < len(self.flows)]):
            Z[places == k] = in_batches(transform, self.flows[k], X[places == k])
        others = places >= len(self.flows)
        Y = np.asarray(self.preprocessing.forward(X[others])[0])
        Z[others] = self.gaussians.images(Y, places[others] - len(self.flows))
        Z[others] = np.asarray(self.preprocessing.images(Z[others]))
        Z[~np.asarray(self.preprocessing.inside(X))] = np.nan
        return Z

    def preimages(
        self, Z: Float[np.ndarray, "N n"], labels: Int[np.ndarray, " N"]
    ) -> tuple[Float[np.ndarray, "N n"], Bool[np.ndarray, " N"], Float[np.ndarray, " N"]]:
        """Return the rows that the maps of their components carry to Z, if found, and residuals.

        Those of Gaussians are always found.
        """
        places, X = self.order[labels], np.empty((len(Z), self.n))
        converged, residual = np.ones(len(Z), bool), np.zeros(len(Z))
        for k in np.unique(places[places < len(self.flows)]):
            own = places == k
            X[own], inversion = in_batches(inverse, self.flows[k], Z[own])
            converged[own], residual[own] = inversion.converged, inversion.residual
        others = places >= len(self.flows)
        images = np.asarray(self.preprocessing.of_images(Z[others]))
        Y = self.gaussians.preimages(images, places[others] - len(self.flows))
        with jax.enable_x64(True):
            X[others] = np.asarray(self.preprocessing.inverse(Y))
        return X, converged, residual

    def drawn(self, X: Float[np.ndarray, "N n"], rng: np.random.Generator) -> Int[np.ndarray, " N"]:
        """Return a component for every row, drawn from its responsibilities."""
        below = np.cumsum(self.responsibilities(X), axis=1)
        return np.sum(rng.random((len(X), 1)) * below[:, -1:] > below, axis=1)
