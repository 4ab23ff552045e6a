"""Which rows are held out: a share of them, chosen by their contents."""

from collections.abc import Callable

import numpy as np

from brenier.data.checks import check_columns
from brenier.data.rows import Split, WeightedRows


def split_rows(
    rows: WeightedRows,
    share: float,
    columns: Callable[[np.ndarray], np.ndarray],
    turn: int = 0,
) -> Split:
    """Return training and held-out rows; nothing is held out where too little would be left.

    Parameters
    ----------
    rows : WeightedRows
        All rows.
    share : float
        Of the rows to hold out, below one; 0 holds out none.
    columns : callable, (N, d) -> (N, n)
        The columns that the density is of, after their bounds' maps: the training rows must leave
        them a density.
    turn : int
        Every turn holds out other rows, as long as there are such.
    """
    if not share:
        return Split(rows)
    held = (rows.position - turn * share) % 1.0 < share
    train, heldout = rows[~held], rows[held]
    if len(heldout.X) < 2 or len(train.X) <= rows.X.shape[1] + 1:
        return Split(rows)
    try:
        own = columns(train.X)
        check_columns(own, [str(i) for i in range(own.shape[1])])
    except ValueError:
        # Without the held-out rows the rest has no density: better to train on all.
        return Split(rows)
    return Split(train, heldout)
