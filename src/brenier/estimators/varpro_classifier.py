"""Classification by a network whose last layer is solved for: variable projection of log loss.

It is not among the public names yet: a network of scikit-learn that is chosen among many still has
the lower log loss on two of three tables (docs/benchmarks.md).
"""

import numpy as np
import scipy.special
from jaxtyping import Float
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from brenier.data.checks import check_finite, check_unmasked
from brenier.estimators.abstract_varpro import AbstractVarPro, checked_training_weights
from brenier.estimators.targets import check_same_length
from brenier.supervised.classes import chosen_sharpness, mean_log_probabilities
from brenier.supervised.fit import Fitted
from brenier.supervised.report import SupervisedReport
from brenier.supervised.settings import CLASSES
from brenier.supervised.task import Classification


class VarProClassifier(ClassifierMixin, AbstractVarPro):
    """Probabilities of classes by small networks, with nothing to tune.

    As `VarProRegressor`, but the last layer minimises the multinomial cross-entropy, by Newton's
    method, and the mean of the networks' probabilities predicts. Penalties do not depend on the
    rows held out. Logits are linear in the last units alone, not in the columns.

    Parameters
    ----------
    widths : sequence of int, optional
        Units of each hidden layer; None: (96, 96).
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
    classes_ : (o,)
        The labels, sorted.
    sharpness_ : float
        What logits are multiplied by, one or more; rows held out in turn chose it.
    predictor_ : Predictor
        The networks.
    report_ : SupervisedReport
        Log loss on rows held out in turn, what was chosen, how runs ended, seconds.
    n_iter_ : int
        Most iterations of a network.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of str
        Column names of X, if it had any.

    References
    ----------
    .. [1] E. Newman, L. Ruthotto, J. Hart, B. van Bloemen Waanders, "Train Like a (Var)Pro:
           Efficient Training of Neural Networks with Variable Projection", 2021, arXiv 2007.13171.

    Examples
    --------
    >>> import numpy as np
    >>> from brenier.estimators.varpro_classifier import VarProClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> labels = np.where(np.hypot(*X.T) < 1, "inside", "outside")
    >>> c = VarProClassifier(widths=(8, 8), max_iter=30).fit(X, labels)
    >>> c.predict_proba(X[:3]).shape
    (3, 2)
    >>> bool(c.score(X, labels) > 0.9)
    True
    """

    _defaults = CLASSES
    classes_: np.ndarray
    sharpness_: float

    def fit(self, X, y, sample_weight=None):
        """Fit the networks.

        Parameters
        ----------
        X : array or table, (N, n)
            Inputs; numbers.
        y : (N,)
            Labels: whole numbers, text or booleans.
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
                f"Expected labels y; got None. {type(self).__name__} requires y to be passed, but "
                "the target y is None."
            )
        check_unmasked(y, "y")
        X = self._inputs(X)
        labels = column_or_1d(y, warn=True)
        if labels.dtype.kind == "f":
            check_finite(labels[:, None], ["y"])
        check_classification_targets(labels)
        check_same_length(X, labels)
        weights = checked_training_weights(sample_weight, X)
        seen = np.ones(len(X), bool) if weights is None else weights > 0
        self.classes_ = np.unique(labels[seen])
        Y = np.asarray(labels[:, None] == self.classes_, dtype=np.float64)
        fitted, seconds = self._trained(X, Y, weights, Classification(), settings)
        targets = fitted.rows.X[:, X.shape[1] :]
        self.sharpness_ = chosen_sharpness(fitted.heldout, targets, fitted.rows.weights)
        self._told(_report(fitted, targets, self.sharpness_, seconds))
        return self

    def predict_log_proba(self, X) -> Float[np.ndarray, "N o"]:
        """Return the logarithms of the classes' probabilities, columns as `classes_`.

        Parameters
        ----------
        X : array or table, (N, n)
            Inputs.
        """
        # First, for it also checks that the estimator is fitted.
        logits = self._each(X)
        return mean_log_probabilities(logits, self.sharpness_)

    def predict_proba(self, X) -> Float[np.ndarray, "N o"]:
        """Return the classes' probabilities, columns as `classes_`.

        Parameters
        ----------
        X : array or table, (N, n)
            Inputs.
        """
        return np.exp(self.predict_log_proba(X))

    def score(self, X, y, sample_weight=None) -> float:
        """Return the share of rows whose most probable label is the right one.

        Parameters
        ----------
        X : array or table, (N, n)
            Inputs.
        y : (N,)
            Labels.
        sample_weight : (N,), optional
            Weights.
        """
        check_unmasked(y, "y")
        return ClassifierMixin.score(self, X, y, sample_weight)

    def predict(self, X) -> np.ndarray:
        """Return the most probable label of every row.

        Parameters
        ----------
        X : array or table, (N, n)
            Inputs.
        """
        log_p = self.predict_log_proba(X)
        return self.classes_[np.argmax(log_p, axis=1)]


def _report(
    fitted: Fitted, targets: Float[np.ndarray, "N o"], sharpness: float, seconds: float
) -> SupervisedReport:
    log_p = scipy.special.log_softmax(sharpness * fitted.heldout, axis=1)
    return SupervisedReport(
        loss="log loss",
        heldout_loss=fitted.rows.mean(np.sum(-targets * log_p, axis=1)),
        trivial_loss=Classification().trivial_loss(targets, fitted.rows.weights),
        n_rows=len(targets),
        folds=fitted.folds,
        seconds=seconds,
    )
