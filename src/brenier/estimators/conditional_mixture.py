"""The density of targets given a context as a mixture: in pieces, bent, or on thin shapes."""

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

import numpy as np
import scipy.special
from jaxtyping import Float, Int
from scipy.stats import qmc
from sklearn.utils._param_validation import Interval

from brenier.estimators.abstract_conditional_density import AbstractConditionalDensity
from brenier.estimators.files import n_columns
from brenier.estimators.normal import (
    SOBOL_SEED,
    checked_labels,
    found_preimages,
    generator,
    normal_points,
    warn_of_no_image,
)
from brenier.estimators.tables import as_asked
from brenier.estimators.targets import check_same_length
from brenier.flow.conditional_gaussians import ConditionalGaussians
from brenier.flow.conditional_mixture import ConditionalMixture
from brenier.flow.gaussians import Gaussians
from brenier.flow.shelf import COUNTS, NONNEGATIVE, POSITIVE, Shelf, check_triangular, sum_to_one
from brenier.training.conditional_mixture import ConditionalMixtureModel, fit_conditional_mixture

# Sobol' points of a mean over components and their normals, where it has no formula.
N_POINTS = 512


class ConditionalConvexPotentialMixture(AbstractConditionalDensity):
    """Density of targets y given a context X, where it comes in pieces, or is bent and thin.

    The flow of `ConditionalConvexPotentialFlow`, and mixtures of 1 to 64 linear regressions with
    gates, from several starts, pooled with the weights that are the best on held-out rows (stacking
    of densities [1]_): p(y | x) = a_0 p_flow(y | x) + sum_m a_m sum_k g_mk(x) N(y; A_mk x + b_mk,
    S_mk). Every such mixture is a Gaussian mixture of rows (x, y), given x: so its gates g are too
    (localised mixtures of experts [2]_). A map that is monotone in y puts bridges between separate
    pieces; a mixture does not. Where the density is smooth, the flow has most of the weight.

    Parameters
    ----------
    columns, n_maps, widths, context_widths, n_gates, whiten, bounds
        As of `ConditionalConvexPotentialFlow`: those of the flow, or of all components.
    tau, decay, max_iter, tol, n_iter_no_change, n_init, n_estimators, algorithm
        Of the flow.
    max_seconds : float, optional
        Time limit of `fit`; where it leaves no time for the mixtures, the flow is returned alone.
    validation_fraction : float, default=0.1
        Share of the rows held out, which decide the weights too; 0: the flow is returned alone.
    judge_fraction : float, default=0.05
        Share of the rows set apart to judge the fit.
    random_state : int, RandomState or None, default=0
        Seed of initial weights, starts, the split, and of what is drawn by default.
    verbose : int, default=0
        1 prints a line a phase.

    Attributes
    ----------
    mixture_ : ConditionalMixture
        The density.
    flow_ : ConvexFlow
        The flow alone, on rows (y, x).
    baseline_ : AbstractGaussian
        The linear regression with Gaussian noise, in preprocessed coordinates.
    report_ : FitReport
        Of the mixture; iterations, certificate and runs are the flow's.
    n_iter_ : int
        Iterations of the flow's run that was best.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_, target_names_ : ndarray of str
        Column names of X, if it had any, and of y.

    Notes
    -----
    A mixture has no single map. `transform` carries each row by the map of one component, drawn
    from its responsibilities: if the model is right, z is standard normal at every x, whichever
    that was.

    References
    ----------
    .. [1] P. Smyth, D. Wolpert, "Linearly Combining Density Estimators via Stacking", Machine
           Learning 36, 1999.
    .. [2] L. Xu, M. I. Jordan, G. E. Hinton, "An Alternative Model for Mixtures of Experts", NIPS
           1994.

    Examples
    --------
    >>> import numpy as np
    >>> from brenier import ConditionalConvexPotentialMixture
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(200, 1))
    >>> y = rng.choice([-1, 1], size=200) * np.sqrt(X[:, 0]) + 0.05 * rng.normal(size=200)
    >>> small = {"widths": (8,), "context_widths": (8,), "max_iter": 20}
    >>> mixture = ConditionalConvexPotentialMixture(**small).fit(X, y)
    >>> mixture.score_samples(X, y).shape
    (200,)
    >>> mixture.sample(X[:3], 5).shape
    (3, 5, 1)
    >>> mixture.interval(X[:3], 0.9).shape
    (3, 2)
    """

    # Of its flow; held-out rows choose between it and mixtures only.
    _goes_on = False
    _parameter_constraints = {
        **AbstractConditionalDensity._parameter_constraints,
        "n_maps": [Interval(Integral, 1, None, closed="left")],
    }

    mixture_: ConditionalMixture

    def weights(self, X) -> Float[np.ndarray, "N K"]:
        """Return the components' weights at every row of X, summing to one.

        The flow, if it has weight, comes first; then the regressions, one mixture's after the
        other's.

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        """
        return self.mixture_.weights(self._context(X))

    def transform(self, X, y=None, *, return_labels=False, random_state=None) -> Any:
        """Return z, the targets' images at X under the map of a component drawn for every row.

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        y : array or table, (N,) or (N, n), optional
            Targets in data units. None: the conditional means at X, which are also what
            scikit-learn's `fit_transform` maps.
        return_labels : bool, default=False
            Whether to return the components too, as `weights` counts them.
        random_state : int, RandomState or None
            Seed of the draw; None takes the estimator's own.

        Returns
        -------
        Z : (N, n)
            Standard normal at every X if the fit is right, whichever the component.
        labels : (N,)
            The components, if asked for.
        """
        Z, labels = self.carrying(random_state)(X, y)
        return (Z, labels) if return_labels else Z

    def carrying(self, random_state=None) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
        """Return what maps targets to their images and components, as `transform` does.

        Its draws go on from one call to the next: the pieces of a table are mapped as the whole is.

        Parameters
        ----------
        random_state : int, RandomState or None
            Seed of the draws; None takes the estimator's own.
        """
        # Not the numbers that `sample` with the same seed draws its components by.
        rng = generator(random_state, self.random_state).spawn(1)[0]

        def carried(X, y=None) -> tuple[np.ndarray, np.ndarray]:
            rows = self._pairs(X, y)
            labels = self.mixture_.drawn(rows, rng)
            Z = self.mixture_.images(rows, labels)
            warn_of_no_image(Z, "targets lie on or beyond their bounds", stacklevel=3)
            return Z, labels

        return carried

    def inverse_transform(self, X, Z, labels) -> Any:
        """Return the targets that the maps of given components carry to Z at X.

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        Z : (N, n)
            Points of the normal space.
        labels : (N,)
            Their components, as `transform` returns them.
        """
        rows = self._context(X)
        Z = normal_points(Z, self.flow_.n)
        check_same_length(rows, Z, "Z")
        labels = checked_labels(labels, len(Z), self.mixture_.n_components)
        found = self.mixture_.preimages(Z, rows, labels)
        Y = found_preimages(*found, stacklevel=2)
        return as_asked(self, Y, list(self.target_names_), X)

    def _random_targets(
        self, X: Float[np.ndarray, "N q"], k: int, rng: np.random.Generator
    ) -> Float[np.ndarray, "N k n"]:
        labels = self.mixture_.labels(X, rng.random((len(X), k)))
        Z = rng.normal(size=(len(X), k, self.flow_.n))
        return self._of_components(X, labels, self._in_order(Z))

    def _quantiles(
        self, X: Float[np.ndarray, "N q"], p: Float[np.ndarray, " k"]
    ) -> Float[np.ndarray, "N k"]:
        return self.mixture_.quantiles(X, p)

    def _probabilities(self, rows: Float[np.ndarray, "N d"]) -> Float[np.ndarray, " N"]:
        return self.mixture_.probabilities(rows)

    def _mean(self, X: Float[np.ndarray, "N q"]) -> Float[np.ndarray, "N n"]:
        """Return the mean; where preprocessing bends the targets, over Sobol' points."""
        mixture = self.mixture_
        if not len(mixture.gaussians):
            return super()._mean(X)
        if mixture.is_affine:
            means, of_flow = mixture.means_of_gaussians(X), mixture.flow_share
            return means if not of_flow else (1.0 - of_flow) * means + of_flow * super()._mean(X)
        sobol = qmc.Sobol(1 + mixture.n, scramble=True, rng=np.random.default_rng(SOBOL_SEED))
        points = sobol.random(N_POINTS)
        labels = mixture.labels(X, np.tile(points[:, 0], (len(X), 1)))
        nodes = self._in_order(scipy.special.ndtri(points[:, 1:]))
        Z = np.broadcast_to(nodes, (len(X), *nodes.shape))
        return self._of_components(X, labels, Z).mean(axis=1)

    def _of_components(
        self,
        X: Float[np.ndarray, "N q"],
        labels: Int[np.ndarray, "N k"],
        Z: Float[np.ndarray, "N k n"],
    ) -> Float[np.ndarray, "N k n"]:
        """Return the targets that their components carry to Z; NaN, with a warning, where none."""
        points, contexts = Z.reshape(-1, Z.shape[-1]), np.repeat(X, Z.shape[1], axis=0)
        found = self.mixture_.preimages(points, contexts, labels.ravel())
        return found_preimages(*found, stacklevel=3).reshape(Z.shape)

    @property
    def _recipe(self) -> Callable[..., Any]:
        return fit_conditional_mixture

    def _keep(self, model: ConditionalMixtureModel) -> None:
        super()._keep(model)
        self.mixture_ = model.mixture

    def _images(
        self, rows: Float[np.ndarray, "N d"], rng: np.random.Generator
    ) -> Float[np.ndarray, "N n"]:
        return self.mixture_.images(rows, self.mixture_.drawn(rows, rng))

    def _density(self, X: Float[np.ndarray, "N d"]) -> Float[np.ndarray, " N"]:
        return self.mixture_.log_density(X)

    def _more_to_file(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        mixture, gaussians = self.mixture_, self.mixture_.gaussians
        of_flow = [] if mixture.flows else [0.0]
        return {}, {
            "mixture.shares": np.concatenate([of_flow, mixture.shares]),
            "mixture.sizes": gaussians.sizes.astype(float),
            "mixture.weights": gaussians.weights,
            "mixture.means": gaussians.joint.means,
            "mixture.factors": gaussians.joint.factors,
        }

    def _take_more(self, metadata: Mapping[str, Any], shelf: Shelf) -> None:
        flow, n = self.flow_, self.flow_.n
        M, d = shelf.length("mixture.sizes", least=0), n_columns(flow)
        sizes = shelf.take("mixture.sizes", M, law=COUNTS).astype(int)
        shares = shelf.take("mixture.shares", 1 + M, law=NONNEGATIVE)
        G = int(sizes.sum())
        weights = shelf.take("mixture.weights", G, law=POSITIVE)
        means = shelf.take("mixture.means", G, d)
        factors = shelf.take("mixture.factors", G, d, d)
        check_triangular(factors, "mixture.factors")
        gaussians = ConditionalGaussians(Gaussians(means, factors), weights, sizes, n)
        sums = [shares.sum(), *np.add.reduceat(weights, gaussians.starts)] if M else [shares.sum()]
        if not sum_to_one(*sums) or not (shares[1:] > 0).all():
            raise ValueError(
                "Expected positive mixture.shares, and mixture.weights of each mixture, that sum "
                "to one; got others."
            )
        flows, raw = ((flow,), shares) if shares[0] else ((), shares[1:])
        self.mixture_ = ConditionalMixture(flows, flow.preprocessing, gaussians, raw)
