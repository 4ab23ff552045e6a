"""Columns whose values repeat: counted, rounded, tied, or at one value in many rows.

Such a column has no density. Where k rows have one value, a spike of width s there is worth
k log(1/s) nats, as many as one likes, on rows held out too: a likelihood then measures the spikes.

A column repeats where fewer than half of its values are distinct. Its *step* is the width of the
grid they lie on, the greatest of which all gaps between distinct values are multiples up to
rounding; without a grid, the least gap. Values of many digits repeat in long tables too, and do no
harm where the step is too fine for any density to see.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Real

# A column has repeated values where fewer than this share of them are distinct, in this many rows
# or more; or where one value has this share of the rows.
LEAST_DISTINCT, LEAST_ROWS, ONE_VALUE = 0.5, 20, 0.3
# Steps below this share of a column's spread are too fine to matter.
COARSE = 1e-4
# A grid is known where the numbers' own rounding is less than this share of its step.
ROUNDING = 0.01
# What numbers of 64 and of 32 bits have lost by rounding, relative to their size.
EPS_64, EPS_32 = float(np.finfo(np.float64).epsneg), float(np.finfo(np.float32).epsneg)


@dataclass(frozen=True)
class Grid:
    """A column whose values repeat.

    Attributes
    ----------
    column : int
        Its position.
    name : str
        Its name.
    step : float
        Width of the grid that the values lie on; where there is none, the least gap.
    value : float or None
        The value that many rows have, where it is only this one that repeats.
    share : float
        Of the rows that have it; else of the values that are distinct.
    """

    column: int
    name: str
    step: float
    value: float | None
    share: float

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.name!r} (step {self.step:.6g})"
        return f"{self.name!r} (the value {self.value:g} in {self.share:.0%} of the rows)"


def repeated_columns(
    X: Float[np.ndarray, "N n"],
    weights: Real[np.ndarray, " N"] | None,
    n_distinct: int,
    names: Sequence[str],
) -> list[Grid]:
    """Return the columns whose values repeat, with their steps.

    Parameters
    ----------
    X : (N, n)
        Rows as they were given, those that repeat as a whole not merged.
    weights : (N,) or None
        Their weights; integers count as copies, as they do in a fit.
    n_distinct : int
        Number of distinct rows of positive weight, a context's columns included. To repeat as a
        whole, as those of a Markov chain do, does not make columns of rows discrete.
    names : sequence of n str
        Column names.
    """
    copies = np.ones(len(X)) if weights is None else np.asarray(weights)
    X, copies = X[copies > 0], copies[copies > 0]
    if np.any(copies != np.round(copies)):
        copies = np.ones(len(X))
    found = (_repeats(X[:, i], copies, n_distinct, i, name) for i, name in enumerate(names))
    return [grid for grid in found if grid is not None]


def repeats_message(grids: Sequence[Grid]) -> str:
    """Return a warning that names the columns, what is wrong with them, and the remedies."""
    remedies = []
    if any(grid.value is None for grid in grids):
        remedies.append(
            "If they are counted, say so (discrete=, --discrete); if they are rounded, add uniform "
            "noise of one step's width first (dequantisation)."
        )
    if any(grid.value is not None for grid in grids):
        remedies.append("Fit the rows without that one value, and count its share apart.")
    return (
        f"Expected columns with a density; got many equal values in "
        f"{', '.join(map(str, grids))}. Where values repeat, any density can grow spikes and its "
        f"likelihood means nothing: no gain is claimed. {' '.join(remedies)}"
    )


def _repeats(
    x: np.ndarray, copies: np.ndarray, n_distinct: int, column: int, name: str
) -> Grid | None:
    """Return what is known of a column whose values repeat; None where they do not."""
    values, places = np.unique(x, return_inverse=True)
    if copies.sum() < LEAST_ROWS or len(values) == 1:
        return None
    gaps, floor = np.diff(values), COARSE * _spread(x)
    step = common_step(values, floor)
    # On a grid even rows that repeat as a whole are no copies of one draw.
    n_rows = n_distinct if step is None else copies.sum()
    coarse = step is not None or np.median(gaps) >= floor
    if coarse and n_rows >= LEAST_ROWS and len(values) < LEAST_DISTINCT * n_rows:
        return Grid(column, name, step or float(gaps.min()), None, len(values) / float(n_rows))
    counts = np.bincount(places, weights=copies)
    share, most = float(counts.max() / copies.sum()), float(values[np.argmax(counts)])
    if share >= ONE_VALUE and len(values) >= LEAST_ROWS:
        return Grid(column, name, float(gaps.min()), most, share)
    return None


def common_step(values: Float[np.ndarray, " m"], floor: float) -> float | None:
    """Return the greatest step of which all gaps are multiples up to rounding; None for none.

    Euclid's algorithm on all gaps at once, a bound on every remainder's error carried along.

    Parameters
    ----------
    values : (m,)
        Distinct, ascending.
    floor : float
        Steps below it are not looked for.
    """
    largest, gaps = float(np.abs(values[[0, -1]]).max()), np.diff(values)
    step = _common_step(gaps, 2 * EPS_64 * largest, floor)
    if step is None and is_of_32_bits(values):
        return _common_step(gaps, 2 * EPS_32 * largest, floor)
    return step


def is_of_32_bits(values: Float[np.ndarray, " m"]) -> bool:
    """Return whether numbers of 32 bits hold the values exactly."""
    with np.errstate(over="ignore"):
        return np.array_equal(values, values.astype(np.float32))


def _common_step(gaps: np.ndarray, rounding: float, floor: float) -> float | None:
    step, error = float(gaps.min()), rounding
    while step >= floor and error < ROUNDING * step:
        multiples = np.round(gaps / step)
        errors = rounding + multiples * error
        rest = np.abs(gaps - multiples * step)
        known = errors < ROUNDING * step
        left = known & (rest > errors)
        # The least gap, which is a step by itself, says nothing.
        if 2 * (known.sum() - 1) < len(gaps) - 1:
            return None
        if not left.any():
            # The whole range in steps has the least rounding.
            return float(gaps.sum() / multiples.sum())
        least = np.flatnonzero(left)[np.argmin(rest[left])]
        step, error = float(rest[least]), float(errors[least])
    return None


def _spread(x: np.ndarray) -> float:
    """Return the width of the middle half of the rows; where that is nothing, their sd."""
    low, high = np.quantile(x, [0.25, 0.75])
    return float(high - low) or float(np.std(x))
