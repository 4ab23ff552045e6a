"""The density of all columns as a mixture: where data come in pieces, or on thin shapes."""

from collections.abc import Callable, Mapping
from dataclasses import astuple, fields
from numbers import Integral, Real
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from brenier.estimators.abstract_joint import AbstractJoint
from brenier.estimators.component import Component
from brenier.estimators.folded import check_plain
from brenier.estimators.normal import (
    check_n_samples,
    checked_labels,
    found_preimages,
    generator,
    normal_points,
    warn_of_no_image,
)
from brenier.estimators.parameters import CONSTRAINTS
from brenier.estimators.tables import as_asked, column_names
from brenier.flow.flow import ConvexFlow
from brenier.flow.gaussians import Gaussians
from brenier.flow.mixture import FlowMixture
from brenier.flow.pure import AbstractPure
from brenier.flow.pure_mixture import PureMixture
from brenier.flow.rebuild import entry, is_conditional, take_flow
from brenier.flow.shelf import NONNEGATIVE, NUMBERS, Shelf, check_triangular, sum_to_one
from brenier.flow.storage import flow_to_arrays
from brenier.training.mixture import MixtureModel, fit_mixture
from brenier.training.report import Certificate
from brenier.training.settings import default_settings

_DEFAULT = default_settings()
# Parameters of a flow that a mixture has not.
NOT_OF_MIXTURES = ("n_maps", "n_init", "algorithm")
# Times that normal points without a preimage are drawn again.
MOST_DRAWS = 100
# What a model file calls the structures of flows besides the one that all models have.
COMPONENTS = "components"


class ConvexPotentialMixture(AbstractJoint):
    """Density of a table of samples that come in pieces, or lie on thin shapes.

    A convex potential flow, and Gaussian mixtures of 1 to 64 components from several starts, pooled
    with the weights that are the best on held-out rows (stacking of densities [1]_). Of few rows a
    column there are mixtures more, whose covariances are drawn towards their mean. Where this
    density has 2 to 8 connected pieces, a mixture with a flow for each of them is pooled too. A
    single flow cannot tear, and puts a bridge between separate pieces; mixtures can, and each errs
    elsewhere. Where the data are smooth and whole, the flow has most of the weight.

    Parameters
    ----------
    columns : list of str, optional
        As of `ConvexPotentialFlow`, like all parameters here.
    widths : tuple of int, optional
        Of the flow's potentials.
    n_radial : int, default=8
        Of the flow's potentials.
    bounds : mapping or sequence, optional
        Column bounds in data units; no component has density outside.
    periods : mapping, optional
        Periodic columns and their periods.
    discrete : list, optional
        Columns of whole numbers.
    tau, decay, noise, max_iter, tol, n_iter_no_change, n_estimators
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
    mixture_ : FlowMixture
        The density.
    weights_ : (K,)
        The components' weights, falling.
    components_ : list of K Component
        The components: each has a map of its own.
    pieces_ : (K,)
        Which connected piece of the density every component belongs to: what `predict` tells.
        Between two pieces the density dips to half of the lower peak or less, and lower where it
        is learnt from few rows. -1 for `flow_`, which may lie over several.
    flow_ : ConvexFlow
        The flow alone.
    baseline_ : AbstractGaussian
        The Gaussian fitted to the same training rows.
    report_ : FitReport
        Of the mixture; iterations, certificate and runs are the flow's.
    n_iter_, n_features_in_, feature_names_in_
        As of `ConvexPotentialFlow`.

    Notes
    -----
    A mixture has no single map. `transform` carries each row by the map of one component, drawn
    from its responsibilities: if the model is right, z is standard normal whichever that was.

    References
    ----------
    .. [1] P. Smyth, D. Wolpert, "Linearly Combining Density Estimators via Stacking", Machine
           Learning 36, 1999.

    Examples
    --------
    >>> from brenier import ConvexPotentialMixture
    >>> from brenier.data.datasets import EightGaussians
    >>> X = EightGaussians().sample(300, random_state=0)
    >>> mixture = ConvexPotentialMixture(widths=(8,), max_iter=20).fit(X)
    >>> mixture.score_samples(X).shape
    (300,)
    >>> rows, labels = mixture.sample(5, return_labels=True)
    >>> rows.shape, labels.shape
    ((5, 2), (5,))
    """

    _parameter_constraints = {
        **{name: CONSTRAINTS[name] for name in CONSTRAINTS if name not in NOT_OF_MIXTURES},
        "n_radial": [Interval(Integral, 0, None, closed="left")],
        "noise": [None, Interval(Real, 0, None, closed="left")],
    }
    # Settings of a flow that a mixture leaves at their defaults.
    n_maps: object = 1
    _goes_on = False
    algorithm = None

    mixture_: FlowMixture

    def __init__(
        self,
        *,
        columns=None,
        widths=None,
        n_radial=_DEFAULT.n_radial,
        bounds=None,
        periods=None,
        discrete=None,
        tau=_DEFAULT.tau,
        decay=None,
        noise=None,
        max_iter=_DEFAULT.max_iter,
        tol=_DEFAULT.tol,
        max_seconds=None,
        n_iter_no_change=None,
        validation_fraction=_DEFAULT.validation_fraction,
        judge_fraction=_DEFAULT.judge_fraction,
        n_estimators=None,
        random_state=0,
        verbose=0,
    ):
        self.columns = columns
        self.widths = widths
        self.n_radial = n_radial
        self.bounds = bounds
        self.periods = periods
        self.discrete = discrete
        self.tau = tau
        self.decay = decay
        self.noise = noise
        self.max_iter = max_iter
        self.tol = tol
        self.max_seconds = max_seconds
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.judge_fraction = judge_fraction
        self.n_estimators = n_estimators
        self.random_state = random_state
        self.verbose = verbose

    @property
    def weights_(self) -> Float[np.ndarray, " K"]:
        """The components' weights, falling."""
        return self.mixture_.weights

    @property
    def pieces_(self) -> Int[np.ndarray, " K"]:
        """Which connected piece of the density every component belongs to; -1 for `flow_`."""
        return self.mixture_.pieces

    @property
    def density_(self) -> AbstractPure:
        """The density in JAX: pure functions of arrays, of one row or many."""
        check_plain(self.folding_, "its density in JAX")
        return PureMixture.of(self.mixture_)

    @property
    def components_(self) -> list[Component]:
        """The components, in the order of their weights."""
        check_plain(self.folding_, "its components")
        return [
            Component(self.mixture_, k, self._certificate(k)) for k in range(len(self.weights_))
        ]

    def _certificate(self, k: int) -> Certificate | None:
        place = self.mixture_.order[k]
        if place >= len(self.mixture_.flows):
            return None
        if self.mixture_.flows[place] is self.flow_:
            return self.report_.certificate
        return self._certificates[place]

    def fit_predict(self, X, y=None, **parameters) -> Int[np.ndarray, " N"]:
        """Fit, and return the connected piece that every row is of; parameters as of `fit`."""
        return self.fit(X, y, **parameters).predict(X)

    def predict_proba(self, X) -> Float[np.ndarray, "N P"]:
        """Return how likely every row is of every connected piece of the density.

        Parameters
        ----------
        X : array or table, (N, n)
            Rows in data units.

        Returns
        -------
        (N, P)
            Summing to one; the heaviest piece comes first. All components but `flow_` decide.
        """
        check_is_fitted(self)
        return self.mixture_.piece_responsibilities(self._plain(X, self.random_state))

    def _plain(self, X: Any, random_state: Any) -> Float[np.ndarray, "N n"]:
        """Return rows of whose density the mixture is: of folded ones some that they stand for."""
        rng = generator(random_state, self.random_state).spawn(2)[1]
        return self.folding_.drawn(self._density, self._rows(X), rng)

    def predict(self, X) -> Int[np.ndarray, " N"]:
        """Return the connected piece that every row is most likely of, the heaviest being 0."""
        return np.argmax(self.predict_proba(X), axis=1)

    def transform(self, X, *, return_labels=False, random_state=None) -> Any:
        """Return z, every row's image under the map of a component drawn for it.

        Parameters
        ----------
        X : array or table, (N, n)
            Rows in data units.
        return_labels : bool, default=False
            Whether to return the components too.
        random_state : int, RandomState or None
            Seed of the draw; None takes the estimator's own.

        Returns
        -------
        Z : (N, n)
            Standard normal if the fit is right, whichever the component.
        labels : (N,)
            The components, if asked for.
        """
        check_is_fitted(self)
        Z, labels = self.carrying(random_state)(X)
        return (Z, labels) if return_labels else Z

    def carrying(self, random_state=None) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
        """Return what maps rows to their images and components, as `transform` does.

        Its draws go on from one call to the next: the pieces of a table are mapped as the whole is.

        Parameters
        ----------
        random_state : int, RandomState or None
            Seed of the draws; None takes the estimator's own.
        """
        # Not the numbers that `sample` with the same seed draws its components by.
        rng = generator(random_state, self.random_state).spawn(1)[0]

        def carried(X) -> tuple[np.ndarray, np.ndarray]:
            X = self._plain(X, random_state)
            labels = self.mixture_.drawn(X, rng)
            Z = self.mixture_.images(X, labels)
            warn_of_no_image(Z, "rows lie on or beyond their column's bounds", stacklevel=3)
            return Z, labels

        return carried

    def inverse_transform(self, X, labels) -> Any:
        """Return the rows that the maps of given components carry to given points.

        Parameters
        ----------
        X : (N, n)
            Points z of the normal space (named as scikit-learn names it).
        labels : (N,)
            Their components, as `transform` returns them.

        Returns
        -------
        (N, n)
            Rows in data units; NaN, with an `InversionWarning`, where a z has no preimage.
        """
        check_is_fitted(self)
        Z = normal_points(X, self.n_features_in_)
        found = self.mixture_.preimages(Z, checked_labels(labels, len(Z), len(self.weights_)))
        rows = self.folding_.fold(found_preimages(*found, stacklevel=2))
        return as_asked(self, rows, column_names(self), X)

    def sample(self, n_samples=1, random_state=None, *, return_labels=False) -> Any:
        """Return new rows drawn from the density.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        random_state : int, RandomState or None
            Seed; None takes the estimator's own, so that the same call gives the same rows.
        return_labels : bool, default=False
            Whether to return the components they were drawn from too.
        """
        check_is_fitted(self)
        check_n_samples(n_samples)
        rng = generator(random_state, self.random_state)
        labels = rng.choice(len(self.weights_), size=int(n_samples), p=self.weights_)
        rows, missing = np.empty((len(labels), self.n_features_in_)), np.ones(len(labels), bool)
        for _ in range(MOST_DRAWS):
            Z = rng.normal(size=(missing.sum(), self.n_features_in_))
            # In the order in which columns are held, so that theirs makes no difference.
            Z = np.asarray(self.mixture_.preprocessing.images(Z))
            rows[missing], converged, _ = self.mixture_.preimages(Z, labels[missing])
            missing[missing] = ~converged
            if not missing.any():
                break
        else:
            raise RuntimeError(
                f"Expected normal points to have preimages; got none for {missing.sum()} of "
                f"{len(missing)} rows in {MOST_DRAWS} draws."
            )
        rows = as_asked(self, self.folding_.fold(rows), column_names(self))
        return (rows, labels) if return_labels else rows

    @property
    def _recipe(self) -> Callable[..., Any]:
        return fit_mixture

    def _keep(self, model: MixtureModel) -> None:
        super()._keep(model)
        self.mixture_ = model.mixture
        self._certificates = model.certificates

    def _plain_images(
        self, X: Float[np.ndarray, "N n"], rng: np.random.Generator
    ) -> Float[np.ndarray, "N n"]:
        return self.mixture_.images(X, self.mixture_.drawn(X, rng))

    def _density(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
        return self.mixture_.log_density(X)

    def _more_to_file(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        mixture = self.mixture_
        # The flow alone comes first, with weight zero where it is left out.
        has_flow = bool(mixture.flows) and mixture.flows[0] is self.flow_
        left_out = [] if has_flow else [0.0]
        arrays = {
            "mixture.weights": np.concatenate([left_out, mixture.raw_weights]),
            "mixture.means": mixture.gaussians.means,
            "mixture.factors": mixture.gaussians.factors,
            "mixture.pieces": mixture.raw_pieces[has_flow:].astype(float),
        }
        structures = []
        for k, flow in enumerate(mixture.flows[has_flow:]):
            own, structure = flow_to_arrays(flow)
            structures.append(structure)
            certificate = self._certificates[has_flow + k]
            if certificate is not None and np.isfinite(astuple(certificate)).all():
                own["certificate"] = np.array(astuple(certificate))
            arrays |= {f"mixture.{k}.{name}": array for name, array in own.items()}
        return {COMPONENTS: structures}, arrays

    def _take_more(self, metadata: Mapping[str, Any], shelf: Shelf) -> None:
        taken = [
            self._taken(shelf.part(f"mixture.{k}."), structure)
            for k, structure in enumerate(entry(metadata, COMPONENTS, list))
        ]
        others, certificates = [flow for flow, _ in taken], [found for _, found in taken]
        K, n, n_flows = shelf.length("mixture.weights"), self.flow_.n, 1 + len(others)
        weights = shelf.take("mixture.weights", K, law=NONNEGATIVE)
        means = shelf.take("mixture.means", K - n_flows, n)
        factors = shelf.take("mixture.factors", K - n_flows, n, n)
        pieces = _pieces(shelf.take("mixture.pieces", K - 1))
        check_triangular(factors, "mixture.factors")
        if not sum_to_one(weights.sum()) or not (weights[1:] > 0).all():
            raise ValueError("Expected positive mixture.weights that sum to one; got others.")
        flows, pieces = (self.flow_, *others), np.concatenate([[-1], pieces])
        # Where the flow is left out it comes first, with weight zero.
        kept = slice(int(weights[0] == 0), None)
        self._certificates = (None, *certificates)[kept]
        self.mixture_ = FlowMixture(
            flows[kept],
            self.flow_.preprocessing,
            Gaussians(means, factors),
            weights[kept],
            pieces[kept],
        )

    def _taken(self, shelf: Shelf, structure: Any) -> tuple[ConvexFlow, Certificate | None]:
        """Return one of the flows in a file, of as many columns as the first; its certificate."""
        if not isinstance(structure, Mapping) or is_conditional(structure):
            raise ValueError(
                f"Expected components that are joint densities; got {structure!r:.80}."
            )
        certificate = None
        if "certificate" in shelf:
            numbers = shelf.take("certificate", len(fields(Certificate)), law=NUMBERS)
            certificate = Certificate(*numbers.tolist())
        flow = take_flow(shelf, structure)
        shelf.end()
        if flow.n != self.flow_.n:
            raise ValueError(f"Expected components of {self.flow_.n} columns; got {flow.n}.")
        return flow, certificate


def _pieces(numbers: Float[np.ndarray, " G"]) -> Int[np.ndarray, " G"]:
    """Return numbers of pieces that a file holds: from 0 on, none left out."""
    found = np.unique(numbers)
    if not np.array_equal(found, np.arange(len(found))):
        raise ValueError(f"Expected mixture.pieces from 0 on, none left out; got {found!r:.80}.")
    return numbers.astype(int)
