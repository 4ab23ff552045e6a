"""Regression by conditional density: scikit-learn's contract, and the whole distribution."""

import numpy as np
from jaxtyping import Float
from sklearn.base import RegressorMixin

from brenier.data.checks import check_unmasked
from brenier.estimators.abstract_conditional import AbstractConditional
from brenier.estimators.following import Following
from brenier.estimators.parameters import settings_of
from brenier.estimators.targets import rows_and_target
from brenier.estimators.weights import checked_weights, training_weights
from brenier.flow.evaluation import in_batches, log_density
from brenier.training.families import ConditionalFamily


class ConvexPotentialRegressor(RegressorMixin, AbstractConditional):
    """Regression of one target with its whole conditional distribution.

    `predict` is the mean of the density that `ConditionalConvexPotentialFlow` fits, `score` the
    coefficient of determination R^2; `quantile`, `interval`, `cdf`, `sample` and `log_density` tell
    the rest. The settings are those of `ConditionalConvexPotentialFlow`.

    Attributes
    ----------
    flow_ : ConvexFlow
        The fitted flow on rows (y, x).
    report_ : FitReport
        Status, certificate, log-likelihoods, history, times.
    n_iter_ : int
        Iterations of the run that was best.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_, target_names_ : ndarray of str
        Column names of X, if it had any, and of y.

    Examples
    --------
    >>> import numpy as np
    >>> from brenier import ConvexPotentialRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(200, 1))
    >>> y = np.sin(3 * X[:, 0]) + 0.1 * rng.normal(size=200)
    >>> r = ConvexPotentialRegressor(widths=(8,), context_widths=(8,), max_iter=20).fit(X, y)
    >>> bool(r.score(X, y) > 0.9)
    True
    >>> r.interval(X[:3], 0.9).shape
    (3, 2)
    """

    def fit(self, X, y, sample_weight=None, *, log_weights=None, groups=None):
        """Fit the density of y given X.

        Parameters
        ----------
        X : array or table, (N, q)
            The context; numbers.
        y : (N,)
            Targets.
        sample_weight : (N,), optional
            Non-negative weights; an integer weight is the same as that many copies of the row.
        log_weights : (N,), optional
            In place of `sample_weight`: logarithms of weights, up to a constant; minus infinity is
            a weight of zero.
        groups : (N,), optional
            Labels of chains or other groups. Rows of one label are not independent of each other;
            those of a chain come in its order. Contiguous blocks of them are trained on, choose or
            judge as a whole. Without it rows count as independent.

        Returns
        -------
        self
        """
        following = Following.of(None, int(self.verbose))
        self._validate_params()
        settings = settings_of(self, conditional=True)
        rows, Y = rows_and_target(self, X, y)
        weights = training_weights(sample_weight, log_weights, rows)
        observations = self._observations(rows, Y, weights, groups)
        self._fit(observations, None, ConditionalFamily(1), settings, following)
        return self

    def predict(self, X) -> Float[np.ndarray, " N"]:
        """Return the conditional mean of the target at every row of X.

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        """
        return self.mean(X)[:, 0]

    def score(self, X, y, sample_weight=None) -> float:
        """Return the coefficient of determination R^2 of `predict`.

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        y : (N,)
            Targets.
        sample_weight : (N,), optional
            Weights.
        """
        check_unmasked(y, "y")
        weights = checked_weights(sample_weight, np.asarray(y))
        return RegressorMixin.score(self, X, y, weights)

    def sample(self, X, n_samples=1, random_state=None) -> Float[np.ndarray, "N n_samples n"]:
        """Return targets drawn from the density at every row of X.

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        n_samples : int, default=1
            How many for each row.
        random_state : int, RandomState or None
            Seed; None takes the estimator's own, so that the same call gives the same targets.
        """
        return self._drawn(X, n_samples, random_state)

    def log_density(self, X, y) -> Float[np.ndarray, " N"]:
        """Return the log-density of every target given its row of X (nats).

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        y : (N,)
            Targets.
        """
        rows = self._pairs(X, y)
        return in_batches(log_density, self.flow_, rows)
