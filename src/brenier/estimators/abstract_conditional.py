"""What the estimators of p(y | x) share: settings, the fit, and all that follows from a map."""

import warnings
from numbers import Integral, Real
from os import PathLike
from typing import Any

import jax
import numpy as np
import scipy.special
from jaxtyping import Float
from scipy.stats import qmc
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from brenier.data.bounds import check_inside, column_bounds
from brenier.data.checks import (
    check_columns,
    check_finite,
    check_scales,
    check_unmasked,
    constant_columns,
    raise_if_categorical,
    raise_if_text,
)
from brenier.data.dependence import check_independent_beyond_rounding
from brenier.data.names import default_names, quoted
from brenier.data.rows import WeightedRows, canonical_rows
from brenier.data.tables import check_kinds, columns_of, frame_of, names_of, numbers
from brenier.estimators.common import (
    CONSTRAINTS,
    Following,
    chain_blocks,
    check_n_samples,
    check_widths,
    column_names,
    discrete_columns,
    effective_rows,
    end_fit,
    generator,
    inversion_message,
    seed_of,
    settings_of,
    told_of_far_rows,
    warn_of_chains,
    warn_of_few_effective_rows,
)
from brenier.estimators.files import save_estimator
from brenier.estimators.tables import checked_rows
from brenier.flow.column_order import context_scaling
from brenier.flow.evaluation import in_batches, inverse, transform
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import ColumnBounds
from brenier.potential.gaussian import AbstractGaussian
from brenier.status import InputWarning, InversionWarning
from brenier.training.families import ConditionalFamily
from brenier.training.fit import fit
from brenier.training.report import FitReport
from brenier.training.settings import default_settings
from brenier.training.signals import held_back

_DEFAULT = default_settings(conditional=True)

# Nodes of z for conditional means: of Gauss-Hermite quadrature, and Sobol' points.
N_HERMITE, N_SOBOL = 32, 256
SOBOL_SEED = 0


class AbstractConditional(BaseEstimator):
    """What the estimators of p(y | x) share: settings, the fit, and all that follows from it."""

    _parameter_constraints = {
        **CONSTRAINTS,
        "n_gates": [None, Interval(Integral, 0, None, closed="left")],
        "whiten": [StrOptions({"full", "standardize"})],
    }

    # Set by scikit-learn's `validate_data`.
    n_features_in_: int
    feature_names_in_: np.ndarray
    flow_: ConvexFlow
    baseline_: AbstractGaussian
    report_: FitReport
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
        """Return conditional quantiles of the one target, exactly: images of normal quantiles.

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
        z = scipy.special.ndtri(np.atleast_1d(p))
        Z = np.broadcast_to(z[:, None], (len(X), len(z), 1))
        Y = self._preimages(X, Z)[..., 0]
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
        p = scipy.special.ndtr(in_batches(transform, self.flow_, rows)[:, 0])
        bounds = self.flow_.preprocessing.column_bounds
        below, above = rows[:, 0] <= bounds.low[0], rows[:, 0] >= bounds.high[0]
        return np.where(below, 0.0, np.where(above, 1.0, p))

    def save(self, path: str | PathLike, *, probes: bool = True) -> None:
        """Write the fitted estimator to one safetensors file, atomically.

        Parameters
        ----------
        path : str or path
            Where to; an existing file is replaced only once the new one is complete.
        probes : bool, default=True
            Whether log-densities of three points are stored with the model, which a load compares
            with its own. To compute them may take some seconds of compiling.

        Raises
        ------
        OSError
            If it cannot be written; what was there before is untouched.
        """
        check_is_fitted(self)
        save_estimator(self, path, with_probes=probes)

    def _fit(self, X, Y, weights, groups, validation, following: Following) -> None:
        """Fit to checked rows (N, q) and targets (N, n), and set the fitted attributes.

        `weights` are checked, or None. `validation` is None, or checked rows, targets, and weights
        or None.
        """
        check_widths(self.widths)
        check_widths(self.context_widths, "context_widths")
        settings = settings_of(self, conditional=True)
        names, n, seed = list(self.target_names_), Y.shape[1], seed_of(self.random_state)
        check_scales(X, column_names(self))
        check_scales(Y, names)
        with held_back(), jax.enable_x64(True):
            bounds = column_bounds(self.bounds, names)
            check_inside(Y, bounds, names, "training data")
            pairs = np.concatenate([Y, X], axis=1)
            rows = canonical_rows(pairs, weights, seed, chain_blocks(groups, pairs))
            check_columns(ColumnBounds(*bounds).columns(rows.X[:, :n]), names)
            check_independent_beyond_rounding(rows.X[:, :n], names)
            self._warn_of_rows(rows, n)
            if groups is None:
                warn_of_chains(Y, names, context=X, stacklevel=3)
            effective = effective_rows(weights, rows)
            warn_of_few_effective_rows(effective, len(X), stacklevel=3)
            discrete = discrete_columns(Y, weights, rows, names, stacklevel=3)
            heldout = None
            if validation is not None:
                X_held, Y_held, held_weights = validation
                check_inside(Y_held, bounds, names, "validation_data")
                held = np.concatenate([Y_held, X_held], axis=1)
                heldout = canonical_rows(held, held_weights, seed)
            model = fit(
                rows,
                heldout,
                ConditionalFamily(n),
                settings,
                bounds=bounds,
                seed=seed,
                discrete=discrete,
                callback=following.callback,
                listener=following.listener,
                began=following.began,
            )
            self.flow_, self.baseline_ = model.flow, model.gaussian
            self.report_ = told_of_far_rows(
                model.report, Y, model.flow.preprocessing, names, settings, stacklevel=3
            )
            self.n_iter_ = max(1, self.report_.n_iter)
            end_fit(self.report_, stacklevel=3)

    def _warn_of_rows(self, rows: WeightedRows, n: int) -> None:
        """Warn of columns of X that say nothing, and of too few rows."""
        constant = constant_columns(rows.X[:, n:], column_names(self))
        if constant:
            warnings.warn(
                f"Expected columns of X that vary; got constant {constant}: they have no influence "
                "on the model.",
                InputWarning,
                stacklevel=4,
            )
        N, d = rows.X.shape
        if N <= ConditionalFamily(n).n_least(d):
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
        Z = rng.normal(size=(len(X), int(n_samples), self.flow_.n))
        return self._preimages(X, self._in_order(Z))

    def _mean(self, X: Float[np.ndarray, "N q"]) -> Float[np.ndarray, "N n"]:
        nodes, weights = _normal_nodes(self.flow_.n)
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
        failed = np.flatnonzero(~inversion.converged)
        if len(failed):
            Y[failed] = np.nan
            warnings.warn(inversion_message(inversion, failed), InversionWarning, stacklevel=3)
        return Y.reshape(N, k, n)

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

    def _targets(self, Y, *, reset: bool = False) -> Float[np.ndarray, "N n"]:
        """Return finite float64 targets; `reset` learns their columns."""
        names = names_of(Y)
        check_unmasked(Y, "y", None if reset else list(self.target_names_))
        self._check_target_names(Y, reset=reset)
        columns = columns_of(Y)
        called = names or _target_names(len(columns or ()))
        check_kinds(columns or (), called)
        try:
            values: Any = np.asarray(Y, np.float64) if columns is None else numbers(columns, called)
        except (TypeError, ValueError) as error:
            cells = np.asarray(Y, dtype=object)
            cells = cells[:, None] if cells.ndim == 1 else cells
            raise_if_text(cells, ValueError(str(error)), names or _target_names(cells.shape[-1]))
            raise
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or not values.shape[1]:
            raise ValueError(f"Expected y of shape (N,) or (N, n); got {np.shape(Y)}.")
        if reset:
            default = _target_names(values.shape[1])
            self.target_names_ = np.array(names or default, dtype=object)
        elif values.shape[1] != len(self.target_names_):
            raise ValueError(
                f"Expected y with {len(self.target_names_)} column(s), as in fit; got "
                f"{values.shape[1]}."
            )
        check_finite(values, list(self.target_names_))
        return values

    def _check_target_names(self, Y, *, reset: bool) -> None:
        """Raise `ValueError` where a table of several targets has not those of the fit."""
        frame, names = frame_of(Y), list(getattr(self, "target_names_", ()))
        if reset or frame is None or frame.names == names or len(names) < 2:
            return
        # Where the fit had no names, any do but those that it gave in another order.
        unnamed = names == _target_names(len(names)) and set(frame.names) != set(names)
        if len(frame.names) == len(names) and not unnamed:
            raise ValueError(
                f"Expected y with the columns {quoted(names)} in this order, as in fit; got "
                f"{quoted(frame.names)}. Choose them by name."
            )

    def _pairs(self, X, Y) -> Float[np.ndarray, "N d"]:
        """Return rows (y, x) of a fitted estimator's data; without y, at the conditional mean."""
        X = self._context(X)
        Y = self._mean(X) if Y is None else self._targets(Y)
        check_same_length(X, Y)
        return np.concatenate([Y, X], axis=1)


def check_same_length(X: np.ndarray, Y: np.ndarray, name: str = "y") -> None:
    """Raise `ValueError` where two tables do not have the same number of rows."""
    if len(X) != len(Y):
        raise ValueError(
            f"Expected as many rows of {name} as of X; got {len(X)} rows of X and {len(Y)} of "
            f"{name}. Give each row of X its row of {name}."
        )


def _target_names(n: int) -> list[str]:
    return ["y"] if n == 1 else default_names(n, "y")


def _normal_nodes(n: int) -> tuple[Float[np.ndarray, "k n"], Float[np.ndarray, " k"]]:
    """Return points and weights of a mean over the standard normal in n dimensions."""
    if n == 1:
        nodes, weights = np.polynomial.hermite_e.hermegauss(N_HERMITE)
        return nodes[:, None], weights / weights.sum()
    points = qmc.Sobol(n, scramble=True, rng=np.random.default_rng(SOBOL_SEED)).random(N_SOBOL)
    return scipy.special.ndtri(points), np.full(N_SOBOL, 1.0 / N_SOBOL)
