"""What the estimators of a density p(y | x) share: the fit, scores and samples."""

from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import DensityMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from brenier.data.checks import raise_if_categorical
from brenier.data.names import default_names
from brenier.estimators.abstract_conditional import AbstractConditional
from brenier.estimators.following import Following
from brenier.estimators.going_on import begun
from brenier.estimators.observations import Observations
from brenier.estimators.parameters import settings_of
from brenier.estimators.tables import as_asked, checked_rows
from brenier.estimators.targets import check_same_length, checked_targets
from brenier.estimators.weights import checked_weights, mean_score, training_weights
from brenier.training.families import ConditionalFamily
from brenier.training.likelihood import gaussian_log_density


class AbstractConditionalDensity(TransformerMixin, DensityMixin, AbstractConditional):
    """What the estimators of a density p(y | x) share: the fit, scores and samples."""

    def fit(
        self,
        X,
        y,
        *,
        sample_weight=None,
        log_weights=None,
        groups=None,
        validation_data=None,
        callback=None,
        start=None,
    ):
        """Fit the density of y given X.

        Parameters
        ----------
        X : array or table, (N, q)
            The context; numbers.
        y : array or table, (N,) or (N, n)
            Targets in data units.
        sample_weight : (N,), optional
            Non-negative weights; an integer weight is the same as that many copies of the row.
        log_weights : (N,), optional
            In place of `sample_weight`: logarithms of weights, up to a constant; minus infinity is
            a weight of zero.
        groups : (N,), optional
            Labels of chains or other groups. Rows of one label are not independent of each other;
            those of a chain come in its order. Contiguous blocks of them are trained on, choose or
            judge as a whole. Without it rows count as independent.
        validation_data : tuple (X, y) or (X, y, weights), optional
            Rows that choose when to stop and between models; they do not judge. Without them some
            rows are split off.
        callback : callable, optional
            Called with a `Progress` after every iteration of every run, one call at a time;
            several runs may be made at once, each in a thread of its own. Or a `Listener`
            (`brenier.training.phases`), which is told of phases.
        start : fitted estimator, optional
            A model of the same kind, columns and settings, fitted to rows much like these: the
            search begins at its weights, with its hyperparameters and order of columns, and
            nothing is selected anew. Rows that are the same in both tables are held out, or judge,
            if they did before. Rows that the model was fitted to with other values, changed a
            little, are not new to it: where they are held out or judge, the report flatters.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the rows cannot have a conditional density; the message names rows and columns.
        KeyboardInterrupt
            After Ctrl-C: the estimator is then fitted with the best model so far, and
            `report_.status` says so.
        """
        following = Following.of(callback, int(self.verbose))
        self._validate_params()
        settings = settings_of(self, conditional=True)
        if y is None:
            # In the middle are scikit-learn's words, which its checks ask for.
            raise ValueError(
                f"Expected targets y; got None. {type(self).__name__} requires y to be passed, but "
                "the target y is None. ConvexPotentialFlow fits the density of X alone."
            )
        X, Y = self._context(X, reset=True), checked_targets(self, y, reset=True)
        check_same_length(X, Y)
        weights = training_weights(sample_weight, log_weights, X)
        observations = self._observations(X, Y, weights, groups)
        heldout = None if validation_data is None else self._heldout(validation_data)
        family = ConditionalFamily(Y.shape[1])
        family, settings = begun(self, start, family, settings, list(self.target_names_))
        self._fit(observations, heldout, family, settings, following)
        return self

    def score_samples(self, X, y=None) -> Float[np.ndarray, " N"]:
        """Return the log-density of every row of y given that of X.

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        y : array or table, (N,) or (N, n), optional
            Targets in data units. None: the conditional means at X.

        Returns
        -------
        (N,)
            Log-densities in nats per data unit^n; minus infinity outside the bounds.
        """
        return self._density(self._pairs(X, y))

    def score(self, X, y, sample_weight=None) -> float:
        """Return the MEAN log-density of the rows of y given those of X (nats).

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        y : array or table, (N,) or (N, n)
            Targets in data units.
        sample_weight : (N,), optional
            Weights of the mean.
        """
        return mean_score(self.score_samples(X, y), sample_weight)

    def baseline_score_samples(self, X, y=None) -> Float[np.ndarray, " N"]:
        """Return every row's log-density under linear regression with Gaussian noise.

        Bounded targets go through their maps first, so the baseline knows the bounds too. Where the
        rows ask for a scale that depends on the context, the noise has it.
        """
        rows = self._pairs(X, y)
        return gaussian_log_density(self.baseline_, self.flow_.preprocessing, rows)

    def sample(self, X, n_samples=1, random_state=None) -> Any:
        """Return targets drawn from the density at every row of X.

        Where `set_output` asks for a table it has N n_samples rows: those of the first row of X,
        then those of the second, ...

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        n_samples : int, default=1
            How many for each row.
        random_state : int, RandomState or None
            Seed; None takes the estimator's own, so that the same call gives the same targets.
        """
        Y = self._drawn(X, n_samples, random_state)
        table = as_asked(self, Y.reshape(-1, self.flow_.n), list(self.target_names_))
        return Y if isinstance(table, np.ndarray) else table

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Return the names of the columns of `transform`: z0, z1, ..."""
        check_is_fitted(self)
        return np.array(default_names(self.flow_.n, "z"), dtype=object)

    def _heldout(self, validation_data: Any) -> Observations:
        """Return held-out rows, with their weights if they have any."""
        if not isinstance(validation_data, tuple) or len(validation_data) not in (2, 3):
            raise ValueError(
                "Expected validation_data as a tuple (X, y) or (X, y, weights); got "
                f"{type(validation_data).__name__}."
            )
        X, Y, *weights = validation_data
        X, Y = checked_rows(self, X, of_text=raise_if_categorical), checked_targets(self, Y)
        check_same_length(X, Y)
        omega = checked_weights(weights[0] if weights else None, X)
        return Observations(Y, list(self.target_names_), X, omega)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags
