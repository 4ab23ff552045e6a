"""Regression by a network whose last layer is solved for: variable projection of least squares."""

import numpy as np
from jaxtyping import Float
from sklearn.base import RegressorMixin
from sklearn.utils import Tags

from brenier.data.checks import check_scales, check_unmasked
from brenier.estimators.abstract_varpro import AbstractVarPro, checked_training_weights
from brenier.estimators.targets import check_same_length, checked_targets
from brenier.supervised.fit import Fitted
from brenier.supervised.report import SupervisedReport
from brenier.supervised.settings import NUMBERS
from brenier.supervised.task import Regression


class VarProRegressor(RegressorMixin, AbstractVarPro):
    """Regression of one or several targets by small networks, with nothing to tune.

    Each of `n_folds` networks of tanh units holds out another part of the rows and trains on the
    others: the last layer is solved for exactly (least squares with Tikhonov's term, [1]_), L-BFGS
    searches the other weights, and the held-out rows set both penalties and choose the iterate.
    Their mean predicts. Each network contains the linear regression, as far as columns are not cut
    off.

    Parameters
    ----------
    widths : sequence of int, optional
        Units of each hidden layer; None: (16, 16).
    n_folds : int, optional
        Networks, and parts of the rows that are held out in turn; None: 12.
    max_iter : int, optional
        Most iterations of L-BFGS for each network; None: 250.
    max_seconds : float, optional
        Wall time of the fit; None: no limit.
    random_state : int, RandomState or None, default=0
        Seed of initial weights and of which rows are held out together.
    verbose : int, default=0
        1: print the report at the end.

    Attributes
    ----------
    predictor_ : Predictor
        The networks.
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
    .. [1] G. H. Golub, V. Pereyra, "The Differentiation of Pseudo-Inverses and Nonlinear Least
           Squares Problems Whose Variables Separate", SIAM J. Numer. Anal. 10, 1973.
    .. [2] E. Newman, L. Ruthotto, J. Hart, B. van Bloemen Waanders, "Train Like a (Var)Pro:
           Efficient Training of Neural Networks with Variable Projection", 2021, arXiv 2007.13171.

    Examples
    --------
    >>> import numpy as np
    >>> from brenier import VarProRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(200, 2))
    >>> y = np.sin(3 * X[:, 0]) * X[:, 1] + 0.05 * rng.normal(size=200)
    >>> r = VarProRegressor(widths=(8, 8), max_iter=30).fit(X, y)
    >>> bool(r.score(X, y) > 0.95)
    True
    """

    _defaults = NUMBERS
    target_names_: np.ndarray

    def fit(self, X, y, sample_weight=None):
        """Fit the networks.

        Parameters
        ----------
        X : array or table, (N, n)
            Inputs; numbers.
        y : array or table, (N,) or (N, o)
            Targets.
        sample_weight : (N,), optional
            Non-negative weights; an integer weight is the same as that many copies of the row.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the table is no table of finite numbers; the message names rows and columns.
        """
        settings = self._settings()
        if y is None:
            # In the middle are scikit-learn's words, which its checks ask for.
            raise ValueError(
                f"Expected targets y; got None. {type(self).__name__} requires y to be passed, but "
                "the target y is None."
            )
        X, Y = self._inputs(X), checked_targets(self, y, reset=True)
        check_same_length(X, Y)
        check_scales(Y, list(self.target_names_))
        weights = checked_training_weights(sample_weight, X)
        self._one_dimensional = np.asarray(y).ndim == 1
        fitted, seconds = self._trained(X, Y, weights, Regression(), settings)
        self._told(_report(fitted, seconds))
        return self

    def predict(self, X) -> Float[np.ndarray, "N *o"]:
        """Return the predicted targets, (N,) if y was of that shape, (N, o) otherwise.

        Parameters
        ----------
        X : array or table, (N, n)
            Inputs.
        """
        Y = np.mean(self._each(X), axis=0)
        return Y[:, 0] if self._one_dimensional else Y

    def score(self, X, y, sample_weight=None) -> float:
        """Return the coefficient of determination R^2 of `predict`.

        Parameters
        ----------
        X : array or table, (N, n)
            Inputs.
        y : array or table, (N,) or (N, o)
            Targets.
        sample_weight : (N,), optional
            Weights.
        """
        check_unmasked(y, "y")
        return RegressorMixin.score(self, X, y, sample_weight)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _report(fitted: Fitted, seconds: float) -> SupervisedReport:
    """Return the report, errors in the target's units where there is one."""
    scaling = fitted.predictor.targets
    targets = fitted.rows.X[:, -len(scaling.mean) :]
    unit = scaling.deviation if len(scaling.mean) > 1 else 1.0

    def root_mean_square(residuals: Float[np.ndarray, "N o"]) -> float:
        return float(np.sqrt(fitted.rows.mean(np.mean((residuals / unit) ** 2, axis=1))))

    return SupervisedReport(
        loss="root mean squared error",
        heldout_loss=root_mean_square(fitted.heldout - targets),
        trivial_loss=root_mean_square(targets - scaling.mean),
        n_rows=len(targets),
        folds=fitted.folds,
        seconds=seconds,
    )
