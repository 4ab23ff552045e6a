"""What the estimators of the density of all columns share: the fit, scores, and checked rows."""

import warnings
from abc import abstractmethod
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import DensityMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from brenier.data.bounds import Bounds, column_bounds
from brenier.data.checks import check_scales
from brenier.data.names import default_names
from brenier.data.rows import WeightedRows
from brenier.diagnostics.diagnosis import Diagnosis
from brenier.estimators.abstract_density import AbstractDensity
from brenier.estimators.asking import Asked
from brenier.estimators.conditioned import ConditionedDensity, condition, given_values
from brenier.estimators.diagnosing import diagnosis_of_joint
from brenier.estimators.evidence import N_EVALUATED, evidence_of_callable, evidence_of_draws
from brenier.estimators.folded import check_cells, folding_of
from brenier.estimators.following import Following
from brenier.estimators.going_on import begun
from brenier.estimators.marginals import (
    MarginalDensity,
    density_of_known,
    marginal,
    scored_rows,
)
from brenier.estimators.observations import Observations
from brenier.estimators.parameters import seed_of, settings_of
from brenier.estimators.tables import checked_rows, column_names
from brenier.estimators.weights import checked_weights, mean_score, training_weights
from brenier.flow.evaluation import in_batches, transform
from brenier.marginal.evidence import Evidence
from brenier.status import InputWarning
from brenier.training.families import JointFamily
from brenier.training.likelihood import gaussian_log_density
from brenier.training.settings import Settings

# How far a period is widened to have its beginning within, as a share of it.
SEAM = 1e-12


class AbstractJoint(TransformerMixin, DensityMixin, AbstractDensity):
    """What the estimators of the density of all columns share."""

    columns: Any
    verbose: Any
    periods: Any
    discrete: Any

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
            Samples in data units, no missing values. Of N <= n distinct rows a warning says what
            the model can be.
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
        bounds, seed = column_bounds(self.bounds, names), seed_of(self.random_state)
        self.folding_ = folding_of(self, X, weights, names, bounds, seed)
        observations = self._observations(X, weights, groups)
        heldout = None if validation_data is None else self._heldout(validation_data)
        family, settings = begun(self, start, JointFamily(), settings, names)
        self._fit(observations, heldout, family, settings, following)
        return self

    def _heldout(self, validation_data: Any) -> Observations:
        """Return held-out rows, with their weights if they have any."""
        is_pair = isinstance(validation_data, tuple)
        X, weights = validation_data if is_pair else (validation_data, None)
        X, names = self._rows(X), column_names(self)
        bounds = column_bounds(self.bounds, names)
        check_cells(X, self.folding_.cells.columns, names, bounds)
        return self._observations(X, checked_weights(weights, X))

    def _observations(self, X: np.ndarray, weights: Any, groups: Any = None) -> Observations:
        """Return rows with their periodic columns within one period."""
        names, folding = column_names(self), self.folding_
        X = folding.circles.fold(X)
        return Observations(X, names, weights=weights, groups=groups, folding=folding)

    def _check_distinct(self, rows: WeightedRows, settings: Settings) -> None:
        """Warn of what N <= n rows can have; raise where the model has no Gaussian."""
        N, n = rows.X.shape
        if N > n:
            return
        message = (
            f"Expected more distinct rows than columns; got {N} distinct sample(s) with {n} "
            f"feature(s). "
        )
        if not settings.algorithm.quadratic:
            raise ValueError(
                f"{message}A density in {n} dimensions needs at least {n + 1} distinct rows: give "
                "more rows or fewer columns."
            )
        warnings.warn(f"{message}{_of_few(rows, settings)}", InputWarning, stacklevel=4)

    def score_samples(self, X, *, integrate_missing=False) -> Float[np.ndarray, " N"]:
        """Return the log-density of every row.

        Parameters
        ----------
        X : array or table, (N, n)
            Rows in data units.
        integrate_missing : bool, default=False
            Whether NaN is a missing cell: then the log-density is that of the other cells of its
            row, as of `marginal`. Without it NaN is an error.

        Returns
        -------
        (N,)
            Log-densities in nats per data unit^n; minus infinity outside the bounds. A discrete
            column counts as none of the n, for its values have probabilities.
        """
        check_is_fitted(self)
        X = scored_rows(self, X, integrate_missing=integrate_missing)
        X = self.folding_.circles.fold(X)
        return density_of_known(self, self._density, self._bounds, X)

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

    @abstractmethod
    def sample(self, n_samples=1, random_state=None) -> Any:
        """Return new rows drawn from the density."""

    def baseline_score_samples(self, X, *, integrate_missing=False) -> Float[np.ndarray, " N"]:
        """Return every row's log-density under the Gaussian fitted to the same training rows.

        Bounded columns go through their maps first, so the baseline knows the bounds too.
        Parameters are those of `score_samples`.
        """
        check_is_fitted(self)
        X = scored_rows(self, X, integrate_missing=integrate_missing)
        X = self.folding_.circles.fold(X)
        return density_of_known(self, self._baseline, self._bounds, X)

    def condition(self, values=None, /, **named) -> ConditionedDensity:
        """Return the density of the other columns, given values of some.

        Of one or two free columns by quadrature, of more by importance sampling.

        Parameters
        ----------
        values : mapping of column names, or positions, to numbers, optional
            Values in data units.
        **named
            The same, for names that Python allows as such.

        Raises
        ------
        ValueError
            If a column is unknown, a value no number or outside its bounds, or none is given or
            free.
        """
        check_is_fitted(self)
        asked = Asked.of(self, self._density, self._bounds)
        return condition(asked, given_values(values, named))

    def marginal(self, columns) -> MarginalDensity:
        """Return the density of some columns, the others integrated out.

        Parameters
        ----------
        columns : list of str or int, or one of these
            Names or positions of the columns.
        """
        check_is_fitted(self)
        return marginal(Asked.of(self, self._density, self._bounds), columns)

    def evidence(self, log_density, n_samples=N_EVALUATED, random_state=None) -> Evidence:
        """Return the integral of an unnormalised density, such as a marginal likelihood.

        By importance sampling from this density, fitted to draws of the unnormalised one.

        Parameters
        ----------
        log_density : callable
            Rows (N, n), their columns in the order of the fit, to the logarithm of the
            unnormalised density of data units, (N,). That of Stan's `lp__` is of unconstrained
            parameters: of a constrained one it holds the logarithm of a derivative too.
        n_samples : int, default=16384
            How many draws.
        random_state : int, RandomState or None
            Their seed; None takes the estimator's own.

        Returns
        -------
        Evidence
            Its logarithm with a standard error, the effective size and a warning where few draws
            decide.
        """
        check_is_fitted(self)
        return evidence_of_callable(self, self._log_density, log_density, n_samples, random_state)

    def evidence_of_draws(self, X, log_posterior, *, groups=None) -> Evidence:
        """Return the integral of an unnormalised density from draws of it and its values there.

        By the truncated harmonic mean; nothing is evaluated anew.

        Parameters
        ----------
        X : array or table, (N, n)
            Draws that this density was not fitted to: it is too high at its own.
        log_posterior : (N,)
            The logarithm of the unnormalised density of data units at every draw, such as the
            negative of GetDist's minus-log-posterior, or Stan's `lp__` where no parameter is
            constrained.
        groups : (N,), optional
            Labels of chains, whose draws come in their order: they count for less then.

        Returns
        -------
        Evidence
            As of `evidence`.
        """
        check_is_fitted(self)
        return evidence_of_draws(self, self._log_density, self._rows(X), log_posterior, groups)

    def diagnose(
        self, X, *, sample_weight=None, train=None, classifier=False, random_state=None
    ) -> Diagnosis:
        """Return whether the density is good, from rows that it has not seen.

        If it is, their images z are standard normal, and rows and draws of it are exchangeable. The
        headline is what the density loses, in nats per row (a lower bound, whatever the fault).

        Parameters
        ----------
        X : array or table, (N, n)
            Rows in data units that the model was not trained on: of training rows nothing can be
            said.
        sample_weight : (N,), optional
            Weights. Each row is then used with a probability in proportion to its own.
        train : array or table, (T, n), optional
            Rows that reference densities are fitted to. None: one half of `X`; they and the model
            beside them are judged on the other.
        classifier : bool, default=False
            Whether a classifier is to tell rows from draws too.
        random_state : int, RandomState or None
            Seed of draws and simulations; None takes the estimator's own.

        Returns
        -------
        Diagnosis
            `str` of it is a short text, `to_dict` has its numbers, `panels` what pictures need.
        """
        return diagnosis_of_joint(
            self, X, sample_weight, train, random_state, classifier=classifier
        )

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Return the names of the columns of `transform`: z0, z1, ..."""
        check_is_fitted(self)
        return np.array(default_names(self.n_features_in_, "z"), dtype=object)

    @property
    def _bounds(self) -> Bounds:
        """Bounds of the columns; of periodic ones the ends of the period."""
        found = self.flow_.preprocessing.column_bounds
        low, high = np.array(found.low, float), np.array(found.high, float)
        circles = self.folding_.circles
        # The seam itself is within.
        low[circles.columns] = circles.low - SEAM * circles.period
        high[circles.columns] = circles.low + circles.period
        return Bounds(low, high)

    def _baseline(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
        """Return the Gaussian's log p of plain rows."""
        return gaussian_log_density(self.baseline_, self.flow_.preprocessing, X)

    def _images(
        self, X: Float[np.ndarray, "N n"], rng: np.random.Generator
    ) -> Float[np.ndarray, "N n"]:
        """Return z of checked rows, what is random in it drawn from `rng`."""
        return self._plain_images(self.folding_.drawn(self._density, X, rng), rng)

    def _plain_images(
        self, X: Float[np.ndarray, "N n"], rng: np.random.Generator
    ) -> Float[np.ndarray, "N n"]:
        """Return z of rows of whose density the flow is."""
        return in_batches(transform, self.flow_, X)

    def _log_density(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
        """Return log p of checked rows (nats)."""
        return self.folding_.log_density(self._density, X)

    def _rows(self, X, *, reset: bool = False) -> Float[np.ndarray, "N n"]:
        """Return finite float64 rows; `reset` learns the columns of X rather than compare them."""
        rows = checked_rows(self, X, reset=reset, least=2 if reset else 1)
        return rows if reset else self.folding_.circles.fold(rows)


def _of_few(rows: WeightedRows, settings: Settings) -> str:
    """Return what rows that are no more than their columns can have, in sentences."""
    N, n = rows.X.shape
    covariance = f"has correlations that are shrunk by {n / (N + n):.0%}"
    if settings.can_choose_covariance(N):
        covariance = "is shrunk, or of a few factors, whichever is better on rows held out"
    k = settings.n_directions(rows.effective_size, n)
    model = f"beyond it, the model bends {k} leading directions at most" if k else "it is the model"
    return (
        f"They do not determine a covariance: the Gaussian's {covariance}, and {model}. More rows "
        "or fewer columns tell more."
    )
