"""Which rows are held out, and which judge: shares of them, chosen by their contents."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from brenier.data.checks import check_columns
from brenier.data.rows import Split, WeightedRows

# Independent rows, or blocks of them, that judge: fewer have no standard error to speak of.
LEAST_JUDGES = 10
# The largest number below one.
LARGEST_POSITION = np.nextafter(1.0, 0.0)


class Table(NamedTuple):
    """All rows of a fit.

    Attributes
    ----------
    rows : WeightedRows
        What is trained on, or chooses.
    judge : WeightedRows or None
        What only judges.
    effective_size : float
        Of both together.
    why_not : str
        Why nothing judges, in a clause; nothing where something does.
    """

    rows: WeightedRows
    judge: WeightedRows | None
    effective_size: float
    why_not: str = ""

    @property
    def n_judge(self) -> int:
        """Number of judge rows."""
        return 0 if self.judge is None else len(self.judge.X)


def set_apart(
    rows: WeightedRows, share: float, least: int, lone: Bool[np.ndarray, " N"] | None = None
) -> Table:
    """Return rows, some of them set apart to judge.

    Parameters
    ----------
    rows : WeightedRows
        All of them.
    share : float
        Of the rows to judge, below one; 0: none.
    least : int
        Independent rows from which on some judge.
    lone : (N,)
        Which rows are far off all others: they do not judge.
    """
    size = rows.effective_size
    if not share:
        return Table(rows, None, size, "no rows were set apart for it (judge_fraction is 0)")
    judges = (rows.position >= 1.0 - share) & _others(rows, lone)
    if size < least or len(np.unique(rows.position[judges])) < LEAST_JUDGES:
        worth = f"{len(rows.X)} rows"
        worth += f", worth {size:.0f} independent ones" * (round(size) < len(rows.X))
        return Table(rows, None, size, f"too few rows ({worth}; {least} are needed)")
    rest = rows[~judges]
    # Uniform in [0, 1) again, for the rows to be held out.
    position = np.minimum(rest.position / (1.0 - share), LARGEST_POSITION)
    return Table(rest._replace(position=position), rows[judges], size)


def split_rows(
    rows: WeightedRows,
    share: float,
    columns: Callable[[np.ndarray], np.ndarray] | None,
    turn: int = 0,
    lone: Bool[np.ndarray, " N"] | None = None,
) -> Split:
    """Return training and held-out rows; nothing is held out where too little would be left.

    Parameters
    ----------
    rows : WeightedRows
        All rows.
    share : float
        Of the rows to hold out, below one; 0 holds out none.
    columns : callable, (N, d) -> (N, n), or None
        The columns that the density is of, after their bounds' maps: the training rows must leave
        them a density. None: any rows do.
    turn : int
        Every turn holds out other rows, as long as there are such.
    lone : (N,)
        Which rows are far off all others: they are not held out.
    """
    if not share:
        return Split(rows)
    held = ((rows.position - turn * share) % 1.0 < share) & _others(rows, lone)
    train, heldout = rows[~held], rows[held]
    least = 1 if columns is None else rows.X.shape[1] + 1
    if len(heldout.X) < 2 or len(train.X) <= least:
        return Split(rows)
    if columns is None:
        return Split(train, heldout)
    try:
        own = columns(train.X)
        check_columns(own, [str(i) for i in range(own.shape[1])])
    except ValueError:
        # Without the held-out rows the rest has no density: better to train on all.
        return Split(rows)
    return Split(train, heldout)


def _others(rows: WeightedRows, lone: Bool[np.ndarray, " N"] | None) -> Bool[np.ndarray, " N"]:
    """Return which rows are not far off all others."""
    return np.ones(len(rows.X), bool) if lone is None else ~lone
