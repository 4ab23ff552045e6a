"""The parameters of an estimator, checked, and the settings of the fit that they ask for."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from brenier.estimators.on_devices import asked
from brenier.training.algorithm import Algorithm
from brenier.training.settings import Settings, default_settings

# As `n_maps`: held-out rows choose.
AUTO = "auto"
_COUNT = Interval(Integral, 1, None, closed="left")
# What the settings that all fits have may be, as scikit-learn checks it.
CONSTRAINTS: Mapping[str, list[Any]] = MappingProxyType(
    {
        "columns": [list, tuple, None],
        "n_maps": [_COUNT, StrOptions({AUTO})],
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
    given some. This is the one place where they are resolved. Where held-out rows choose the number
    of maps, they are those of one.

    Raises
    ------
    ValueError
        Where widths are no widths, or the thesis's form is asked of a model that has none.
    """
    n_maps = 1 if estimator.n_maps == AUTO else estimator.n_maps
    return _settings_of(estimator, n_maps, conditional=conditional)


def composed_settings_of(estimator: Any, *, conditional: bool) -> Settings:
    """Return those of several maps, of an estimator whose number of maps held-out rows choose.

    Its number of potentials is that of a single map.
    """
    return _settings_of(estimator, 2, conditional=conditional, n_estimators=1)


def _settings_of(
    estimator: Any, n_maps: int, *, conditional: bool, n_estimators: int | None = None
) -> Settings:
    """Return all numbers of a fit of so many maps, and of so many potentials if that is said."""
    check_widths(estimator.widths)
    if conditional:
        check_widths(estimator.context_widths, "context_widths")
    defaults = default_settings(composed=n_maps > 1, conditional=conditional)
    known = {field.name: field.type for field in fields(Settings)}
    given = {
        name: _plain(value, known[name])
        for name, value in estimator.get_params(deep=False).items()
        if name in known and value is not None
    }
    n_estimators = estimator.n_estimators if n_estimators is None else n_estimators
    if n_estimators is not None:
        given["n_estimators"] = given["n_estimators_few"] = int(n_estimators)
    settings = replace(defaults, **{**given, "n_maps": int(n_maps), "devices": asked()})
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
