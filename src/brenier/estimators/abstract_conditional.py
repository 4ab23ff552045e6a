"""What the estimators of p(y | x) share: settings, the fit, and all that follows from a map."""

import warnings
from numbers import Integral, Real
from typing import Any

import jax
import numpy as np
import scipy.special
from jaxtyping import Float
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from brenier.data.checks import check_scales, constant_columns, raise_if_categorical
from brenier.data.rows import WeightedRows
from brenier.diagnostics.diagnosis import Diagnosis
from brenier.estimators.abstract_density import AbstractDensity
from brenier.estimators.diagnosing import diagnosis_of_conditional
from brenier.estimators.normal import check_n_samples, found_preimages, generator, normal_nodes
from brenier.estimators.observations import Observations
from brenier.estimators.parameters import CONSTRAINTS
from brenier.estimators.tables import checked_rows, column_names
from brenier.estimators.targets import check_same_length, checked_targets
from brenier.flow.column_order import context_scaling
from brenier.flow.evaluation import in_batches, inverse, transform
from brenier.status import InputWarning
from brenier.training.families import goes_through
from brenier.training.settings import Settings, default_settings

_DEFAULT = default_settings(conditional=True)


class AbstractConditional(AbstractDensity):
    """What the estimators of p(y | x) share: settings, the fit, and all that follows from it."""

    _parameter_constraints = {
        **CONSTRAINTS,
        "n_gates": [None, Interval(Integral, 0, None, closed="left")],
        "whiten": [StrOptions({"full", "standardize"})],
    }

    _is_conditional = True

    target_names_: np.ndarray

    def __init__(
        self,
        *,
        columns=None,
        n_maps=1,
        widths=None,
        context_widths=None,
        n_gates=None,
        whiten=_DEFAULT.whiten,
        bounds=None,
        tau=_DEFAULT.tau,
        decay=None,
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
        self.context_widths = context_widths
        self.n_gates = n_gates
        self.whiten = whiten
        self.bounds = bounds
        self.tau = tau
        self.decay = decay
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

    def mean(self, X) -> Float[np.ndarray, "N n"]:
        """Return the conditional mean of the targets at every row of X.

        The mean of the inverse map over fixed points z: of Gauss-Hermite quadrature for one target,
        scrambled Sobol' points of a fixed seed for several. A row's mean depends on nothing but the
        row.

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        """
        return self._mean(self._context(X))

    def quantile(self, X, p) -> np.ndarray:
        """Return conditional quantiles of the one target, exactly.

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        p : float or (k,)
            Probabilities strictly between 0 and 1.

        Returns
        -------
        (N,), or (N, k) for several probabilities
        """
        X = self._context(X)
        self._one_target("quantile")
        p = np.asarray(p, dtype=np.float64)
        if p.ndim > 1 or not np.all((p > 0) & (p < 1)):
            raise ValueError(
                f"Expected probabilities strictly between 0 and 1, one or a list; got {p.tolist()}."
            )
        Y = self._quantiles(X, np.atleast_1d(p))
        return Y if p.ndim else Y[:, 0]

    def interval(self, X, level=0.9) -> Float[np.ndarray, "N 2"]:
        """Return the central interval that holds the one target with probability `level`.

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        level : float, default=0.9
            Probability, between 0 and 1; as much is left below as above.
        """
        if not (isinstance(level, Real) and 0 < level < 1):
            raise ValueError(f"Expected a level strictly between 0 and 1; got {level!r}.")
        return self.quantile(X, [0.5 - 0.5 * float(level), 0.5 + 0.5 * float(level)])

    def cdf(self, X, y) -> Float[np.ndarray, " N"]:
        """Return the conditional probability of at most y, row by row, of the one target.

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        y : array or table, (N,) or (N, 1)
            Targets; 0 or 1 on and beyond their bounds.
        """
        rows = self._pairs(X, y)
        self._one_target("cdf")
        p = self._probabilities(rows)
        bounds = self.flow_.preprocessing.column_bounds
        below, above = rows[:, 0] <= bounds.low[0], rows[:, 0] >= bounds.high[0]
        return np.where(below, 0.0, np.where(above, 1.0, p))

    def diagnose(self, X, y, *, sample_weight=None, train=None, random_state=None) -> Diagnosis:
        """Return whether the density of y given X is good, from rows that it has not seen.

        If it is, the targets' images z are standard normal at every X, and each target is as one of
        the draws at its row. The headline is what the density loses, in nats per row (a lower
        bound, whatever the fault).

        Parameters
        ----------
        X : array or table, (N, q)
            The context of rows that the model was not trained on: of training rows nothing can be
            said.
        y : array or table, (N,) or (N, n)
            Targets in data units.
        sample_weight : (N,), optional
            Weights. Each row is then used with a probability in proportion to its own.
        train : tuple (X, y), optional
            Rows that reference densities are fitted to. None: one half of the rows; they and the
            model beside them are judged on the other.
        random_state : int, RandomState or None
            Seed of draws and simulations; None takes the estimator's own.

        Returns
        -------
        Diagnosis
            `str` of it is a short text, `to_dict` has its numbers, `panels` what pictures need.
        """
        return diagnosis_of_conditional(self, X, y, sample_weight, train, random_state)

    def _images(
        self, rows: Float[np.ndarray, "N d"], rng: np.random.Generator
    ) -> Float[np.ndarray, "N n"]:
        """Return z of checked rows (y, x), what is random in it drawn from `rng`."""
        return in_batches(transform, self.flow_, rows)

    def _observations(self, X, Y, weights, groups) -> Observations:
        """Return rows of a fit, after a check that 64 bits can be computed with them."""
        names = list(self.target_names_)
        check_scales(X, column_names(self))
        check_scales(Y, names)
        return Observations(Y, names, X, weights, groups)

    def _check_distinct(self, rows: WeightedRows, settings: Settings) -> None:
        """Warn of columns of X that say nothing, and of too few rows."""
        n = len(self.target_names_)
        constant = constant_columns(rows.X[:, n:], column_names(self))
        if constant:
            warnings.warn(
                f"Expected columns of X that vary; got constant {constant}: they have no influence "
                "on the model.",
                InputWarning,
                stacklevel=4,
            )
        N, d = rows.X.shape
        if goes_through(N, d):
            warnings.warn(
                f"Expected more distinct rows than columns; got {N} rows with {d} columns, targets "
                "included. The model is a linear regression with shrunk coefficients: give more "
                "rows or fewer columns.",
                InputWarning,
                stacklevel=4,
            )

    def _drawn(self, X, n_samples, random_state) -> Float[np.ndarray, "N k n"]:
        """Return targets drawn at every row of X."""
        X = self._context(X)
        check_n_samples(n_samples)
        rng = generator(random_state, self.random_state)
        return self._random_targets(X, int(n_samples), rng)

    def _random_targets(
        self, X: Float[np.ndarray, "N q"], k: int, rng: np.random.Generator
    ) -> Float[np.ndarray, "N k n"]:
        Z = rng.normal(size=(len(X), k, self.flow_.n))
        return self._preimages(X, self._in_order(Z))

    def _quantiles(
        self, X: Float[np.ndarray, "N q"], p: Float[np.ndarray, " k"]
    ) -> Float[np.ndarray, "N k"]:
        z = scipy.special.ndtri(p)
        return self._preimages(X, np.broadcast_to(z[:, None], (len(X), len(z), 1)))[..., 0]

    def _probabilities(self, rows: Float[np.ndarray, "N d"]) -> Float[np.ndarray, " N"]:
        """Return the probability of at most y, row by row; of any value outside the bounds."""
        return scipy.special.ndtr(in_batches(transform, self.flow_, rows)[:, 0])

    def _mean(self, X: Float[np.ndarray, "N q"]) -> Float[np.ndarray, "N n"]:
        nodes, weights = normal_nodes(self.flow_.n)
        Z = np.broadcast_to(self._in_order(nodes), (len(X), *nodes.shape))
        return np.einsum("k,jkn->jn", weights, self._preimages(X, Z))

    def _in_order(self, Z: Float[np.ndarray, "*k n"]) -> Float[np.ndarray, "*k n"]:
        """Return normal points in the order of the targets, which changes none of their rows."""
        images = self.flow_.preprocessing.images(Z.reshape(-1, self.flow_.n))
        return np.asarray(images).reshape(Z.shape)

    def _preimages(
        self, X: Float[np.ndarray, "N q"], Z: Float[np.ndarray, "N k n"]
    ) -> Float[np.ndarray, "N k n"]:
        """Return the targets whose images at row j are Z[j]; NaN, with a warning, where none is."""
        N, k, n = Z.shape
        rows = np.concatenate([Z.reshape(N * k, n), np.repeat(X, k, axis=0)], axis=1)
        Y, inversion = in_batches(inverse, self.flow_, rows)
        certified = inversion.converged, inversion.residual
        return found_preimages(Y, *certified, stacklevel=3).reshape(N, k, n)

    def _one_target(self, what: str) -> None:
        if self.flow_.n > 1:
            raise ValueError(
                f"Expected one target for {what}; got {self.flow_.n}. Several have no order: take "
                "quantiles of `sample`, or fit a flow to each target."
            )

    def _context(self, X, *, reset: bool = False) -> Float[np.ndarray, "N q"]:
        """Return finite float64 rows of X; `reset` learns its columns rather than compare them."""
        if not reset:
            check_is_fitted(self)
        shape = tuple(getattr(X, "shape", ()))
        if len(shape) == 2 and shape[1] == 0:
            raise ValueError(
                f"Expected at least one column of X; got 0 feature(s) (shape={shape}) while a "
                "minimum of 1 is required. ConvexPotentialFlow fits densities without context."
            )
        rows = checked_rows(
            self, X, reset=reset, least=2 if reset else 1, of_text=raise_if_categorical
        )
        if not reset:
            self._warn_if_far(rows)
        return rows

    def _warn_if_far(self, rows: Float[np.ndarray, "N q"]) -> None:
        scaling: Any = context_scaling(self.flow_.preprocessing)
        with jax.enable_x64(True):
            far = np.flatnonzero(np.asarray(scaling.far(rows)))
        if len(far):
            warnings.warn(
                f"{len(far)} of {len(rows)} rows of X lie far outside the training rows (first: "
                f"row {far[0]}): they are taken for rows at the edge, one range beyond the "
                "training rows, and say little.",
                InputWarning,
                stacklevel=4,
            )

    def _pairs(self, X, Y) -> Float[np.ndarray, "N d"]:
        """Return rows (y, x) of a fitted estimator's data; without y, at the conditional mean."""
        X = self._context(X)
        Y = self._mean(X) if Y is None else checked_targets(self, Y)
        check_same_length(X, Y)
        return np.concatenate([Y, X], axis=1)
