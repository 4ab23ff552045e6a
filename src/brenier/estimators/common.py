"""What all estimators share: settings and their checks, seeds, how a fit begins and ends."""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _check_sample_weight

from brenier.data.chains import Blocks, blocks_of, lag_one_correlations, looks_like_a_chain
from brenier.data.checks import check_finite, check_unmasked
from brenier.data.names import default_names, quoted
from brenier.data.repeats import repeated_columns, repeats_message
from brenier.data.rows import WeightedRows
from brenier.data.tables import frame_of
from brenier.data.weights import are_unequal, check_weights, weights_of_logs
from brenier.flow.column_order import own_columns
from brenier.flow.inverse import Inversion
from brenier.flow.preprocessing import AbstractPreprocessing
from brenier.optimizers.progress import Progress, ProgressCallback
from brenier.status import FitStatus, InputWarning
from brenier.training.algorithm import Algorithm
from brenier.training.far_rows import far_rows_of
from brenier.training.phases import Listener, PhaseLines
from brenier.training.report import FitReport
from brenier.training.settings import Settings, default_settings

# From where on `verbose` prints iterates, not only phases.
VERBOSE_ITERATES = 2
# Fewer rows of equal weight than this tell little of a density.
FEW_EFFECTIVE_ROWS = 50
_COUNT = Interval(Integral, 1, None, closed="left")
# What the settings that all fits have may be, as scikit-learn checks it.
CONSTRAINTS: Mapping[str, list[Any]] = MappingProxyType(
    {
        "columns": [list, tuple, None],
        "n_maps": [_COUNT],
        "algorithm": [Algorithm, None],
        "tau": [Interval(Real, 0, None, closed="neither")],
        "decay": [None, Interval(Real, 0, None, closed="left")],
        "max_iter": [_COUNT],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_seconds": [None, Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [None, _COUNT],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "judge_fraction": [Interval(Real, 0, 1, closed="left")],
        "n_init": [None, _COUNT],
        "n_estimators": [None, _COUNT],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
)


def settings_of(estimator: Any, *, conditional: bool) -> Settings:
    """Return all numbers of a fit: the estimator's own settings, and the defaults of its kind.

    A setting that is None has the default of the kind: of one map or several, of all columns or
    given some. This is the one place where they are resolved.
    """
    defaults = default_settings(composed=estimator.n_maps > 1, conditional=conditional)
    known = {field.name: field.type for field in fields(Settings)}
    given = {
        name: _plain(value, known[name])
        for name, value in estimator.get_params(deep=False).items()
        if name in known and value is not None
    }
    if estimator.n_estimators is not None:
        given["n_estimators_few"] = given["n_estimators"]
    settings = replace(defaults, **given)
    _check_algorithm(settings, conditional=conditional)
    if settings.n_maps > 1 and settings.n_estimators > 1:
        raise ValueError(
            f"Expected n_estimators=1 with n_maps={settings.n_maps}; got {settings.n_estimators}. "
            "Compositions cannot be averaged: leave it out."
        )
    return settings


def _plain(value: Any, kind: Any) -> Any:
    """Return a setting as `Settings` has it: without types of NumPy, lists as tuples."""
    if kind in (float, float | None):
        return float(value)
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return tuple(int(entry) for entry in value)
    return value.item() if isinstance(value, np.generic) else value


def _check_algorithm(settings: Settings, *, conditional: bool) -> None:
    """Raise `ValueError` where the thesis's form is asked of a model that has none."""
    algorithm = settings.algorithm
    what = "conditional densities" if conditional else "compositions (n_maps > 1)"
    has_bounds_only = conditional or settings.n_maps > 1
    if has_bounds_only and not algorithm.quadratic:
        raise ValueError(
            f"Expected an algorithm with quadratic=True for {what}; got quadratic=False. The "
            "thesis's form is that of single joint densities."
        )
    if has_bounds_only and algorithm.nonnegativity != "bounds":
        raise ValueError(
            f"Expected an algorithm with nonnegativity='bounds' for {what}; got "
            f"{algorithm.nonnegativity!r}."
        )


def end_fit(report: FitReport, *, stacklevel: int) -> None:
    """Raise KeyboardInterrupt after an interrupted fit, and warn of one that was cut short."""
    if report.status is FitStatus.INTERRUPTED:
        raise KeyboardInterrupt
    if not report.status.finished:
        warnings.warn(report.message, ConvergenceWarning, stacklevel=stacklevel + 1)


@dataclass(frozen=True)
class Following:
    """Who follows a fit, and since when its seconds count.

    Attributes
    ----------
    callback : callable or None
        Called after every iterate.
    listener : Listener or None
        Told of phases.
    began : float
        By `time.perf_counter`.
    """

    callback: ProgressCallback | None
    listener: Listener | None
    began: float

    @staticmethod
    def of(callback: Any, verbose: int) -> "Following":
        """Return who follows a fit that begins now: a user's callback, and what `verbose` prints.

        Parameters
        ----------
        callback : callable, Listener or None
            As in `fit`.
        verbose : int
            1: a line a phase; more: also every so many iterates.
        """
        began = time.perf_counter()
        if isinstance(callback, Listener):
            return Following(None, callback, began if callback.began is None else callback.began)
        listener = PhaseLines(_print) if verbose else None
        return Following(_told(callback, verbose), listener, began)


def _told(
    callback: Callable[[Progress], None] | None, verbose: int
) -> Callable[[Progress], None] | None:
    """Return what is called after every iterate: the user's callback, and what prints; or None."""
    if verbose < VERBOSE_ITERATES:
        return callback

    def on_iteration(progress: Progress) -> None:
        if callback is not None:
            callback(progress)
        if progress.iteration % verbose == 0 or progress.iteration == 1:
            _print(str(progress))

    return on_iteration


def _print(text: str) -> None:
    print(text)  # noqa: T201 - what `verbose` asks for


def check_widths(widths: Any, name: str = "widths") -> None:
    """Raise `ValueError` unless these are positive integers, or None for the default."""
    if widths is None:
        return
    is_sequence = isinstance(widths, Sequence | np.ndarray) and not isinstance(widths, str)
    if (
        not is_sequence
        or not len(widths)
        or not all(isinstance(width, Integral) and int(width) > 0 for width in widths)
    ):
        raise ValueError(
            f"Expected {name} to be positive integers, one a hidden layer; got {widths!r}."
        )


def seed_of(random_state) -> int:
    """Return an integer seed for a scikit-learn random_state."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def generator(random_state: Any, default: Any) -> np.random.Generator:
    """Return where a sample's random numbers come from; `default` where `random_state` is None."""
    return np.random.default_rng(seed_of(default if random_state is None else random_state))


def check_n_samples(n_samples: Any) -> None:
    """Raise `ValueError` unless this is a positive integer."""
    if not isinstance(n_samples, Integral) or n_samples < 1:
        raise ValueError(f"Expected n_samples to be a positive integer; got {n_samples!r}.")


def column_names(estimator: Any) -> list[str]:
    """Return the names of the columns an estimator was fitted to: x0, x1, ... if they had none."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        return default_names(estimator.n_features_in_)
    return [str(name) for name in names]


def checked_weights(
    weights: Any, X: np.ndarray, what: str = "sample_weight"
) -> Float[np.ndarray, " N"] | None:
    """Return the weights of the rows X as float64, None where there are none."""
    if weights is None:
        return None
    found = _one_a_row(weights, X, what)
    check_weights(found, what)
    return found


def training_weights(
    sample_weight: Any, log_weights: Any, X: np.ndarray
) -> Float[np.ndarray, " N"] | None:
    """Return the weights of the rows X of a fit as float64, not all of them zero.

    Parameters
    ----------
    sample_weight, log_weights : array, (N,), or None
        The weights or their logarithms, or neither.
    X : (N, d)
        Rows.
    """
    if sample_weight is not None and log_weights is not None:
        raise ValueError(
            "Expected sample_weight or log_weights; got both. Give the weights or their logarithms."
        )
    if log_weights is not None:
        return weights_of_logs(_one_a_row(log_weights, X, "log_weights"))
    weights = checked_weights(sample_weight, X)
    if weights is not None and not np.any(weights > 0):
        raise ValueError("Expected a positive sample_weight; got zero for every row.")
    return weights


def chain_blocks(groups: Any, X: Float[np.ndarray, "N d"]) -> Blocks | None:
    """Return the blocks of rows that belong together; None where rows are independent.

    Parameters
    ----------
    groups : (N,) or None
        Labels of chains.
    X : (N, d)
        Rows.
    """
    if groups is None:
        return None
    labels = np.asarray(groups)
    if labels.shape != (len(X),):
        raise ValueError(
            f"Expected one label of groups for each of the {len(X)} rows; got {labels.shape}."
        )
    return blocks_of(X, labels)


def warn_of_chains(
    X: Float[np.ndarray, "N k"],
    names: Sequence[str],
    *,
    context: Float[np.ndarray, "N q"] | None = None,
    stacklevel: int,
) -> None:
    """Warn of columns whose neighbouring rows are alike, as those of a chain are.

    Parameters
    ----------
    X : (N, k)
        The columns that the density is of, rows in the order given.
    names : sequence of str
        Their names.
    context : (N, q), optional
        Columns that it is conditional on: where these are in an order, targets follow.
    stacklevel : int
        Of the warning.
    """
    N = len(X)
    if context is not None and np.any(looks_like_a_chain(lag_one_correlations(context), N)):
        return
    correlations = lag_one_correlations(X)
    alike = np.flatnonzero(looks_like_a_chain(correlations, N))
    if len(alike):
        worst = int(alike[np.argmax(correlations[alike])])
        found = quoted([names[i] for i in alike.tolist()])
        warnings.warn(
            f"Expected independent rows; got rows like those before them in {found} (correlation "
            f"{correlations[worst]:.2f} in {names[worst]!r}). Of draws of a Markov chain, say "
            "which chain each is of (groups=, --chains): until then the error of the gain is too "
            "small. If their order means nothing, shuffle the rows.",
            InputWarning,
            stacklevel=stacklevel + 1,
        )


def told_of_far_rows(
    report: FitReport,
    X: Float[np.ndarray, "N n"],
    preprocessing: AbstractPreprocessing,
    names: Sequence[str],
    settings: Settings,
    *,
    stacklevel: int,
) -> FitReport:
    """Return the report with the far rows counted and named, and warn of codes among them.

    Parameters
    ----------
    report : FitReport
        Without them.
    X : (N, n)
        The columns that the density is of, in the table's order.
    preprocessing : AbstractPreprocessing
        The fit's.
    names : sequence of str
        Column names.
    settings : Settings
        Of the fit.
    stacklevel : int
        Of the warning.
    """
    own, order = own_columns(preprocessing)
    ordered = [names[int(k)] for k in order]
    found = far_rows_of(X[:, order], own, ordered, settings.far_distance)
    if found.codes:
        warnings.warn(
            f"Expected measured values; got far rows that share one: {'; '.join(found.codes)}. If "
            "it stands for a missing value, drop these rows.",
            InputWarning,
            stacklevel=stacklevel + 1,
        )
    return replace(report, n_far=found.count, far_rows=found.named)


def _one_a_row(weights: Any, X: np.ndarray, what: str) -> Float[np.ndarray, " N"]:
    """Return float64 numbers, one for each row of X, that scikit-learn has checked but for NaN."""
    check_unmasked(weights, what)
    if not isinstance(weights, Real):
        # A copy of what it refuses to see: infinity and NaN are named by their rows afterwards.
        weights = np.array(weights, dtype=np.float64)
        seen = np.where(np.isfinite(weights), weights, 0.0)
        _check_sample_weight(seen, X, dtype=np.float64)
        return weights
    return np.full(len(X), float(weights))


def effective_rows(weights: Float[np.ndarray, " N"] | None, rows: WeightedRows) -> float | None:
    """Return what the distinct rows are worth; None where they are independent and alike."""
    return rows.effective_size if are_unequal(weights) or rows.block is not None else None


def warn_of_few_effective_rows(value: float | None, n_rows: int, *, stacklevel: int) -> None:
    """Warn where unequal weights, or chains, leave few rows that count.

    Parameters
    ----------
    value : float or None
        What the rows are worth; None where their weights are equal.
    n_rows : int
        Number of rows.
    stacklevel : int
        Of the warning, counted from the caller.
    """
    if value is None or value >= FEW_EFFECTIVE_ROWS:
        return
    warnings.warn(
        f"Expected {FEW_EFFECTIVE_ROWS} effective rows or more; got {n_rows} rows, worth "
        f"{value:.1f} independent ones of equal weight (Kish's (sum w)^2 / sum w^2, over the time "
        "in which a chain forgets). Few rows then decide everything: get weights that vary less, "
        "longer chains, or more rows.",
        InputWarning,
        stacklevel=stacklevel + 1,
    )


def mean_score(log_density: Float[np.ndarray, " N"], sample_weight: Any) -> float:
    """Return the mean log-density of rows, weighted if there are weights."""
    return float(np.average(log_density, weights=checked_weights(sample_weight, log_density)))


def discrete_columns(
    X: Float[np.ndarray, "N n"],
    weights: Float[np.ndarray, " N"] | None,
    rows: WeightedRows,
    names: Sequence[str],
    *,
    stacklevel: int,
) -> tuple[str, ...]:
    """Return the names of the columns whose values repeat, after a warning that says how.

    Parameters
    ----------
    X : (N, n)
        The density's own columns, as given.
    weights : (N,) or None
        Their weights.
    rows : WeightedRows
        The distinct rows, a context's columns included.
    names : sequence of n str
        Column names.
    stacklevel : int
        Of the warning, counted from the caller.
    """
    grids = repeated_columns(X, weights, len(rows.X), names)
    if grids:
        warnings.warn(repeats_message(grids), InputWarning, stacklevel=stacklevel + 1)
    return tuple(grid.name for grid in grids)


def normal_points(Z, n: int) -> Float[np.ndarray, "N n"]:
    """Return points of the normal space as finite float64."""
    check_unmasked(Z, "Z")
    frame = frame_of(Z)
    names = None if frame is None else frame.names
    Z = np.asarray(Z, dtype=np.float64)
    if Z.ndim != 2 or Z.shape[1] != n:
        raise ValueError(f"Expected points of shape (N, {n}); got {Z.shape}.")
    own = default_names(n, "z")
    if names is not None and names != own and sorted(names) == sorted(own):
        raise ValueError(
            f"Expected points with the columns {quoted(own)} in this order; got them "
            f"as {quoted(names)}."
        )
    check_finite(Z, own)
    return Z


def inversion_message(inversion: Inversion, failed: np.ndarray) -> str:
    """Return one sentence on points whose preimages were not found."""
    return (
        f"{len(failed)} of {len(inversion.converged)} points have no preimage that could be found "
        f"(first: row {failed[0]}, residual {inversion.residual[failed[0]]:.1e}); they are NaN. "
        "Without quadratic terms the map's image is bounded; with them, such a point lies "
        "absurdly far out."
    )
