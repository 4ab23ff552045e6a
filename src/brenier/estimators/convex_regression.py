"""Regression by a function that is convex, or concave, and monotone where it is asked to be."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Float, Int
from sklearn.base import RegressorMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from brenier.data.checks import check_scales, check_unmasked, raise_if_categorical
from brenier.data.names import quoted
from brenier.data.rows import WeightedRows, canonical_rows
from brenier.estimators.abstract_varpro import AbstractVarPro, checked_training_weights
from brenier.estimators.parameters import seed_of
from brenier.estimators.tables import checked_rows, column_names
from brenier.estimators.targets import rows_and_target
from brenier.estimators.weights import checked_weights
from brenier.optimizers.early_stopping import Clock
from brenier.supervised.convex import ConvexFit, ConvexFunction, Shape, fit_convex
from brenier.supervised.convex_settings import SEARCH, ConvexSettings
from brenier.supervised.report import SupervisedReport
from brenier.training.signals import held_back

SIGNS: Mapping[str, float] = MappingProxyType({"convex": 1.0, "concave": -1.0})


class ConvexFunctionRegressor(RegressorMixin, AbstractVarPro):
    """Least-squares regression by a convex function of the columns.

    The function is convex in X by construction, wherever it is asked, and not only at the rows: a
    sum with non-negative weights of an input convex network's outputs and of quadratics, and an
    affine function. Each of `n_folds` networks holds out another part of the rows and trains on the
    others: the sum's weights are solved for exactly ([2]_), L-BFGS searches the network's, and the
    held-out rows choose the regularisation and the iterate. Their mean predicts. One target.

    Parameters
    ----------
    curvature : {"convex", "concave"}
        What the function is to be.
    monotone : sequence or mapping, optional
        In which columns it is to be monotone: 1 where it increases, -1 where it decreases, 0 where
        it may do either; one number a column, or, for tables, a mapping from names of columns to
        numbers (others may do either). None: in no column.
    widths : sequence of int, optional
        Units of each hidden layer; None: (16, 16).
    n_folds : int, optional
        Networks, and parts of the rows that are held out in turn; None: 8.
    max_iter : int, optional
        Most iterations of L-BFGS for each network; None: 100.
    max_seconds : float, optional
        Wall time of the fit; None: no limit.
    random_state : int, RandomState or None, default=0
        Seed of initial weights and of which rows are held out together.
    verbose : int, default=0
        1: print the report at the end.

    Attributes
    ----------
    function_ : ConvexFunction
        The fitted function.
    report_ : SupervisedReport
        Error on rows held out in turn, what was chosen, how runs ended, seconds.
    n_iter_ : int
        Most iterations of a network.
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
    >>> from brenier import ConvexFunctionRegressor
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

    _parameter_constraints: ClassVar[Mapping[str, list[Any]]] = MappingProxyType(
        {
            **AbstractVarPro._parameter_constraints,
            "curvature": [StrOptions(set(SIGNS))],
            "monotone": ["array-like", Mapping, None],
        }
    )
    _defaults = SEARCH
    function_: ConvexFunction
    target_names_: np.ndarray

    def __init__(
        self,
        *,
        curvature="convex",
        monotone=None,
        widths=None,
        n_folds=None,
        max_iter=None,
        max_seconds=None,
        random_state=0,
        verbose=0,
    ):
        self.curvature = curvature
        self.monotone = monotone
        self.widths = widths
        self.n_folds = n_folds
        self.max_iter = max_iter
        self.max_seconds = max_seconds
        self.random_state = random_state
        self.verbose = verbose

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
        search = self._settings()
        rows, target = rows_and_target(self, X, y)
        check_scales(target, list(self.target_names_))
        self._check_inputs(rows, stacklevel=4)
        weights = checked_training_weights(sample_weight, rows)
        shape = Shape(SIGNS[self.curvature], checked_monotone(self.monotone, column_names(self)))
        seed, clock = seed_of(self.random_state), Clock(search.max_seconds)
        merged = canonical_rows(np.concatenate([rows, target], axis=1), weights, seed)
        with held_back(), jax.enable_x64(True):
            fitted = fit_convex(merged, shape, search, ConvexSettings(), seed=seed, clock=clock)
        self.function_ = fitted.function
        self._told(_report(fitted, merged, clock.elapsed))
        return self

    def predict(self, X) -> Float[np.ndarray, " N"]:
        """Return the function's values.

        Parameters
        ----------
        X : array or table, (N, n)
            Rows.
        """
        check_is_fitted(self)
        return self.function_(checked_rows(self, X, of_text=raise_if_categorical))

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


def _report(fitted: ConvexFit, rows: WeightedRows, seconds: float) -> SupervisedReport:
    """Return the report, errors in the target's units."""

    def root_mean_square(residuals: Float[np.ndarray, " N"]) -> float:
        return float(np.sqrt(rows.mean(residuals**2)))

    y = rows.X[:, -1]
    return SupervisedReport(
        loss="root mean squared error",
        heldout_loss=root_mean_square(fitted.heldout - y),
        trivial_loss=root_mean_square(y - fitted.function.target[0]),
        n_rows=len(y),
        folds=fitted.folds,
        seconds=seconds,
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
