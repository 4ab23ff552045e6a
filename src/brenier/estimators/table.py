"""What densities of all columns of a table share: fit, scores, maps, samples, files."""

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from numbers import Integral, Real
from os import PathLike
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator, DensityMixin, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from brenier.data.bounds import check_inside, column_bounds
from brenier.data.checks import check_columns, check_finite, raise_if_text
from brenier.data.rows import Rows, canonical_rows
from brenier.estimators.common import (
    CONSTRAINTS,
    check_n_samples,
    check_widths,
    column_names,
    common_settings,
    end_fit,
    generator,
    inversion_message,
    normal_points,
    seed_of,
    split_rows,
    training_weights,
)
from brenier.estimators.files import to_file
from brenier.flow.evaluation import in_batches, inverse, log_density, transform
from brenier.flow.flow import ConvexFlow
from brenier.flow.inverse import Inversion
from brenier.flow.preprocessing import ColumnBounds, Preprocessing, whitening
from brenier.io.model_file import write_model
from brenier.optimizers.progress import ProgressCallback
from brenier.potential.features import AbstractMap
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.status import InputWarning, InversionWarning
from brenier.training.settings import Hyperparameters, Settings
from brenier.training.training import TrainingResult
from brenier.training.units import Units, fit_report, gaussian_log_density, progress_callback
from brenier.varpro.sample import Data

# Weight decays tried where held-out rows can choose, without and with radial, and the one taken
# where they cannot. Thin curved shapes want the first, shells the second, smooth posteriors the
# last.
DECAYS_WITHOUT_RADIAL = (1e-5,)
DECAYS_WITH_RADIAL = (1e-4, 1e-2)
BLIND_DECAY = 1e-3
# What the settings of all such densities may be, as scikit-learn checks it.
JOINT_CONSTRAINTS: Mapping[str, list[Any]] = MappingProxyType(
    {
        **CONSTRAINTS,
        "n_radial": [Interval(Integral, 0, None, closed="left")],
        "whiten": [StrOptions({"full", "standardize", "none"})],
        "noise": [None, Interval(Real, 0, None, closed="left")],
    }
)


class AbstractJoint(TransformerMixin, DensityMixin, BaseEstimator):
    """A density of all columns of a table: everything but what kind of map is trained."""

    # Set by scikit-learn's `validate_data`.
    n_features_in_: int
    feature_names_in_: np.ndarray

    # Settings that every kind has.
    n_radial: Any
    n_estimators: Any
    whiten: Any
    bounds: Any
    decay: Any
    noise: Any
    validation_fraction: Any
    random_state: Any
    verbose: Any
    widths: Any

    @property
    @abstractmethod
    def _contains_gaussians(self) -> bool:
        """Whether every Gaussian is in the model."""

    @abstractmethod
    def _train(
        self, data: Data, settings: Settings, on_iteration: ProgressCallback | None
    ) -> TrainingResult[AbstractMap]:
        """Return the best map found; `settings` are those that every kind has."""

    def fit(self, X, y=None, *, sample_weight=None, validation_data=None, callback=None):
        """Fit the density.

        Parameters
        ----------
        X : array or table, (N, n)
            Samples in data units; N > n distinct rows, no missing values.
        y : ignored
            For scikit-learn's pipelines.
        sample_weight : (N,), optional
            Non-negative weights; an integer weight is the same as that many copies of the row.
        validation_data : array or table, (M, n), or pair of it and its weights (M,), optional
            Rows that decide when to stop. Without them some rows of `X` are split off.
        callback : callable, optional
            Called with a `Progress` after every iteration of every search, one call at a time;
            several searches may run at once, each in a thread of its own.

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
        self._validate_params()
        check_widths(self.widths)
        X = self._rows(X, reset=True)
        names = column_names(self)
        weights = training_weights(sample_weight, X)
        with jax.enable_x64(True):
            bounds = column_bounds(self.bounds, names)
            check_inside(X, bounds, names, "training data")
            seed = seed_of(self.random_state)
            rows = canonical_rows(X, weights, seed)
            check_columns(np.asarray(bounds.forward(rows.X)[0]), names)
            if len(rows.X) <= X.shape[1]:
                self._few_rows(*rows.X.shape)
            if validation_data is None:
                training, heldout = split_rows(rows, float(self.validation_fraction), bounds)
            else:
                training, heldout = rows, self._validation_rows(validation_data, bounds, seed)
            self._fit_rows(training, heldout, bounds, seed, callback)
        end_fit(self.report_, stacklevel=2)
        return self

    def _few_rows(self, N: int, n: int) -> None:
        """Warn that N <= n rows get a Gaussian; raise where the model has none."""
        message = (
            f"Expected more distinct rows than columns; got {N} distinct sample(s) with {n} "
            f"feature(s). A density in {n} dimensions needs at least {n + 1} distinct rows: give "
            "more rows or fewer columns."
        )
        if not self._contains_gaussians:
            raise ValueError(message)
        warnings.warn(
            f"{message} The model is a Gaussian with its correlations shrunk by {n / (N + n):.0%}.",
            InputWarning,
            stacklevel=3,
        )

    def _validation_rows(self, validation_data, bounds: ColumnBounds, seed: int) -> Rows:
        weights = None
        if isinstance(validation_data, tuple):
            validation_data, weights = validation_data
        X = self._rows(validation_data)
        check_inside(X, bounds, column_names(self), "validation_data")
        if weights is not None:
            weights = _check_sample_weight(weights, X, dtype=np.float64, ensure_non_negative=True)
        return canonical_rows(X, weights, seed)

    def _fit_rows(
        self, training: Rows, heldout: Rows | None, bounds: ColumnBounds, seed: int, callback
    ) -> None:
        """Train on canonical rows and set the fitted attributes."""
        bounded = np.asarray(bounds.forward(training.X)[0])
        N, n = bounded.shape
        few = N <= n
        how = "standardize" if few and self.whiten == "full" else self.whiten
        preprocessing = Preprocessing(bounds, whitening(bounded, training.weights, how))
        units = Units.of(preprocessing, training, heldout)
        data = Data(
            units.train,
            training.weights,
            units.heldout,
            None if heldout is None else heldout.weights,
        )
        settings = Settings(
            **common_settings(self, seed),
            n_estimators=int(self.n_estimators),
            nonnegativity=NONNEGATIVITY["bounds"],
            quadratic=True,
            forms=() if few else self._forms(chosen_on_heldout=heldout is not None),
            noise=None if self.noise is None else float(self.noise),
            shrinkage=n / (N + n) if few else 0.0,
        )
        tell = progress_callback(units, callback, int(self.verbose))
        result = self._train(data, settings, tell)
        self.flow_ = ConvexFlow(preprocessing, result.map)
        self.baseline_ = result.gaussian
        self.report_ = fit_report(result, units, self.flow_, heldout, len(training.X))
        self.n_iter_ = self.report_.n_iter

    def _forms(self, *, chosen_on_heldout: bool) -> tuple[Hyperparameters, ...]:
        n_radial = int(self.n_radial)
        if self.decay is not None:
            return (Hyperparameters(float(self.decay), n_radial),)
        if not chosen_on_heldout:
            return (Hyperparameters(BLIND_DECAY, n_radial),)
        without = [Hyperparameters(decay, 0) for decay in DECAYS_WITHOUT_RADIAL]
        return tuple(
            dict.fromkeys([*without, *(Hyperparameters(d, n_radial) for d in DECAYS_WITH_RADIAL)])
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
        return in_batches(log_density, self.flow_, X)

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
        return float(np.average(self.score_samples(X), weights=sample_weight))

    def baseline_score_samples(self, X) -> Float[np.ndarray, " N"]:
        """Return every row's log-density under the Gaussian fitted to the same training rows.

        Bounded columns go through their maps first, so the baseline knows the bounds too.
        """
        check_is_fitted(self)
        X = self._rows(X)
        with jax.enable_x64(True):
            Y, log_det = (np.asarray(a) for a in self.flow_.preprocessing.forward(X))
            inside = np.asarray(self.flow_.preprocessing.inside(X))
        value = gaussian_log_density(self.baseline_, Y, log_det)
        return np.where(inside, value, -np.inf)

    def transform(self, X) -> Float[np.ndarray, "N n"]:
        """Return z, the rows' images under the map: standard normal if the fit is right.

        Parameters
        ----------
        X : array or table, (N, n)
            Rows in data units.
        """
        check_is_fitted(self)
        X = self._rows(X)
        Z = in_batches(transform, self.flow_, X)
        outside = np.flatnonzero(np.isnan(Z).any(axis=1))
        if len(outside):
            warnings.warn(
                f"{len(outside)} of {len(X)} rows lie on or beyond their column's bounds (first: "
                f"row {outside[0]}) and have no image; they are NaN.",
                InputWarning,
                stacklevel=2,
            )
        return Z

    def inverse_transform(self, X) -> Float[np.ndarray, "N n"]:
        """Return the rows whose images are given.

        Parameters
        ----------
        X : (N, n)
            Points z of the normal space (named as scikit-learn names it).

        Returns
        -------
        (N, n)
            Rows in data units; NaN, with an `InversionWarning`, where a z has no preimage.
        """
        check_is_fitted(self)
        Z = normal_points(X, self.n_features_in_)
        rows, inversion = self.invert(Z)
        failed = np.flatnonzero(~inversion.converged)
        if len(failed):
            rows[failed] = np.nan
            warnings.warn(inversion_message(inversion, failed), InversionWarning, stacklevel=2)
        return rows

    def invert(self, Z) -> tuple[Float[np.ndarray, "N n"], Inversion]:
        """Return the rows whose images are Z, and the certificate of every one.

        Parameters
        ----------
        Z : (N, n)
            Points of the normal space.

        Returns
        -------
        X : (N, n)
            Rows in data units, the best found where `converged` is false.
        inversion : Inversion
            Residuals, error bounds and convergence, in the preprocessed coordinates.
        """
        check_is_fitted(self)
        return in_batches(inverse, self.flow_, normal_points(Z, self.n_features_in_))

    def sample(self, n_samples=1, random_state=None) -> Float[np.ndarray, "n_samples n"]:
        """Return new rows drawn from the density.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        random_state : int, RandomState or None
            Seed; None takes the estimator's own, so that the same call gives the same rows.
        """
        check_is_fitted(self)
        check_n_samples(n_samples)
        rng = generator(random_state, self.random_state)
        rows = np.zeros((0, self.n_features_in_))
        drawn = 0
        while len(rows) < n_samples:
            wanted = int(n_samples) - len(rows)
            candidates, inversion = self.invert(rng.normal(size=(wanted, self.n_features_in_)))
            rows = np.concatenate([rows, candidates[inversion.converged]])
            drawn += wanted
            if drawn > 100 * n_samples:
                raise RuntimeError(
                    "Expected normal points to have preimages; got fewer than 1 in 100. The map's "
                    "image is too small to sample from: fit with quadratic=True."
                )
        if drawn > n_samples:
            warnings.warn(
                f"{drawn - n_samples} of {drawn} normal points had no preimage and were drawn "
                "again. Without quadratic terms the map's image is bounded: fit with "
                "quadratic=True for a proper density.",
                InversionWarning,
                stacklevel=2,
            )
        return rows

    def save(self, path: str | PathLike) -> None:
        """Write the fitted estimator to one safetensors file, atomically.

        Parameters
        ----------
        path : str or path
            Where to; an existing file is replaced only once the new one is complete.

        Raises
        ------
        OSError
            If it cannot be written; what was there before is untouched.
        """
        check_is_fitted(self)
        write_model(path, *to_file(self))

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Return the names of the columns of `transform`: z0, z1, ..."""
        check_is_fitted(self)
        return np.array([f"z{i}" for i in range(self.n_features_in_)], dtype=object)

    def _rows(self, X, *, reset: bool = False) -> Float[np.ndarray, "N n"]:
        """Return finite float64 rows; `reset` learns the columns of X rather than compare them."""
        try:
            rows: Any = validate_data(
                self,
                X,
                dtype=np.float64,
                reset=reset,
                ensure_all_finite=False,
                ensure_min_samples=2 if reset else 1,
            )
        except ValueError as error:
            raise_if_text(X, error)
            raise
        check_finite(rows, column_names(self))
        return rows
