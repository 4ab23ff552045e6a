"""The density of all columns of a table."""

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from brenier.estimators.abstract_joint import AbstractJoint
from brenier.estimators.folded import check_plain
from brenier.estimators.normal import (
    check_n_samples,
    found_preimages,
    generator,
    normal_points,
    warn_of_no_image,
)
from brenier.estimators.parameters import CONSTRAINTS
from brenier.estimators.tables import as_asked, column_names
from brenier.flow.evaluation import in_batches, inverse, map_inversions, transform
from brenier.flow.inverse import Inversion
from brenier.flow.pure import AbstractPure
from brenier.status import InversionWarning
from brenier.training.algorithm import Algorithm
from brenier.training.settings import default_settings

_DEFAULT = default_settings()


class ConvexPotentialFlow(AbstractJoint):
    """Density of a table of samples, as the pull-back of a normal by the gradient of a convex map.

    The log-density is that of a standard normal at z = grad Phi(y), y the preprocessed row, plus
    the log-determinants. Phi is an input convex neural network whose last layer is solved for
    exactly at every step of an L-BFGS run over the rest (variable projection). The fit is
    deterministic, and never worse in training likelihood than a Gaussian.

    With `n_maps` > 1 the map is a composition, z = grad Phi_B(... grad Phi_1(y)): invertible, and
    monotone map by map, but no optimal-transport map. It follows thin curved shapes with far fewer
    weights than a single potential.

    Parameters
    ----------
    columns : list of str, optional
        Names of the columns of `X` that are used, or patterns of names: `*` stands for any
        characters, `?` for one. Tables may then have others, of whatever kind, in any order, in
        `fit` and afterwards. None: all columns.
    n_maps : int or "auto", default=1
        Maps that are composed. "auto": two, or three, where they lead one less on held-out rows by
        more than a standard error, or three where the model is an average over several splits;
        `report_.choice` says so. With several, potentials are trained one by one for a few
        iterations and then together, the last one's last layer solved for exactly.
    widths : tuple of int, optional
        Widths of the hidden layers of every potential. None: (16, 16, 16, 16), of several maps
        (16, 16).
    n_radial : int, default=8
        Radial (multiquadric) units beside the network, sqrt(1 + |B x + e|^2) each: round kinks for
        heavy tails, shells and funnels.
    whiten : {"full", "standardize", "none"}
        What is removed from the data first. Only "none" gives the Euclidean optimal-transport map
        in the data's own coordinates; the others give it in whitened ones.
    bounds : mapping or sequence, optional
        Column bounds in data units: `{name_or_index: (low, high)}`, or one pair a column; None
        where there is no bound. Bounded columns go through a logarithm or probit; the density
        outside is zero and samples lie strictly inside.
    periods : mapping, optional
        Periodic columns: `{name_or_index: period}`, of values in [0, period), or `(low, high)`. The
        density is periodic and its integral over one period is one.
    discrete : list, optional
        Columns of whole numbers, by names or indices: the density has the probabilities of their
        values, and `sample` returns whole numbers.
    tau : float, default=1e-5
        Final barrier weight (nats): also a mild prior that keeps the last layer's weights positive.
    decay : float, optional
        Weight decay (nats per squared weight). None: selected on held-out rows, and with it whether
        there are radial units; where none are held out, 1e-3.
    noise : float, optional
        Standard deviation, in those of the data, of the noise on copies of the rows that the
        optimizer sees (noise regularisation); 0 for none. None: chosen from the data, and none
        where their structure is coarse or the rows are many.
    max_iter : int, default=1000
        Most iterations of a run.
    tol : float, default=1e-5
        Gradient (nats) at which a run has converged.
    max_seconds : float, optional
        Time limit of `fit`; the best model so far is kept.
    n_iter_no_change : int, optional
        A run stops once the log-likelihood of held-out rows has not improved for this many
        iterations and a quarter of those done. None: 25, of several maps 50.
    validation_fraction : float, default=0.1
        Share of the rows held out to decide when to stop, chosen by their contents, if no
        `validation_data` is given. Small tables hold out more, up to a quarter. 0: none.
    judge_fraction : float, default=0.05
        Share of the rows set apart to judge the fit: they choose nothing, and what `report_` says
        of the gain is of rows like them. Small tables set apart more, up to a tenth; those worth
        fewer than 300 independent rows, none. 0: none.
    n_init : int, optional
        Initial weights tried for each potential, or composition; the best is kept. None: 1, of
        several maps 3.
    n_estimators : int, optional
        Potentials whose sum is the model's, from different initial weights. The sum of convex
        potentials is one, so the map stays an optimal-transport map. Of at most 2000 rows every one
        holds out others, so that their average has learnt from all; of at most 300 it is the model
        where all rows say that it is better than the Gaussian. Of more rows and with
        `validation_data` all have the same held-out rows: of three or more one then is the
        runner-up of the selection of hyperparameters, and the weights, and that of the Gaussian's
        potential beside them, are the best on these rows; without any they are equal. A single one
        is returned as it was found. None: 4 of at most 2000 rows, 3 of more; of several maps 1,
        since compositions cannot be averaged.
    algorithm : Algorithm, optional
        How the density is trained, if not as users want it: for the thesis's experiments.
    random_state : int, RandomState or None, default=0
        Seed of the initial weights, the split, and of `sample` by default.
    verbose : int, default=0
        1 prints a line a phase; more, also a line every so many iterations of a run. 0 is silent.

    Attributes
    ----------
    flow_ : ConvexFlow
        The fitted flow: pure functions of arrays, with NumPy weights; `flow_.map.potentials` has
        the potentials.
    baseline_ : AbstractGaussian
        The Gaussian fitted to the same training rows, in preprocessed coordinates.
    report_ : FitReport
        Status, certificate, log-likelihoods, history, times.
    n_iter_ : int
        Iterations of the run that was best; 1 where nothing but a Gaussian was fitted.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, if `X` was a table with names.

    Notes
    -----
    `score` is the MEAN log-likelihood per row, as in `GaussianMixture`; `KernelDensity.score` is a
    sum.

    References
    ----------
    .. [1] Y. Chen, "Efficient Training of Input Convex Neural Networks Using Variable Projection",
           Emory University, 2023.
    .. [2] C.-W. Huang, R. T. Q. Chen, C. Tsirigotis, A. Courville, "Convex Potential Flows", 2021,
           arXiv 2012.05942.

    Examples
    --------
    >>> from brenier import ConvexPotentialFlow
    >>> from brenier.data.datasets import MAFMoon
    >>> X = MAFMoon().sample(300, random_state=0)
    >>> flow = ConvexPotentialFlow(widths=(8,), max_iter=20).fit(X)
    >>> flow.score_samples(X).shape
    (300,)
    >>> flow.sample(5, random_state=1).shape
    (5, 2)
    """

    _parameter_constraints = {
        **CONSTRAINTS,
        "n_radial": [Interval(Integral, 0, None, closed="left")],
        "whiten": [StrOptions({"full", "standardize", "none"})],
        "noise": [None, Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        columns=None,
        n_maps=1,
        widths=None,
        n_radial=_DEFAULT.n_radial,
        whiten=_DEFAULT.whiten,
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
        n_init=None,
        n_estimators=None,
        algorithm=None,
        random_state=0,
        verbose=0,
    ):
        self.columns = columns
        self.n_maps = n_maps
        self.widths = widths
        self.n_radial = n_radial
        self.whiten = whiten
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
        self.n_init = n_init
        self.n_estimators = n_estimators
        self.algorithm = algorithm
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def thesis(cls, **changes: Any) -> "ConvexPotentialFlow":
        """Return an estimator of the thesis's exact form, with any settings changed.

        Four hidden layers of 32, softplus, hidden weights through a softplus, no quadratics, raw
        coordinates, no weight decay, no noise, one potential, no judge rows, the barrier method
        inside (thesis 2.2, 3.2, 4.1).

        Parameters
        ----------
        **changes
            Settings of `ConvexPotentialFlow` that shall differ; of the algorithm, give
            `Algorithm.thesis(...)` with changes of its own.
        """
        form = {
            "widths": (32, 32, 32, 32),
            "n_radial": 0,
            "whiten": "none",
            "decay": 0.0,
            "noise": 0.0,
            "n_estimators": 1,
            "judge_fraction": 0.0,
            "algorithm": Algorithm.thesis(),
        }
        return cls(**{**form, **changes})

    @property
    def density_(self) -> AbstractPure:
        """The density in JAX: pure functions of arrays, of one row or many."""
        check_plain(self.folding_, "its density in JAX")
        return self.flow_

    def transform(self, X) -> Float[np.ndarray, "N n"]:
        """Return z, the rows' images under the map: standard normal if the fit is right.

        Where columns are periodic or discrete, a row is one of those that its values stand for,
        drawn by their density with the estimator's own seed.

        Parameters
        ----------
        X : array or table, (N, n)
            Rows in data units.
        """
        check_is_fitted(self)
        rng = generator(None, self.random_state).spawn(1)[0]
        X = self.folding_.drawn(self._density, self._rows(X), rng)
        Z = in_batches(transform, self.flow_, X)
        warn_of_no_image(Z, "rows lie on or beyond their column's bounds", stacklevel=2)
        return Z

    def inverse_transform(self, X) -> Any:
        """Return the rows whose images are given.

        Parameters
        ----------
        X : (N, n)
            Points z of the normal space (named as scikit-learn names it).

        Returns
        -------
        (N, n)
            Rows in data units; NaN, with an `InversionWarning`, where a z has no preimage.
        """
        check_is_fitted(self)
        Z = normal_points(X, self.n_features_in_)
        rows, inversion = self.invert(Z)
        rows = found_preimages(rows, inversion.converged, inversion.residual, stacklevel=2)
        return as_asked(self, rows, column_names(self), X)

    def invert(self, Z) -> tuple[Float[np.ndarray, "N n"], Inversion]:
        """Return the rows whose images are Z, and the certificate of every one.

        Parameters
        ----------
        Z : (N, n)
            Points of the normal space.

        Returns
        -------
        X : (N, n)
            Rows in data units, the best found where `converged` is false.
        inversion : Inversion
            Residuals, error bounds and convergence, in the preprocessed coordinates.
        """
        check_is_fitted(self)
        X, inversion = in_batches(inverse, self.flow_, normal_points(Z, self.n_features_in_))
        return self.folding_.fold(X), inversion

    def map_inversions(self, Z) -> tuple[Inversion, ...]:
        """Return how well every map of a composition was inverted, the one applied first in front.

        Parameters
        ----------
        Z : (N, n)
            Points of the normal space.

        Returns
        -------
        tuple of Inversion
            Each map's preimages, residuals and error bounds, in its own coordinates. `invert` has
            the certificate of the whole.
        """
        check_is_fitted(self)
        return in_batches(map_inversions, self.flow_, normal_points(Z, self.n_features_in_))

    def sample(self, n_samples=1, random_state=None) -> Any:
        """Return new rows drawn from the density.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        random_state : int, RandomState or None
            Seed; None takes the estimator's own, so that the same call gives the same rows.
        """
        check_is_fitted(self)
        check_n_samples(n_samples)
        rng = generator(random_state, self.random_state)
        rows = np.zeros((0, self.n_features_in_))
        drawn = 0
        while len(rows) < n_samples:
            wanted = int(n_samples) - len(rows)
            # In the order in which columns are held, so that theirs makes no difference.
            Z = self.flow_.preprocessing.images(rng.normal(size=(wanted, self.n_features_in_)))
            candidates, inversion = self.invert(Z)
            rows = np.concatenate([rows, candidates[inversion.converged]])
            drawn += wanted
            if drawn > 100 * n_samples:
                raise RuntimeError(
                    "Expected normal points to have preimages; got fewer than 1 in 100. The map's "
                    "image is too small to sample from: fit with quadratic terms."
                )
        if drawn > n_samples:
            warnings.warn(
                f"{drawn - n_samples} of {drawn} normal points had no preimage and were drawn "
                "again. Without quadratic terms the map's image is bounded: fit with them for a "
                "proper density.",
                InversionWarning,
                stacklevel=2,
            )
        return as_asked(self, rows, column_names(self))
