"""A fitted density of all columns, given values of some of them."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from brenier.data.bounds import Bounds
from brenier.data.cells import Cells
from brenier.data.names import position_of, quoted
from brenier.estimators.asking import Asked, places_of
from brenier.estimators.normal import check_n_samples, generator
from brenier.estimators.tables import as_asked, rows_of_columns
from brenier.marginal.cloud import Cloud
from brenier.marginal.joint import Coordinates
from brenier.marginal.slices import AbstractSlice, Free, Line, Plane
from brenier.status import InputWarning

# Effective size of an importance sample below which a warning is due.
LEAST_EFFECTIVE = 400
# Given values are far out if the nearest few draws are so much farther than those of any draw.
NEAREST, FAR = 5, 1.5
# Mass beyond which no counts are summed over, and counts at most.
NOTHING, MOST_VALUES = 1e-12, 4096


@dataclass(frozen=True)
class ConditionedDensity:
    """The density of some columns, given values of all others.

    Of one or two free columns everything is computed by quadrature of the joint density; of more
    by importance sampling, with the effective size and the standard error that are stated here.

    Attributes
    ----------
    columns : list of str
        The free columns, in the table's order.
    given : dict of str to float
        The values of the others.
    log_density_of_given : float
        The logarithm of the density of these (nats).
    standard_error : float
        Its standard error (nats), and that of every log-density: one number, the same for all
        rows. Zero by quadrature.
    effective_size : float
        How many independent draws the importance sample is worth; infinite by quadrature.
    """

    columns: list[str]
    given: dict[str, float]
    log_density_of_given: float
    standard_error: float
    effective_size: float
    _asked: Asked = field(repr=False)
    _slice: AbstractSlice = field(repr=False)

    def log_density(self, X) -> Float[np.ndarray, " N"]:
        """Return the log-density of rows of the free columns, given the values (nats).

        Parameters
        ----------
        X : array or table, (N, m)
            An array with its columns in the order of `columns`, (N,) if there is one, or a table
            with these names.

        Returns
        -------
        (N,)
            Minus infinity outside the bounds. Those of counts are probabilities.
        """
        places = self._places
        rows = self._asked.within_a_turn(places, rows_of_columns(X, self.columns))
        coordinates, inside = self._coordinates, self._asked.inside(places, rows)
        found = np.full(len(rows), -np.inf)
        if self._cells.columns.size:
            whole = np.empty((int(inside.sum()), self._asked.n))
            whole[:, places] = rows[inside]
            whole[:, self._given_places] = [*self.given.values()]
            found[inside] = self._asked.joint.log_density(whole) - self.log_density_of_given
            return found
        U = coordinates.inward(rows[inside])
        found[inside] = self._slice.log_density(U) - coordinates.log_slopes(U)
        return found

    def sample(self, n_samples=1, random_state=None) -> Any:
        """Return rows of the free columns drawn given the values, in the order of `columns`.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        random_state : int, RandomState or None
            Seed; None takes the estimator's own.
        """
        check_n_samples(n_samples)
        rng = generator(random_state, self._asked.estimator.random_state)
        rows = self._coordinates.outward(self._slice.sample(int(n_samples), rng))
        rows = self._cells.fold(rows)
        return as_asked(self._asked.estimator, rows, self.columns)

    def mean(self) -> Float[np.ndarray, " m"]:
        """Return the mean of every free column."""
        return np.array([self._mean(j) for j in range(len(self.columns))])

    def quantile(self, levels) -> Any:
        """Return quantiles of every free column.

        Parameters
        ----------
        levels : float or (k,)
            Levels between 0 and 1.

        Returns
        -------
        (m,) or (k, m)
            Without the last axis where one column is free.
        """
        p = checked_levels(levels)
        found = self._coordinates.outward(self._slice.quantiles(p.reshape(-1)))
        # Rounding is monotone: the quantile of a count is that of its real number, rounded.
        return shaped_as(p, self._cells.fold(found))

    def _mean(self, j: int) -> float:
        """Return the mean of a free column; of a count the sum over its values."""
        plain = self._slice.mean(j, self._coordinates[[j]])
        if j not in self._cells.columns:
            return plain
        ends = self._slice.quantiles(np.array([NOTHING, 1.0 - NOTHING]))
        low, high = self._cells.fold(self._coordinates.outward(ends))[:, j]
        if high - low > MOST_VALUES:
            # Of a density as wide as that, rounding does not move the mean.
            return plain
        values = np.arange(low, high + 1.0)
        rows = np.tile([*self.given.values(), 0.0], (len(values), 1))
        rows[:, -1] = values
        logs = self._asked.log_densities(np.append(self._given_places, self._places[j]), rows)
        shares = np.exp(logs.values - np.max(logs.values))
        return float(shares @ values / np.sum(shares))

    @property
    def _places(self) -> Int[np.ndarray, " m"]:
        """Where the free columns stand."""
        return self._slice.free.columns

    @property
    def _given_places(self) -> Int[np.ndarray, " k"]:
        """Where the given columns stand."""
        return np.array([self._asked.names.index(name) for name in self.given], dtype=int)

    @property
    def _cells(self) -> Cells:
        """The counts among the free columns."""
        return self._asked.estimator.folding_.cells.among(self._places)

    @property
    def _coordinates(self) -> Coordinates:
        """Coordinates of the free columns."""
        return self._slice.free.joint.coordinates[self._places]


def condition(asked: Asked, values: Mapping[Any, Any]) -> ConditionedDensity:
    """Return a density given values of some columns, by their names or positions.

    Raises
    ------
    ValueError
        If a column is unknown, a value no number or outside its bounds, or none is given or free.
    """
    values = _within_a_turn(asked, values)
    bounds = Bounds(asked.joint.coordinates.low, asked.joint.coordinates.high)
    given = checked_values(values, asked.names, bounds)
    _check_whole(asked, given)
    places = np.array([asked.names.index(name) for name in given], dtype=int)
    numbers = np.array([*given.values()])
    columns = asked.rest(places)
    own = asked.over(columns)
    U = own.whole_rows(places, numbers[None])
    _warn_of_far(own, given, U[:, places])
    found = _slice_of(own, Free(own.joint, columns, U))
    if not np.isfinite(found.log_mass):
        raise ValueError(
            f"Expected values that the density has near by; got {_told(given)}, where it is "
            "zero to every digit. Give values nearer to the training data."
        )
    size = found.effective_size if isinstance(found, Cloud) else np.inf
    _warn_of_few(size, found.standard_error)
    slopes = own.joint.coordinates[places].log_slopes(U[:, places])
    return ConditionedDensity(
        [asked.names[j] for j in columns],
        given,
        float(found.log_mass - slopes[0]),
        found.standard_error,
        float(size),
        asked,
        found,
    )


def _check_whole(asked: Asked, given: dict[str, float]) -> None:
    for c in asked.estimator.folding_.cells.columns.tolist():
        value = given.get(asked.names[c], 0.0)
        if value % 1:
            raise ValueError(
                f"Expected a whole number as the value of the discrete column {asked.names[c]!r}; "
                f"got {value:g}."
            )


def _within_a_turn(asked: Asked, values: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return given values, those of periodic columns within their period."""
    circles, found = asked.estimator.folding_.circles, dict(values)
    for c, low, period in zip(circles.columns, circles.low, circles.period, strict=True):
        for key, value in values.items():
            if position_of(key, asked.names) == c and isinstance(value, Real):
                found[key] = float(low + np.mod(float(value) - low, period))
    return found


def given_values(values: Any, named: Mapping[str, Any]) -> dict[Any, Any]:
    """Return the values in a mapping, if there is one, and those given by name."""
    if values is not None and not isinstance(values, Mapping):
        raise ValueError(
            f"Expected values as a mapping of columns to numbers, such as {{'b': 0.3}}; got "
            f"{values!r:.80}."
        )
    return {**(values or {}), **named}


def checked_values(values: Mapping[Any, Any], names: list[str], bounds: Bounds) -> dict[str, float]:
    """Return given values by the names of their columns.

    Parameters
    ----------
    values : mapping
        Of names or positions of columns to numbers.
    names : list of n str
        All columns.
    bounds : Bounds
        Theirs.

    Raises
    ------
    ValueError
        If a column is unknown, a value no number or outside its bounds, or none is given or free.
    """
    places = places_of(list(values), names, "values of")
    if not 0 < len(places) < len(names):
        raise ValueError(
            f"Expected values of some columns of {quoted(names)}, with one free at least; got "
            f"values of {quoted(list(values)) or 'none'}."
        )
    for j, value in zip(places, values.values(), strict=True):
        if not isinstance(value, Real) or not np.isfinite(float(value)):
            raise ValueError(
                f"Expected a finite number as the value of {names[j]!r}; got {value!r}."
            )
        low, high = bounds.low[j], bounds.high[j]
        if not low < value < high:
            raise ValueError(
                f"Expected a value of {names[j]!r} strictly inside its bounds, ({low:g}, "
                f"{high:g}); got {value:g}."
            )
    return {names[j]: float(value) for j, value in zip(places, values.values(), strict=True)}


def checked_levels(levels: Any) -> Float[np.ndarray, "..."]:
    """Return levels of quantiles; raise `ValueError` unless they lie between 0 and 1."""
    p = np.asarray(levels, dtype=np.float64)
    if p.ndim > 1 or not np.all((p > 0) & (p < 1)):
        raise ValueError(f"Expected levels of quantiles between 0 and 1; got {levels!r:.80}.")
    return p


def shaped_as(levels: Float[np.ndarray, "..."], found: Float[np.ndarray, "k m"]) -> Any:
    """Return quantiles of one level or several, without the columns' axis where there is one."""
    m = found.shape[1]
    return found.reshape(levels.shape if m == 1 else (*levels.shape, m))[()]


def _slice_of(asked: Asked, free: Free) -> AbstractSlice:
    """Return the conditional density by quadrature where it can be had."""
    if len(free.columns) == 1:
        return Line(free)
    if len(free.columns) == 2:
        return Plane(free)
    return Cloud.of(free, asked.mixture, asked.generator(1))


def _warn_of_far(asked: Asked, given: dict[str, float], U: Float[np.ndarray, "1 m"]) -> None:
    """Warn of given values that lie farther from draws than any draw does from others."""
    places = np.array([asked.names.index(name) for name in given], dtype=int)
    draws = asked.joint.draws[:, places]
    tree = KDTree(draws)
    of_draws = tree.query(draws, NEAREST + 1)[0][:, -1]
    if tree.query(U, NEAREST)[0][0, -1] <= FAR * np.max(of_draws):
        return
    ends = asked.joint.coordinates[places].outward(np.quantile(draws, (0, 1), axis=0)).T
    ranges = ", ".join(
        f"{name!r} from {low:.4g} to {high:.4g}"
        for name, (low, high) in zip(given, ends, strict=True)
    )
    warnings.warn(
        f"Expected given values near those that the density was fitted to; got {_told(given)}, far "
        f"from all {len(draws)} draws from it ({ranges}). What is said of the other columns there "
        "is an extrapolation.",
        InputWarning,
        stacklevel=4,
    )


def _told(given: dict[str, float]) -> str:
    return ", ".join(f"{name} = {value:.6g}" for name, value in given.items())


def _warn_of_few(size: float, error: float) -> None:
    if size >= LEAST_EFFECTIVE:
        return
    warnings.warn(
        f"Expected an importance sample worth {LEAST_EFFECTIVE} independent draws or more; got "
        f"one worth {size:.0f}: log-densities have a standard error of {error:.2g} nats, and "
        "means and quantiles are of few draws. Give values of more columns, or of those nearer to "
        "the training data.",
        InputWarning,
        stacklevel=4,
    )
