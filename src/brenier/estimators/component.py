"""One component of a mixture: a density with a map of its own."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brenier.flow.flow import ConvexFlow
from brenier.flow.mixture import FlowMixture
from brenier.training.report import Certificate


@dataclass(frozen=True)
class Component:
    """One component of a mixture.

    Attributes
    ----------
    mixture : FlowMixture
        The mixture.
    k : int
        Which of its components, in the order of their weights.
    certificate : Certificate or None
        How near a flow is to satisfying its optimality conditions; None of a Gaussian.
    """

    mixture: FlowMixture
    k: int
    certificate: Certificate | None

    @property
    def weight(self) -> float:
        """Its weight."""
        return float(self.mixture.weights[self.k])

    @property
    def flow(self) -> ConvexFlow | None:
        """The flow that it is; None for a Gaussian."""
        place = self.mixture.order[self.k]
        return self.mixture.flows[place] if place < len(self.mixture.flows) else None

    def score_samples(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
        """Return its log-density of every row (nats)."""
        return self.mixture.log_densities(np.asarray(X, float))[:, self.k]

    def transform(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N n"]:
        """Return the rows' images under its map."""
        X = np.asarray(X, float)
        return self.mixture.images(X, np.full(len(X), self.k))

    def inverse_transform(self, Z: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N n"]:
        """Return the rows whose images are given; NaN where none was found."""
        Z = np.asarray(Z, float)
        X, converged, _ = self.mixture.preimages(Z, np.full(len(Z), self.k))
        return np.where(converged[:, None], X, np.nan)
