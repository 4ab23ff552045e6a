"""What all estimators share: settings and their checks, seeds, the split, how a fit ends."""

import warnings
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight

from brenier.data.checks import check_columns, check_finite
from brenier.data.rows import Rows
from brenier.flow.inverse import Inversion
from brenier.flow.preprocessing import ColumnBounds
from brenier.inner.barrier import Barrier
from brenier.inner.primal_dual import PrimalDual
from brenier.optimizers.early_stopping import StoppingCriteria
from brenier.optimizers.named import OPTIMIZERS
from brenier.potential.activations import ACTIVATIONS
from brenier.status import FitStatus
from brenier.training.report import FitReport

# Floor of the quadratic weights, relative to the Gaussian's own.
W_MIN = 1e-2
INNER_SOLVERS = {"primal-dual": PrimalDual, "barrier": Barrier}
# What the settings that all fits have may be, as scikit-learn checks it.
CONSTRAINTS: Mapping[str, list[Any]] = MappingProxyType(
    {
        "activation": [StrOptions(set(ACTIVATIONS))],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "inner": [StrOptions(set(INNER_SOLVERS))],
        "tau": [Interval(Real, 0, None, closed="neither")],
        "decay": [None, Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_seconds": [None, Interval(Real, 0, None, closed="left")],
        "max_work_units": [None, Interval(Integral, 1, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
)
# Held out where `validation_fraction` of the rows would be fewer than this, up to a quarter.
LEAST_HELDOUT = 100


def common_settings(estimator: Any, seed: int) -> dict[str, Any]:
    """Return the fields of `Settings` that every estimator has from its own settings."""
    return {
        "widths": tuple(int(width) for width in estimator.widths),
        "activation": ACTIVATIONS[estimator.activation],
        "solver": INNER_SOLVERS[estimator.inner](tau=float(estimator.tau)),
        "optimizer": OPTIMIZERS[estimator.optimizer](float(estimator.tol), seed),
        "w_min": W_MIN,
        "criteria": StoppingCriteria(
            int(estimator.max_iter),
            int(estimator.n_iter_no_change),
            estimator.max_seconds,
            estimator.max_work_units,
        ),
        "n_init": int(estimator.n_init),
        "seed": seed,
    }


def end_fit(report: FitReport, *, stacklevel: int) -> None:
    """Raise KeyboardInterrupt after an interrupted fit, and warn of one that was cut short."""
    if report.status is FitStatus.INTERRUPTED:
        raise KeyboardInterrupt
    if not report.status.finished:
        warnings.warn(report.message, ConvergenceWarning, stacklevel=stacklevel + 1)


def check_widths(widths: Any) -> None:
    """Raise `ValueError` unless these are positive integers."""
    is_sequence = isinstance(widths, Sequence | np.ndarray) and not isinstance(widths, str)
    if (
        not is_sequence
        or not len(widths)
        or not all(isinstance(width, Integral) and int(width) > 0 for width in widths)
    ):
        raise ValueError(
            f"Expected widths to be positive integers, one a hidden layer; got {widths!r}."
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
        return [f"x{i}" for i in range(estimator.n_features_in_)]
    return [str(name) for name in names]


def training_weights(sample_weight: Any, X: np.ndarray) -> Float[np.ndarray, " N"] | None:
    """Return the weights of the rows X of a fit as float64, not all of them zero."""
    if sample_weight is None:
        return None
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not np.any(weights > 0):
        raise ValueError("Expected a positive sample_weight; got zero for every row.")
    return weights


def split_rows(
    rows: Rows, fraction: float, bounds: ColumnBounds, turn: int = 0
) -> tuple[Rows, Rows | None]:
    """Return training and held-out rows; nothing is held out where too little would be left.

    The first columns, those that have bounds, are the density's own; a context's may follow. Every
    `turn` holds out other rows, as long as there are such.
    """
    if not fraction:
        return rows, None
    N, d = rows.X.shape
    n = len(bounds.low)
    share = max(fraction, min(0.25, LEAST_HELDOUT / N))
    held = (rows.position - turn * share) % 1.0 < share
    training, heldout = rows[~held], rows[held]
    if len(heldout.X) < 2 or len(training.X) <= d + 1:
        return rows, None
    try:
        own = np.asarray(bounds.forward(training.X[:, :n])[0])
        check_columns(own, [str(i) for i in range(n)])
    except ValueError:
        # Without the held-out rows the rest has no density: better to train on all.
        return rows, None
    return training, heldout


def normal_points(Z, n: int) -> Float[np.ndarray, "N n"]:
    """Return points of the normal space as finite float64."""
    Z = np.asarray(Z, dtype=np.float64)
    if Z.ndim != 2 or Z.shape[1] != n:
        raise ValueError(f"Expected points of shape (N, {n}); got {Z.shape}.")
    check_finite(Z, [f"z{i}" for i in range(n)])
    return Z


def inversion_message(inversion: Inversion, failed: np.ndarray) -> str:
    """Return one sentence on points whose preimages were not found."""
    return (
        f"{len(failed)} of {len(inversion.converged)} points have no preimage that could be found "
        f"(first: row {failed[0]}, residual {inversion.residual[failed[0]]:.1e}); they are NaN. "
        "Without quadratic terms the map's image is bounded; with them, such a point lies "
        "absurdly far out."
    )
