"""An order of columns that their contents alone give, whatever order they come in.

Columns are put in the order of where the median of their distinct values lies between the least and
the largest: that depends neither on rows' order and copies nor on the column's unit, but for
rounding. Where two columns have it in common, as ranks do, numbers made of their cells and of all
cells of the same rows decide. Columns that still have the same can be exchanged: the table stays
what it is.
"""

import numpy as np
from jaxtyping import Float, Int, UInt64

# Of the finaliser of splitmix64 (Steele, Lea, Flood 2014), which makes uniform bits of any.
SHIFTS = (30, 27, 31)
FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def column_order(X: Float[np.ndarray, "N d"]) -> Int[np.ndarray, " d"]:
    """Return which column comes first, second, ..."""
    medians = np.array([_median_place(column) for column in X.T])
    tied = np.isin(medians, [m for m in medians if np.sum(medians == m) > 1])
    prints = np.zeros(len(medians), dtype=np.uint64)
    if tied.any():
        prints[tied] = _fingerprints(X)[tied]
    return np.lexsort((prints, medians))


def _median_place(column: np.ndarray) -> float:
    values = np.unique(column)
    width = float(values[-1] - values[0])
    return float(values[len(values) // 2] - values[0]) / width if width > 0 else 0.0


def _fingerprints(X: Float[np.ndarray, "N d"]) -> UInt64[np.ndarray, " d"]:
    """Return a number for every column that no order of rows or columns changes, nor copies."""
    # Adding zero turns -0.0 into 0.0. Sums of bits wrap, and do not depend on their order.
    cells = mixed(np.ascontiguousarray(X + 0.0).view(np.uint64))
    rows = mixed(cells.sum(axis=1, dtype=np.uint64))
    own = (np.unique(mixed(column ^ rows)) for column in cells.T)
    return np.array([values.sum(dtype=np.uint64) for values in own])


def mixed(bits: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    """Return bits that look uniform, a number for each; different ones of different numbers."""
    for shift, factor in zip(SHIFTS, FACTORS, strict=False):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return bits ^ (bits >> np.uint64(SHIFTS[-1]))
