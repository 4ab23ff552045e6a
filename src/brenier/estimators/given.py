"""What the estimators of p(y | x) share: settings, the fit, and all that follows from a map."""

import warnings
from collections.abc import Sequence
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
from sklearn.utils.validation import check_is_fitted, validate_data

from brenier.data.bounds import check_inside, column_bounds
from brenier.data.checks import (
    check_columns,
    check_finite,
    constant_columns,
    is_constant,
    raise_if_categorical,
    raise_if_text,
    repeated_values,
)
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
    seed_of,
    split_rows,
    training_weights,
)
from brenier.estimators.files import to_file
from brenier.flow.evaluation import in_batches, inverse, transform
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import (
    ColumnBounds,
    ConditionalPreprocessing,
    ContextScaling,
    Preprocessing,
    whitening,
)
from brenier.io.model_file import write_model
from brenier.optimizers.progress import ProgressCallback
from brenier.potential.features import AbstractMap
from brenier.potential.nonnegativity import Bounded
from brenier.status import InputWarning, InversionWarning
from brenier.training.conditional import ConditionalModel
from brenier.training.members import Member, average, average_report, with_a_search
from brenier.training.report import FitReport
from brenier.training.settings import Hyperparameters, Settings
from brenier.training.tail import with_tail
from brenier.training.training import TrainingResult, train, train_apart
from brenier.training.units import Units, progress_callback
from brenier.varpro.sample import Data

Splits = Sequence[tuple[Rows, Rows | None]]

# Potentials that are averaged where that is not said: of so few rows each is sure of other things,
# and many are soon found.
FEW_ROWS, MEMBERS_OF_FEW, MEMBERS = 2000, 6, 3
# Nodes of z for conditional means: of Gauss-Hermite quadrature, and Sobol' points.
N_HERMITE, N_SOBOL = 32, 256
SOBOL_SEED = 0


class AbstractConditional(BaseEstimator):
    """What the estimators of p(y | x) share: settings, the fit, and all that follows from it."""

    _parameter_constraints = {
        **CONSTRAINTS,
        "n_estimators": [None, Interval(Integral, 1, None, closed="left")],
        "n_gates": [Interval(Integral, 0, None, closed="left")],
        "whiten": [StrOptions({"full", "standardize"})],
    }

    # Weight decays tried where held-out rows can choose, and the one taken where they cannot.
    _decays = (1e-2, 1e-1)
    _blind_decay = 3e-2

    # Set by scikit-learn's `validate_data`.
    n_features_in_: int
    feature_names_in_: np.ndarray
    flow_: ConvexFlow
    report_: FitReport
    target_names_: np.ndarray

    def __init__(
        self,
        *,
        widths=(16, 16),
        context_widths=(16, 16),
        n_gates=4,
        activation="gaussian-softplus",
        whiten="full",
        bounds=None,
        optimizer="lbfgs-varpro",
        inner="primal-dual",
        tau=1e-5,
        decay=None,
        max_iter=1000,
        tol=1e-5,
        max_seconds=None,
        max_work_units=None,
        n_iter_no_change=50,
        validation_fraction=0.1,
        n_init=1,
        n_estimators=None,
        random_state=0,
        verbose=0,
    ):
        self.widths = widths
        self.context_widths = context_widths
        self.n_gates = n_gates
        self.activation = activation
        self.whiten = whiten
        self.bounds = bounds
        self.optimizer = optimizer
        self.inner = inner
        self.tau = tau
        self.decay = decay
        self.max_iter = max_iter
        self.tol = tol
        self.max_seconds = max_seconds
        self.max_work_units = max_work_units
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.n_init = n_init
        self.n_estimators = n_estimators
        self.random_state = random_state
        self.verbose = verbose

    def sample(self, X, n_samples=1, random_state=None) -> Float[np.ndarray, "N n_samples n"]:
        """Return targets drawn from the density at every row of X.

        Parameters
        ----------
        X : array or table, (N, q)
            What is known.
        n_samples : int, default=1
            How many for each row.
        random_state : int, RandomState or None
            Seed; None takes the estimator's own, so that the same call gives the same targets.
        """
        X = self._known(X)
        check_n_samples(n_samples)
        rng = generator(random_state, self.random_state)
        Z = rng.normal(size=(len(X), int(n_samples), self.flow_.n))
        return self._preimages(X, Z)

    def mean(self, X) -> Float[np.ndarray, "N n"]:
        """Return the conditional mean of the targets at every row of X.

        The mean of the inverse map over fixed points z: of Gauss-Hermite quadrature for one target,
        scrambled Sobol' points of a fixed seed for several. A row's mean depends on nothing but the
        row.

        Parameters
        ----------
        X : array or table, (N, q)
            What is known.
        """
        X = self._known(X)
        nodes, weights = _normal_nodes(self.flow_.n)
        Z = np.broadcast_to(nodes, (len(X), *nodes.shape))
        return np.einsum("k,jkn->jn", weights, self._preimages(X, Z))

    def quantile(self, X, p) -> np.ndarray:
        """Return conditional quantiles of the one target, exactly: images of normal quantiles.

        Parameters
        ----------
        X : array or table, (N, q)
            What is known.
        p : float or (k,)
            Probabilities strictly between 0 and 1.

        Returns
        -------
        (N,), or (N, k) for several probabilities
        """
        X = self._known(X)
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
            What is known.
        level : float, default=0.9
            Probability, between 0 and 1; as much is left below as above.
        """
        if not (isinstance(level, Real) and 0 < level < 1):
            raise ValueError(f"Expected a level strictly between 0 and 1; got {level!r}.")
        return self.quantile(X, [0.5 - 0.5 * float(level), 0.5 + 0.5 * float(level)])

    def cdf(self, X, Y) -> Float[np.ndarray, " N"]:
        """Return the conditional probability of at most Y, row by row, of the one target.

        Parameters
        ----------
        X : array or table, (N, q)
            What is known.
        Y : array or table, (N,) or (N, 1)
            Targets; 0 or 1 on and beyond their bounds.
        """
        rows = self._pairs(X, Y)
        self._one_target("cdf")
        p = scipy.special.ndtr(in_batches(transform, self.flow_, rows)[:, 0])
        bounds = self.flow_.preprocessing.column_bounds
        below, above = rows[:, 0] <= bounds.low[0], rows[:, 0] >= bounds.high[0]
        return np.where(below, 0.0, np.where(above, 1.0, p))

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

    def _fit(self, X, Y, sample_weight, validation, callback) -> None:
        """Fit to checked rows (N, q) and targets (N, n), and set the fitted attributes.

        `validation` is None, or checked rows, targets, and weights or None.
        """
        check_widths(self.widths)
        check_widths(self.context_widths)
        names, n = list(self.target_names_), Y.shape[1]
        weights = training_weights(sample_weight, X)
        with jax.enable_x64(True):
            bounds = column_bounds(self.bounds, names)
            check_inside(Y, bounds, names, "training data")
            seed = seed_of(self.random_state)
            rows = canonical_rows(np.concatenate([Y, X], axis=1), weights, seed)
            check_columns(np.asarray(bounds.forward(rows.X[:, :n])[0]), names)
            self._warn_of_columns(rows.X, n)
            splits = self._splits(rows, bounds)
            if validation is not None:
                X_held, Y_held, held_weights = validation
                check_inside(Y_held, bounds, names, "validation_data")
                held = np.concatenate([Y_held, X_held], axis=1)
                splits = [(rows, canonical_rows(held, held_weights, seed))]
            self._fit_rows(rows, splits, bounds, seed, callback)
        end_fit(self.report_, stacklevel=3)

    def _warn_of_columns(self, rows: np.ndarray, n: int) -> None:
        constant = constant_columns(rows[:, n:], column_names(self))
        if constant:
            warnings.warn(
                f"Expected columns of X that vary; got constant {constant}: they have no influence "
                "on the model.",
                InputWarning,
                stacklevel=4,
            )
        repeated = repeated_values(rows[:, :n], list(self.target_names_))
        if repeated:
            warnings.warn(
                f"Expected targets with a density; got many equal values in {repeated}. Where "
                "values repeat, any density can grow spikes and its likelihood means nothing. If "
                "they are rounded or counted, add uniform noise of one step's width first "
                "(dequantisation).",
                InputWarning,
                stacklevel=4,
            )

    def _splits(self, rows: Rows, bounds: ColumnBounds) -> Splits:
        """Return training and held-out rows of every potential; of all together if none are held.

        The potentials hold out different rows, so that their average has learnt from all.
        """
        fraction = float(self.validation_fraction)
        n_members = self._n_members(len(rows.X))
        splits = [split_rows(rows, fraction, bounds, k) for k in range(n_members)]
        return splits if all(heldout is not None for _, heldout in splits) else [(rows, None)]

    def _n_members(self, N: int) -> int:
        """Return the number of potentials for N rows."""
        if self.n_estimators is not None:
            return int(self.n_estimators)
        return MEMBERS_OF_FEW if N <= FEW_ROWS else MEMBERS

    def _fit_rows(
        self,
        rows: Rows,
        splits: Splits,
        bounds: ColumnBounds,
        seed: int,
        callback,
    ) -> None:
        """Train on canonical rows (y, x), split as given, and set the fitted attributes."""
        n = len(bounds.low)
        N, d = rows.X.shape
        few = N <= d + 1
        if few:
            warnings.warn(
                f"Expected more distinct rows than columns; got {N} rows with {d} columns, targets "
                "included. The model is a linear regression with shrunk coefficients: give more "
                "rows or fewer columns.",
                InputWarning,
                stacklevel=4,
            )
        how = "standardize" if N <= n else self.whiten
        bounded = np.asarray(bounds.forward(rows.X[:, :n])[0])
        preprocessing = ConditionalPreprocessing(
            Preprocessing(bounds, whitening(bounded, rows.weights, how)),
            ContextScaling.of(rows.X[:, n:], rows.weights, is_constant(rows.X[:, n:])),
        )
        settings = self._settings(seed, N, d, few=few, heldout=splits[0][1] is not None)
        members = self._members(splits, preprocessing, settings, callback)
        kept = with_a_search(members)
        self.flow_ = with_tail(ConvexFlow(preprocessing, average(kept)), kept)
        self.baseline_ = kept[0].result.gaussian
        self.report_ = average_report(kept, members, preprocessing, self.flow_, rows)
        self.n_iter_ = self.report_.n_iter

    def _members(
        self,
        splits: Splits,
        preprocessing: ConditionalPreprocessing,
        settings: Settings,
        callback,
    ) -> list[Member]:
        """Return what each split's rows were trained to, as far as there was time."""
        context_widths = tuple(int(width) for width in self.context_widths)
        model = ConditionalModel(preprocessing.n, context_widths, int(self.n_gates))
        units = [Units.of(preprocessing, *split) for split in splits]
        data = [
            Data(u.train, training.weights, u.heldout, None if held is None else held.weights)
            for u, (training, held) in zip(units, splits, strict=True)
        ]
        told = [progress_callback(u, callback, int(self.verbose)) for u in units]
        results = self._train(data, settings, told, model)
        return [
            Member(result, u, training, held)
            for result, u, (training, held) in zip(results, units, splits, strict=True)
            if result is not None
        ]

    def _train(
        self,
        data: Sequence[Data],
        settings: Settings,
        told: Sequence[ProgressCallback | None],
        model: ConditionalModel,
    ) -> Sequence[TrainingResult[AbstractMap] | None]:
        """Return what each split was trained to; None where there was no time for it."""
        if len(data) == 1:
            return [train(data[0], settings, told[0], model=model)]
        return train_apart(data, settings, told, model=model)

    def _settings(self, seed: int, N: int, d: int, *, few: bool, heldout: bool) -> Settings:
        return Settings(
            **common_settings(self, seed),
            n_estimators=self._n_members(N),
            nonnegativity=Bounded(),
            quadratic=True,
            forms=() if few else self._forms(chosen_on_heldout=heldout),
            # Noise on the rows would blur their context too.
            noise=0.0,
            shrinkage=d / (N + d) if few else 0.0,
        )

    def _forms(self, *, chosen_on_heldout: bool) -> tuple[Hyperparameters, ...]:
        if self.decay is not None:
            return (Hyperparameters(float(self.decay), 0),)
        decays = self._decays if chosen_on_heldout else (self._blind_decay,)
        return tuple(Hyperparameters(decay, 0) for decay in decays)

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

    def _known(self, X, *, reset: bool = False) -> Float[np.ndarray, "N q"]:
        """Return finite float64 rows of X; `reset` learns its columns rather than compare them."""
        if not reset:
            check_is_fitted(self)
        shape = tuple(getattr(X, "shape", ()))
        if len(shape) == 2 and shape[1] == 0:
            raise ValueError(
                f"Expected at least one column of X; got 0 feature(s) (shape={shape}) while a "
                "minimum of 1 is required. ConvexPotentialFlow fits densities without context."
            )
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
            raise_if_categorical(X, error)
            raise
        check_finite(rows, column_names(self))
        if not reset:
            self._warn_if_far(rows)
        return rows

    def _warn_if_far(self, rows: Float[np.ndarray, "N q"]) -> None:
        preprocessing: Any = self.flow_.preprocessing
        with jax.enable_x64(True):
            far = np.flatnonzero(np.asarray(preprocessing.scaling.far(rows)))
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
        names = _names_of(Y)
        try:
            values = np.asarray(Y, dtype=np.float64)
        except (TypeError, ValueError) as error:
            cells = np.asarray(Y, dtype=object)
            cells = cells[:, None] if cells.ndim == 1 else cells
            raise_if_text(cells, ValueError(str(error)), names or _target_names(cells.shape[-1]))
            raise
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or not values.shape[1]:
            raise ValueError(f"Expected Y of shape (N,) or (N, n); got {np.shape(Y)}.")
        if reset:
            default = _target_names(values.shape[1])
            self.target_names_ = np.array(names or default, dtype=object)
        elif values.shape[1] != len(self.target_names_):
            raise ValueError(
                f"Expected Y with {len(self.target_names_)} column(s), as in fit; got "
                f"{values.shape[1]}."
            )
        check_finite(values, list(self.target_names_))
        return values

    def _pairs(self, X, Y) -> Float[np.ndarray, "N d"]:
        """Return rows (y, x) of a fitted estimator's data."""
        X, Y = self._known(X), self._targets(Y)
        check_same_length(X, Y)
        return np.concatenate([Y, X], axis=1)


def check_same_length(X: np.ndarray, Y: np.ndarray, name: str = "Y") -> None:
    """Raise `ValueError` where two tables do not have the same number of rows."""
    if len(X) != len(Y):
        raise ValueError(
            f"Expected as many rows of {name} as of X; got {len(X)} rows of X and {len(Y)} of "
            f"{name}. Give each row of X its row of {name}."
        )


def _target_names(n: int) -> list[str]:
    return ["y"] if n == 1 else [f"y{i}" for i in range(n)]


def _names_of(Y) -> list[str] | None:
    """Return the names of a table's columns, or a series' own."""
    columns = getattr(Y, "columns", None)
    if columns is not None:
        return [str(name) for name in columns]
    name = getattr(Y, "name", None)
    return [str(name)] if name else None


def _normal_nodes(n: int) -> tuple[Float[np.ndarray, "k n"], Float[np.ndarray, " k"]]:
    """Return points and weights of a mean over the standard normal in n dimensions."""
    if n == 1:
        nodes, weights = np.polynomial.hermite_e.hermegauss(N_HERMITE)
        return nodes[:, None], weights / weights.sum()
    points = qmc.Sobol(n, scramble=True, rng=np.random.default_rng(SOBOL_SEED)).random(N_SOBOL)
    return scipy.special.ndtri(points), np.full(N_SOBOL, 1.0 / N_SOBOL)
