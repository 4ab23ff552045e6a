"""What a density estimator must offer to be measured beside the others."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.data import Split
from benchmarks.whitening import Whitening

CORES = 2
# Of the rows of a peer that needs rows to choose by where there are none.
HELD_OUT = 0.2
# Rounds of draws after which hardly anything can be inside of a box.
ROUNDS = 1000

# Seconds since the fit began.
Clock = Callable[[], float]
LogDensity = Callable[[np.ndarray], np.ndarray]
# So many new rows.
Draw = Callable[[int], np.ndarray]


class Fitted(NamedTuple):
    """A fitted density.

    `draw` returns so many new rows; `best_at` is the second at which the model that is returned
    existed, though the fit may have gone on in search of a better one; `chosen` are settings that
    the validation rows chose.
    """

    log_density: LogDensity
    draw: Draw
    best_at: float
    chosen: dict[str, Any]


class Simulations(NamedTuple):
    """What a posterior is learnt from: parameters theta in a box, (N, n), and their data, (N, q).

    `bounds` is the box, a pair (low, high) for each parameter. The columns of data are those of
    `n_independent` draws one after the other, which are independent and alike given theta.
    """

    theta: np.ndarray
    data: np.ndarray
    bounds: list[tuple[float, float]]
    n_independent: int = 1


class Posterior(NamedTuple):
    """A fitted p(theta | x): draws of theta by the observation x, (q,), and how many.

    `chosen` are settings that held-out rows chose.
    """

    draw: Callable[[np.ndarray, int], np.ndarray]
    chosen: dict[str, Any]


def draws_inside(
    draw: Callable[[int], np.ndarray], inside: Callable[[np.ndarray], np.ndarray], N: int
) -> np.ndarray:
    """Return N draws that are inside of the prior's box, those outside thrown away and made anew.

    `draw` returns so many draws, and `inside` says which of them are.
    """
    kept, n_kept = [], 0
    for _ in range(ROUNDS):
        theta = draw(N)
        kept.append(theta[inside(theta)])
        n_kept += len(kept[-1])
        if n_kept >= N:
            return np.concatenate(kept)[:N]
    raise FloatingPointError(f"{n_kept} of {ROUNDS * N} draws were inside of the box")


def with_rows_to_choose_by(rows: Split, seed: int) -> Split:
    """Return rows as they are, or, where none are there to choose by, with a fifth held out."""
    if len(rows.valid):
        return rows
    train = np.random.default_rng(seed).permutation(rows.train)
    N = len(train) - round(HELD_OUT * len(train))
    return Split(train[:N], train[N:], rows.test)


def whitened(rows: Split) -> tuple[Whitening, Split]:
    """Return the map that whitens the training rows, and all rows through it."""
    whiten = Whitening.of(rows.train)
    return whiten, Split(*map(whiten, rows))


def in_data_units(log_density: LogDensity, whiten: Whitening) -> LogDensity:
    """Return the log-density of rows x from that of whitened rows z."""
    return lambda X: log_density(whiten(X)) - whiten.log_det


def drawn_in_data_units(draw: Draw, whiten: Whitening) -> Draw:
    """Return what draws rows x from what draws whitened rows z."""
    return lambda N: whiten.back(draw(N))


def check_found(loss: float) -> None:
    """Raise if no run found a finite validation loss."""
    if not np.isfinite(loss):
        raise FloatingPointError("no learning rate led to a finite validation loss")
