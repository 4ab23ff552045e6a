"""What the estimators of the density of all columns share: the fit, scores, and checked rows."""

import warnings
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import DensityMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from brenier.data.checks import check_scales
from brenier.data.names import default_names
from brenier.data.rows import WeightedRows
from brenier.estimators.abstract_density import AbstractDensity
from brenier.estimators.following import Following
from brenier.estimators.going_on import begun
from brenier.estimators.observations import Observations
from brenier.estimators.parameters import settings_of
from brenier.estimators.tables import checked_rows, column_names
from brenier.estimators.weights import checked_weights, mean_score, training_weights
from brenier.status import InputWarning
from brenier.training.families import JointFamily
from brenier.training.likelihood import gaussian_log_density
from brenier.training.settings import Settings


class AbstractJoint(TransformerMixin, DensityMixin, AbstractDensity):
    """What the estimators of the density of all columns share."""

    columns: Any
    verbose: Any

    def fit(
        self,
        X,
        y=None,
        *,
        sample_weight=None,
        log_weights=None,
        groups=None,
        validation_data=None,
        callback=None,
        start=None,
    ):
        """Fit the density.

        Parameters
        ----------
        X : array or table, (N, n)
            Samples in data units; N > n distinct rows, no missing values.
        y : ignored
            For scikit-learn's pipelines.
        sample_weight : (N,), optional
            Non-negative weights; an integer weight is the same as that many copies of the row.
        log_weights : (N,), optional
            In place of `sample_weight`: logarithms of weights, up to a constant; minus infinity is
            a weight of zero.
        groups : (N,), optional
            Labels of chains or other groups. Rows of one label are not independent of each other;
            those of a chain come in its order. Contiguous blocks of them are trained on, choose or
            judge as a whole. Without it rows count as independent.
        validation_data : array or table, (M, n), or pair of it and its weights (M,), optional
            Rows that choose when to stop and between models; they do not judge. Without them some
            rows of `X` are split off.
        callback : callable, optional
            Called with a `Progress` after every iteration of every run, one call at a time;
            several runs may be made at once, each in a thread of its own. Or a `Listener`
            (`brenier.training.phases`), which is told of phases.
        start : fitted estimator, optional
            A model of the same kind, columns and settings, fitted to rows much like these: the
            search begins at its weights, with its hyperparameters and its preprocessing, and
            nothing is selected anew. Rows that the model was fitted to are not new to it: where
            they are among those held out, or the judge rows, the report flatters.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the rows cannot have a density: too few, not finite, constant, duplicate or
            dependent columns, or rows on or beyond their bounds. The message names them.
        KeyboardInterrupt
            After Ctrl-C: the estimator is then fitted with the best model so far, and
            `report_.status` says so.
        """
        following = Following.of(callback, int(self.verbose))
        self._validate_params()
        settings = settings_of(self, conditional=False)
        X = self._rows(X, reset=True)
        names = column_names(self)
        check_scales(X, names)
        weights = training_weights(sample_weight, log_weights, X)
        observations = Observations(X, names, weights=weights, groups=groups)
        heldout = None if validation_data is None else self._heldout(validation_data)
        family, settings = begun(self, start, JointFamily(), settings, names)
        self._fit(observations, heldout, family, settings, following)
        return self

    def _heldout(self, validation_data: Any) -> Observations:
        """Return held-out rows, with their weights if they have any."""
        is_pair = isinstance(validation_data, tuple)
        X, weights = validation_data if is_pair else (validation_data, None)
        X = self._rows(X)
        return Observations(X, column_names(self), weights=checked_weights(weights, X))

    def _check_distinct(self, rows: WeightedRows, settings: Settings) -> None:
        """Warn that N <= n rows get a Gaussian; raise where the model has none."""
        N, n = rows.X.shape
        if N > n:
            return
        message = (
            f"Expected more distinct rows than columns; got {N} distinct sample(s) with {n} "
            f"feature(s). A density in {n} dimensions needs at least {n + 1} distinct rows: give "
            "more rows or fewer columns."
        )
        if not settings.algorithm.quadratic:
            raise ValueError(message)
        warnings.warn(
            f"{message} The model is a Gaussian with its correlations shrunk by {n / (N + n):.0%}.",
            InputWarning,
            stacklevel=4,
        )

    def score_samples(self, X) -> Float[np.ndarray, " N"]:
        """Return the log-density of every row.

        Parameters
        ----------
        X : array or table, (N, n)
            Rows in data units.

        Returns
        -------
        (N,)
            Log-densities in nats per data unit^n; minus infinity outside the bounds.
        """
        check_is_fitted(self)
        X = self._rows(X)
        return self._density(X)

    def score(self, X, y=None, sample_weight=None) -> float:
        """Return the MEAN log-density of the rows (nats).

        Parameters
        ----------
        X : array or table, (N, n)
            Rows in data units.
        y : ignored
            For scikit-learn's pipelines.
        sample_weight : (N,), optional
            Weights of the mean.
        """
        return mean_score(self.score_samples(X), sample_weight)

    def baseline_score_samples(self, X) -> Float[np.ndarray, " N"]:
        """Return every row's log-density under the Gaussian fitted to the same training rows.

        Bounded columns go through their maps first, so the baseline knows the bounds too.
        """
        check_is_fitted(self)
        X = self._rows(X)
        return gaussian_log_density(self.baseline_, self.flow_.preprocessing, X)

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Return the names of the columns of `transform`: z0, z1, ..."""
        check_is_fitted(self)
        return np.array(default_names(self.n_features_in_, "z"), dtype=object)

    def _rows(self, X, *, reset: bool = False) -> Float[np.ndarray, "N n"]:
        """Return finite float64 rows; `reset` learns the columns of X rather than compare them."""
        return checked_rows(self, X, reset=reset, least=2 if reset else 1)
