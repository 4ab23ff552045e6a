r"""Periodic columns: angles, phases, hours of the day.

The circle is cut where the rows are fewest, and unrolled. Near the cut a row stands on both sides,
with weights s and 1 - s that change smoothly from one to zero: what is fitted is q(y) = p(y) s(y),
a smooth density of the whole line, and since sum_k s(y + k P) = 1, the sum of q over all turns is
the periodic p again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from brenier.data.names import position_of, quoted
from brenier.patterns import suggestion

# Half the stretch over which a row stands on both sides of the cut, in periods.
BLEND = 0.2
# Standard deviation of the kernel that finds where rows are fewest, in periods, and places tried.
SMOOTHING, N_CUTS = 0.08, 256
# Turns before and after the one that is fitted, over which the density is summed.
TURNS = (-1, 0, 1)


@dataclass(frozen=True)
class Circles:
    """Periodic columns of a table.

    Attributes
    ----------
    columns : (q,)
        Their places among all columns.
    low, period : (q,)
        Values are given and returned within [low, low + period).
    cut : (q,)
        Where each is cut.
    """

    columns: Int[np.ndarray, " q"]
    low: Float[np.ndarray, " q"]
    period: Float[np.ndarray, " q"]
    cut: Float[np.ndarray, " q"]

    @property
    def n_turns(self) -> int:
        """Over how many plain rows the density of one is summed."""
        return len(TURNS) ** len(self.columns)

    def among(self, places: Int[np.ndarray, " m"]) -> "Circles":
        """Return those of a table of some of the columns."""
        kept = np.isin(self.columns, places)
        columns = np.array([list(places).index(c) for c in self.columns[kept]], dtype=int)
        return Circles(columns, self.low[kept], self.period[kept], self.cut[kept])

    def fold(self, Y: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N n"]:
        """Return rows within one period."""
        return self._from(Y, self.low)

    def unroll(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N n"]:
        """Return rows within the period that begins at the cut."""
        return self._from(X, self.cut)

    def spread(
        self, X: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"]
    ) -> tuple[Float[np.ndarray, "M n"], Float[np.ndarray, " M"], Int[np.ndarray, " M"]]:
        """Return unrolled rows, those near a cut on both sides; weights; which row each is of."""
        Y, source = self.unroll(X), np.arange(len(X))
        for c, period, cut in zip(self.columns, self.period, self.cut, strict=True):
            # How far behind the cut, and how far before it, in widths of the blend.
            after = (Y[:, c] - cut) / (BLEND * period)
            before = 1.0 / BLEND - after
            near = np.minimum(after, before) < 1.0
            other = Y[near].copy()
            other[:, c] += np.where(after < before, period, -period)[near]
            own = _step(np.minimum(after, before))
            Y, source = np.concatenate([Y, other]), np.concatenate([source, source[near]])
            weights = np.concatenate([weights * own, (weights * (1.0 - own))[near]])
        order = np.argsort(source, kind="stable")
        return Y[order], weights[order], source[order]

    def plain_rows(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N K n"]:
        """Return every row some turns before and after the one that was fitted, in all ways."""
        turns = np.array([*product(TURNS, repeat=len(self.columns))], dtype=float)
        shifts = np.zeros((len(turns), X.shape[1]))
        shifts[:, self.columns] = turns * self.period
        return self.unroll(X)[:, None, :] + shifts

    def _from(
        self, X: Float[np.ndarray, "N n"], start: Float[np.ndarray, " q"]
    ) -> Float[np.ndarray, "N n"]:
        """Return rows within the period from a start."""
        X = X.copy()
        turn = np.mod(X[:, self.columns] - start, self.period)
        # What is a rounding error below a whole turn is one; NaN, a missing cell, stays.
        X[:, self.columns] = np.where(turn >= self.period, start, start + turn)
        return X


def periodic_columns(periods: Any, names: list[str]) -> dict[int, tuple[float, float]]:
    """Return low and period of every periodic column, by its place.

    Parameters
    ----------
    periods : mapping or None
        `{name_or_index: period}`, of values in [0, period), or `{name_or_index: (low, high)}`.
    names : list of n str
        The columns' names.

    Raises
    ------
    ValueError
        If a column is unknown, or a period is none.
    """
    if periods is not None and not isinstance(periods, Mapping):
        raise ValueError(
            f"Expected periods as a mapping of columns, such as {{'phase': 6.2832}}; got "
            f"{periods!r:.80}."
        )
    found = {}
    for key, value in (periods or {}).items():
        place = position_of(key, names)
        if place < 0:
            raise ValueError(
                f"Expected periods of columns of the table ({quoted(names)}); got one of {key!r}."
                f"{suggestion(key, names)}"
            )
        if place in found:
            raise ValueError(f"Expected one period of {names[place]!r}; got two. Give it once.")
        found[place] = _period(value, names[place])
    return dict(sorted(found.items()))


def _period(value: Any, name: str) -> tuple[float, float]:
    """Return low and length of a period given as its length or its ends."""
    value = value.tolist() if isinstance(value, np.ndarray) else value
    ends = (0.0, value) if isinstance(value, Real) else value
    is_pair = isinstance(ends, tuple | list) and len(ends) == 2
    if not is_pair or not all(isinstance(end, Real) and np.isfinite(float(end)) for end in ends):
        raise ValueError(
            f"Expected the period of {name!r} as its length, or as a pair (low, high) of finite "
            f"numbers; got {value!r:.80}."
        )
    low, high = float(ends[0]), float(ends[1])
    if not low < high:
        raise ValueError(f"Expected a period of {name!r} with low < high; got ({low:g}, {high:g}).")
    return low, high - low


def cut_circles(
    X: Float[np.ndarray, "N n"],
    weights: Float[np.ndarray, " N"],
    periodic: Mapping[int, tuple[float, float]],
) -> Circles:
    """Return the periodic columns, each cut where the rows are fewest."""
    columns = np.array([*periodic], dtype=int)
    low, period = np.array([*periodic.values()], dtype=float).reshape(-1, 2).T
    cuts = [_cut(X[:, c], weights, *periodic[c]) for c in columns.tolist()]
    return Circles(columns, low, period, np.array(cuts, dtype=float))


def _cut(
    x: Float[np.ndarray, " N"], weights: Float[np.ndarray, " N"], low: float, period: float
) -> float:
    """Return where a kernel density of a circle is least."""
    turn = np.mod((x - low) / period, 1.0)
    counts, _ = np.histogram(turn, bins=N_CUTS, range=(0.0, 1.0), weights=weights)
    places = (np.arange(N_CUTS) + 0.5) / N_CUTS
    apart = np.minimum(places, 1.0 - places + places[0] * 2.0)
    kernel = np.exp(-0.5 * ((apart - places[0]) / SMOOTHING) ** 2)
    smooth = np.fft.irfft(np.fft.rfft(counts) * np.fft.rfft(kernel), N_CUTS)
    return float(low + period * places[np.argmin(smooth)])


def _step(u: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Return a smooth step from a half at 0 to one at 1 and beyond."""
    return 0.5 * (1.0 + np.sin(0.5 * np.pi * np.minimum(u, 1.0)))
