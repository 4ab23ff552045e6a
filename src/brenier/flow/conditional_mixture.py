r"""A mixture of densities given a context: p(y | x) = a_0 p_0(y | x) + sum_m a_m p_m(y | x).

p_0 is a flow, every p_m a mixture of linear regressions with gates
(`brenier.flow.conditional_gaussians`), in the coordinates of the flow's preprocessing. Written out
it is one mixture, whose weights depend on x. It has no single map: a row is carried by the map of
one component, drawn from the responsibilities; if the mixture is right, its image is standard
normal at every x, whichever component that was.
"""

from dataclasses import dataclass
from functools import cached_property

import jax
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize.elementwise import find_root
from scipy.special import logsumexp, ndtr, ndtri

from brenier.arrays import padded_length
from brenier.flow.column_order import own_columns
from brenier.flow.conditional_gaussians import ConditionalGaussians
from brenier.flow.evaluation import in_batches, inverse, log_density, transform
from brenier.flow.flow import ConvexFlow
from brenier.flow.gaussians import blocks
from brenier.flow.preprocessing import AbstractPreprocessing

# Weight of components that a quantile can do without, relative to its probability.
NEGLIGIBLE = 1e-9


@dataclass(frozen=True)
class ConditionalMixture:
    """Components whose weights depend on the context; the flow, if there is one, comes first.

    Attributes
    ----------
    flows : tuple of F ConvexFlow
        One flow on rows (y, x), with NumPy arrays, or none.
    preprocessing : AbstractPreprocessing
        What comes before the Gaussians.
    gaussians : ConditionalGaussians
        G components of M mixtures, in its coordinates.
    shares : (P,)
        How much there is of the F flows, and of the M mixtures, P = F + M; summing to one.
    """

    flows: tuple[ConvexFlow, ...]
    preprocessing: AbstractPreprocessing
    gaussians: ConditionalGaussians
    shares: Float[np.ndarray, " P"]

    @property
    def n(self) -> int:
        """Number of targets."""
        return self.preprocessing.n

    @property
    def n_components(self) -> int:
        """K, the number of components."""
        return len(self.flows) + len(self.gaussians)

    @property
    def flow_share(self) -> float:
        """How much of the flow there is."""
        return float(np.sum(self.shares[: len(self.flows)]))

    @cached_property
    def is_affine(self) -> bool:
        """Whether preprocessing is an affine map of the targets."""
        own, _ = own_columns(self.preprocessing)
        return own.far is None and bool(np.all(np.isinf([own.bounds.low, own.bounds.high])))

    def weights(self, X: Float[np.ndarray, "N q"]) -> Float[np.ndarray, "N K"]:
        """Return the components' weights at every context, summing to one."""
        return self._weights(np.asarray(self.preprocessing.context(X)))

    def log_density(self, rows: Float[np.ndarray, "N d"]) -> Float[np.ndarray, " N"]:
        """Return log p(y | x) of every row (nats)."""
        found = np.empty(len(rows))
        for part in self._blocks(len(rows)):
            found[part] = logsumexp(self._terms(rows[part]), axis=1)
        return found

    def responsibilities(self, rows: Float[np.ndarray, "N d"]) -> Float[np.ndarray, "N K"]:
        """Return how likely every row is of every component; weights where p is zero."""
        terms = self._terms(rows)
        total = np.asarray(logsumexp(terms, axis=1, keepdims=True))
        shares = np.exp(terms - np.where(np.isfinite(total), total, 0.0))
        return np.where(np.isfinite(total), shares, self.weights(rows[:, self.n :]))

    def drawn(
        self, rows: Float[np.ndarray, "N d"], rng: np.random.Generator
    ) -> Int[np.ndarray, " N"]:
        """Return a component for every row, drawn from its responsibilities."""
        u, labels = rng.random(len(rows)), np.empty(len(rows), int)
        for part in self._blocks(len(rows)):
            labels[part] = _places(self.responsibilities(rows[part]), u[part, None])[:, 0]
        return labels

    def labels(
        self, X: Float[np.ndarray, "N q"], u: Float[np.ndarray, "N k"]
    ) -> Int[np.ndarray, "N k"]:
        """Return k components for every context, as points u of the unit interval draw them."""
        labels = np.empty(u.shape, int)
        for part in self._blocks(len(X)):
            labels[part] = _places(self.weights(X[part]), u[part])
        return labels

    def images(
        self, rows: Float[np.ndarray, "N d"], labels: Int[np.ndarray, " N"]
    ) -> Float[np.ndarray, "N n"]:
        """Return every row's image under the map of its component."""
        Z, F = np.empty((len(rows), self.n)), len(self.flows)
        for k, flow in enumerate(self.flows):
            Z[labels == k] = in_batches(transform, flow, rows[labels == k])
        others = labels >= F
        parts = self._preprocessed(rows[others])[:2]
        Z[others] = np.asarray(
            self.preprocessing.images(self.gaussians.images(*parts, labels[others] - F))
        )
        Z[~np.asarray(self.preprocessing.inside(rows))] = np.nan
        return Z

    def preimages(
        self,
        Z: Float[np.ndarray, "N n"],
        X: Float[np.ndarray, "N q"],
        labels: Int[np.ndarray, " N"],
    ) -> tuple[Float[np.ndarray, "N n"], Bool[np.ndarray, " N"], Float[np.ndarray, " N"]]:
        """Return the targets that their components carry to Z at X, if found, and residuals.

        Those of Gaussians are always found.
        """
        Y, F = np.empty((len(Z), self.n)), len(self.flows)
        converged, residual = np.ones(len(Z), bool), np.zeros(len(Z))
        for k, flow in enumerate(self.flows):
            own = labels == k
            Y[own], inversion = in_batches(inverse, flow, np.concatenate([Z[own], X[own]], axis=1))
            converged[own], residual[own] = inversion.converged, inversion.residual
        others = labels >= F
        C = np.asarray(self.preprocessing.context(X[others]))
        images = np.asarray(self.preprocessing.of_images(Z[others]))
        found = self.gaussians.preimages(images, C, labels[others] - F)
        Y[others] = self._in_data_units(found, C)
        return Y, converged, residual

    def means_of_gaussians(self, X: Float[np.ndarray, "N q"]) -> Float[np.ndarray, "N n"]:
        """Return the mean of all components but the flow; preprocessing must be affine."""
        C, F = np.asarray(self.preprocessing.context(X)), len(self.flows)
        means = np.empty((len(X), self.n))
        for part in self._blocks(len(X)):
            own = self._weights(C[part])[:, F:]
            own /= own.sum(axis=1, keepdims=True)
            means[part] = np.einsum("jk,jki->ji", own, self.gaussians.means(C[part]))
        return self._in_data_units(means, C)

    def probabilities(self, rows: Float[np.ndarray, "N d"]) -> Float[np.ndarray, " N"]:
        """Return the probability of at most y at x, of one target; NaN outside the bounds."""
        found = np.empty(len(rows))
        for part in self._blocks(len(rows)):
            Y, C, _ = self._preprocessed(rows[part])
            of_flows = [ndtr(in_batches(transform, flow, rows[part])) for flow in self.flows]
            of_gaussians = self.gaussians.probabilities(Y, C)
            parts = np.concatenate([*of_flows, of_gaussians], axis=1)
            found[part] = np.sum(self._weights(C) * parts, axis=1)
        return found

    def quantiles(
        self, X: Float[np.ndarray, "N q"], p: Float[np.ndarray, " k"]
    ) -> Float[np.ndarray, "N k"]:
        """Return quantiles of the one target at every context.

        A quantile of the mixture lies between the least and the largest of the components': there
        a root is sought by Chandrupatla's method, in the coordinates of the Gaussians.
        """
        found = np.empty((len(X), len(p)))
        for part in blocks(len(X), self.n_components * len(p)):
            found[part] = self._quantiles(X[part], p)
        return found

    def _quantiles(
        self, X: Float[np.ndarray, "N q"], p: Float[np.ndarray, " k"]
    ) -> Float[np.ndarray, "N k"]:
        """Return quantiles at contexts of which all components fit into memory."""
        C, F, z = np.asarray(self.preprocessing.context(X)), len(self.flows), ndtri(p)
        of_flows, weights = np.split(self._weights(C), [F], axis=1)
        most = _heaviest(weights, NEGLIGIBLE * np.min(np.minimum(p, 1.0 - p)))
        weights = np.take_along_axis(weights, most, axis=1)
        total = np.sum(of_flows, axis=1, keepdims=True) + np.sum(weights, axis=1, keepdims=True)
        of_flows, weights = of_flows / total, weights / total
        means = np.take_along_axis(self.gaussians.means(C)[..., 0], most, axis=1)
        sd = self.gaussians.residuals.factors[most, 0, 0]

        def excess(y: np.ndarray, j: np.ndarray, p: np.ndarray) -> np.ndarray:
            below = ndtr((y[:, None] - means[j]) / sd[j])
            found = np.einsum("jk,jk->j", weights[j], below) - p
            for k, flow in enumerate(self.flows):
                rows = np.concatenate([self._in_data_units(y[:, None], C[j]), X[j]], axis=1)
                images = in_batches(transform, flow, rows)[:, 0]
                # What rounding has carried onto a bound has no image: all is below it, or nothing.
                images = np.where(np.isnan(images), np.copysign(np.inf, y), images)
                found += of_flows[j, k] * ndtr(images)
            return found

        j, ps, zs = np.repeat(np.arange(len(X)), len(p)), np.tile(p, len(X)), np.tile(z, len(X))
        quantiles = np.concatenate(
            [
                *(self._of_flow(flow, X[j], zs) for flow in self.flows),
                means[j] + zs[:, None] * sd[j],
            ],
            axis=1,
        )
        # A flow's may be beyond what its bounds' maps have numbers for.
        quantiles = np.where(np.isfinite(quantiles), quantiles, np.nan)
        low, high = np.nanmin(quantiles, axis=1), np.nanmax(quantiles, axis=1)
        little = np.sqrt(np.finfo(float).eps) * (1.0 + np.abs(low) + np.abs(high))
        low, high = low - little, high + little
        found = find_root(excess, (low, high), args=(j, ps))
        # Where there is none, rounding has carried all that is left of the flow onto a bound.
        ends = np.where(excess(high, j, ps) < 0.0, high, low)
        roots = np.where(found.success, found.x, ends)
        return self._in_data_units(roots[:, None], C[j]).reshape(len(X), len(p))

    def _of_flow(
        self, flow: ConvexFlow, X: Float[np.ndarray, "N q"], z: Float[np.ndarray, " N"]
    ) -> Float[np.ndarray, "N 1"]:
        """Return what a flow carries to z at every context, in the Gaussians' coordinates."""
        Y, _ = in_batches(inverse, flow, np.concatenate([z[:, None], X], axis=1))
        return self._preprocessed(np.concatenate([Y, X], axis=1))[0]

    def _terms(self, rows: Float[np.ndarray, "N d"]) -> Float[np.ndarray, "N K"]:
        """Return the logarithm of every component's weight and density."""
        of_flows = [in_batches(log_density, flow, rows)[:, None] for flow in self.flows]
        Y, C, log_det = self._preprocessed(rows)
        of_gaussians = self.gaussians.log_density(Y, C) + log_det[:, None]
        of_gaussians[~np.asarray(self.preprocessing.inside(rows))] = -np.inf
        with np.errstate(divide="ignore"):
            log_weights = np.log(self._weights(C))
        return np.concatenate([*of_flows, of_gaussians], axis=1) + log_weights

    def _weights(self, C: Float[np.ndarray, "N q"]) -> Float[np.ndarray, "N K"]:
        """Return the components' weights at preprocessed contexts."""
        F = len(self.flows)
        of_flows = np.tile(self.shares[:F], (len(C), 1))
        of_mixtures = np.repeat(self.shares[F:], self.gaussians.sizes)
        return np.concatenate([of_flows, of_mixtures * self.gaussians.gates(C)], axis=1)

    def _preprocessed(
        self, rows: Float[np.ndarray, "N d"]
    ) -> tuple[Float[np.ndarray, "N n"], Float[np.ndarray, "N q"], Float[np.ndarray, " N"]]:
        """Return preprocessed targets and context, and log |det| of the targets' map."""
        forward, log_det = (np.asarray(part) for part in self.preprocessing.forward(rows))
        return forward[:, : self.n], forward[:, self.n :], log_det

    def _in_data_units(
        self, Y: Float[np.ndarray, "N n"], C: Float[np.ndarray, "N q"]
    ) -> Float[np.ndarray, "N n"]:
        """Return targets at their contexts in data units, by a program of a standard length."""
        padded = np.zeros((padded_length(len(Y)), self.n + C.shape[1]))
        padded[: len(Y)] = np.concatenate([Y, C], axis=1)
        with jax.enable_x64(True):
            return np.asarray(self.preprocessing.inverse(padded))[: len(Y)]

    def _blocks(self, N: int) -> list[slice]:
        """Return rows in blocks, on which all components together fit into memory."""
        columns = self.gaussians.joint.means.shape[1]
        return blocks(N, self.n_components * columns)


def _heaviest(weights: Float[np.ndarray, "N G"], least: float) -> Int[np.ndarray, "N g"]:
    """Return as many components of every row, by weight, as leave less than so much to others."""
    order = np.argsort(-weights, axis=1)
    left = np.cumsum(np.take_along_axis(weights, order, axis=1)[:, ::-1], axis=1)[:, ::-1]
    return order[:, : int(np.max(np.sum(left > least, axis=1), initial=0))]


def _places(weights: Float[np.ndarray, "N K"], u: Float[np.ndarray, "N k"]) -> np.ndarray:
    """Return which component every point of the unit interval falls to, (N, k)."""
    below = np.cumsum(weights, axis=1)
    pairs = zip(below, u * below[:, -1:], strict=True)
    places = [np.searchsorted(edges, points, side="right") for edges, points in pairs]
    return np.minimum(np.array(places, int).reshape(u.shape), weights.shape[1] - 1)
