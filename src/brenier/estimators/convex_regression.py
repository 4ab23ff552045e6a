"""Regression by a function that is convex, or concave, and monotone where it is asked to be."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Float, Int
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from brenier.data.checks import check_scales, check_unmasked, constant_columns
from brenier.data.names import quoted
from brenier.data.rows import canonical_rows
from brenier.estimators.parameters import check_widths, seed_of
from brenier.estimators.tables import checked_rows, column_names
from brenier.estimators.targets import rows_and_target
from brenier.estimators.weights import checked_weights, training_weights
from brenier.optimizers.early_stopping import Clock
from brenier.status import InputWarning
from brenier.supervised.convex import Shape, fit_convex
from brenier.supervised.convex_settings import ConvexSettings
from brenier.training.signals import held_back

SIGNS: Mapping[str, float] = MappingProxyType({"convex": 1.0, "concave": -1.0})


class ConvexFunctionRegressor(RegressorMixin, BaseEstimator):
    """Least-squares regression by a convex function of the columns.

    The function is convex in X by construction, wherever it is asked, and not only at the rows: a
    sum with non-negative weights of an input convex network's outputs and of quadratics, and an
    affine function. For every set of network weights the sum's own are solved for exactly (variable
    projection). The rows are held out in turn: held-out rows stop each network's training and
    choose the regularisation, and the model is the average of the networks. The fit is
    deterministic; one target.

    Parameters
    ----------
    curvature : {"convex", "concave"}
        What the function is to be.
    monotone : sequence or mapping, optional
        In which columns it is to be monotone: 1 where it increases, -1 where it decreases, 0 where
        it may do either; one number a column, or, for tables, a mapping from names of columns to
        numbers (others may do either). None: in no column.
    columns : list of str, optional
        Names of the columns of `X` that are used, or patterns of names: `*` stands for any
        characters, `?` for one. None: all columns.
    widths : sequence of int, default=(16, 16)
        Widths of the network's layers.
    n_folds : int, default=5
        Networks that are averaged, and parts of the rows that are held out in turn.
    decay : float, optional
        Weight decay and ridge of the last layer's weights, of a target of variance one. None:
        selected on held-out rows.
    max_iter : int, default=200
        Most iterations of a network's training.
    max_seconds : float, optional
        Wall time after which training ends where it is; None: no limit.
    random_state : int, RandomState or None, default=0
        Seed of the initial weights, and of which rows are held out together.

    Attributes
    ----------
    function_ : ConvexFunction
        The fitted function.
    decay_ : float
        The decay that was used.
    heldout_errors_ : dict
        Root mean squared errors on held-out rows by decay, in the target's units. The least of them
        has chosen the decay, and is a little less than the error on new rows for that; the model
        is an average of networks, and a little better than each.
    n_iter_ : int
        Iterations of the networks that are averaged, on the average.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_, target_names_ : ndarray of str
        Column names of X, if it had any, and of y.

    References
    ----------
    .. [1] B. Amos, L. Xu, J. Z. Kolter, "Input Convex Neural Networks", 2016, arXiv 1609.07152.
    .. [2] G. H. Golub, V. Pereyra, "The Differentiation of Pseudo-Inverses and Nonlinear Least
           Squares Problems Whose Variables Separate", SIAM J. Numer. Anal. 10, 1973.

    Examples
    --------
    >>> import numpy as np
    >>> from brenier.estimators.convex_regression import ConvexFunctionRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(200, 2))
    >>> y = np.abs(X[:, 0] + X[:, 1]) + 0.1 * rng.normal(size=200)
    >>> regressor = ConvexFunctionRegressor(widths=(8,), max_iter=20).fit(X, y)
    >>> bool(regressor.score(X, y) > 0.9)
    True
    >>> a, b = rng.normal(scale=100, size=(2, 1000, 2))
    >>> ends = (regressor.predict(a) + regressor.predict(b)) / 2
    >>> bool(np.all(regressor.predict((a + b) / 2) <= ends * (1 + 1e-12)))
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "curvature": [StrOptions(set(SIGNS))],
        "monotone": ["array-like", Mapping, None],
        "columns": [list, tuple, None],
        "decay": [None, Interval(Real, 0, None, closed="neither")],
        "widths": [list, tuple, np.ndarray],
        "n_folds": [Interval(Integral, 2, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "max_seconds": [None, Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    target_names_: np.ndarray

    def __init__(
        self,
        *,
        curvature="convex",
        monotone=None,
        columns=None,
        widths=(16, 16),
        n_folds=5,
        decay=None,
        max_iter=200,
        max_seconds=None,
        random_state=0,
    ):
        self.curvature = curvature
        self.monotone = monotone
        self.columns = columns
        self.widths = widths
        self.n_folds = n_folds
        self.decay = decay
        self.max_iter = max_iter
        self.max_seconds = max_seconds
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        """Fit the convex function of least squares.

        Parameters
        ----------
        X : array or table, (N, n)
            Rows; numbers.
        y : (N,)
            Target.
        sample_weight : (N,), optional
            Non-negative weights; an integer weight is the same as that many copies of the row.

        Returns
        -------
        self
        """
        self._validate_params()
        settings = self._settings()
        rows, target = rows_and_target(self, X, y)
        names = column_names(self)
        check_scales(rows, names)
        check_scales(target, list(self.target_names_))
        self._check_varies(rows)
        weights = training_weights(sample_weight, None, rows)
        shape = Shape(SIGNS[self.curvature], checked_monotone(self.monotone, names))
        seed = seed_of(self.random_state)
        merged = canonical_rows(np.concatenate([rows, target], axis=1), weights, seed)
        clock = Clock(None if self.max_seconds is None else float(self.max_seconds))
        with held_back(), jax.enable_x64(True):
            fit = fit_convex(merged, shape, settings, seed, clock)
        if clock.stop.is_set():
            raise KeyboardInterrupt
        self._tell_of_time(clock)
        deviation = abs(float(fit.function.target[1]))
        self.function_ = fit.function
        self.decay_ = fit.strength
        self.heldout_errors_ = {
            strength: deviation * float(np.sqrt(error)) for strength, error in fit.heldout.items()
        }
        self.n_iter_ = fit.n_iter
        return self

    def predict(self, X) -> Float[np.ndarray, " N"]:
        """Return the function's values.

        Parameters
        ----------
        X : array or table, (N, n)
            Rows.
        """
        check_is_fitted(self)
        return self.function_(checked_rows(self, X))

    def score(self, X, y, sample_weight=None) -> float:
        """Return the coefficient of determination R^2 of `predict`.

        Parameters
        ----------
        X : array or table, (N, n)
            Rows.
        y : (N,)
            Target.
        sample_weight : (N,), optional
            Weights.
        """
        check_unmasked(y, "y")
        weights = checked_weights(sample_weight, np.asarray(y))
        return RegressorMixin.score(self, X, y, weights)

    def _settings(self) -> ConvexSettings:
        """Return all numbers of the fit."""
        check_widths(self.widths)
        settings = replace(
            ConvexSettings(),
            widths=tuple(int(width) for width in self.widths),
            n_folds=int(self.n_folds),
            max_iter=int(self.max_iter),
        )
        return settings if self.decay is None else replace(settings, strengths=(float(self.decay),))

    def _check_varies(self, rows: Float[np.ndarray, "N n"]) -> None:
        constant = constant_columns(rows, column_names(self))
        if constant:
            warnings.warn(
                f"Expected columns of X that vary; got constant {constant}: they have no influence "
                "on the model.",
                InputWarning,
                stacklevel=3,
            )

    def _tell_of_time(self, clock: Clock) -> None:
        if clock.max_seconds is not None and clock.elapsed > clock.max_seconds:
            warnings.warn(
                f"The fit ended at its time limit, max_seconds={clock.max_seconds:g}: raise it.",
                ConvergenceWarning,
                stacklevel=3,
            )


def checked_monotone(monotone: Any, names: Sequence[str]) -> Int[np.ndarray, " n"]:
    """Return 1, -1 or 0 for every column.

    Parameters
    ----------
    monotone : sequence, mapping from names, or None
        As the estimator has it.
    names : sequence of n str
        The columns' names.
    """
    expected = "1 (increasing), -1 (decreasing) or 0 for each column"
    if monotone is None:
        return np.zeros(len(names), dtype=int)
    if isinstance(monotone, Mapping):
        unknown = [name for name in monotone if name not in names]
        if unknown:
            raise ValueError(
                f"Expected monotone with names of columns ({quoted(names)}); got "
                f"{quoted(unknown)}, no name of any."
            )
        found = [monotone.get(name, 0) for name in names]
    else:
        found = list(np.asarray(monotone, dtype=object).ravel())
    if len(found) != len(names):
        raise ValueError(
            f"Expected monotone with {expected} of {len(names)}; got {len(found)} entries."
        )
    wrong = [
        (name, each) for name, each in zip(names, found, strict=True) if each not in (-1, 0, 1)
    ]
    if wrong:
        raise ValueError(
            f"Expected monotone with {expected}; got {wrong[0][1]!r} for column {wrong[0][0]!r}."
        )
    return np.array([int(each) for each in found])
