"""Periodic and discrete columns whose density is known: `python -m benchmarks.folded`.

The mean of log p_true - log p over test rows (nats), of one flow told of the periods or discrete
columns, beside the same flow not told of them and a Gaussian mixture; means over seeds are put into
FOLDER/folded.json. Of discrete columns the others are fitted to rows with uniform noise of one
step, and their probabilities are means of the density over 64 points of a cell. With `--blends` or
`--points`, the numbers behind it are varied, of the flow that is told.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import numpy as np
from scipy import stats
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

from benchmarks import report
from benchmarks.report import Figure
from brenier import ConvexPotentialFlow

NAME = "folded"
N, N_TEST, SEEDS = 1000, 4000, 4
TURN = 2.0 * np.pi
CELL = (np.arange(64) + 0.5) / 64 - 0.5
COMPONENTS = range(1, 9)
# Rows that choose a number are others than those that judge.
FIRST_SEED, FIRST_SEED_OF_TRIALS = 100, 500
BLENDS, POINTS = (0.1, 0.2, 0.3), (1, 2, 4, 8)

Drawn = tuple[np.ndarray, np.ndarray]
"""Rows (N, 2) and their true log-densities (N,)."""


@dataclass(frozen=True)
class Table:
    """Rows by number and generator; what is said of their columns."""

    drawn: Callable[[int, np.random.Generator], Drawn]
    said: dict[str, Any]
    bounds: dict[int, Any] | None = None
    target: float | None = field(default=None)

    @property
    def is_discrete(self) -> bool:
        """Whether the second column is one of whole numbers."""
        return "discrete" in self.said


def angle(m: int, rng: np.random.Generator, kappa: float) -> Drawn:
    """Return a normal column and an angle whose mean it moves, more or less concentrated."""
    x = rng.normal(size=m)
    phase = rng.vonmises(0.4 * x, kappa) % TURN
    log_p = stats.norm.logpdf(x) + stats.vonmises.logpdf(phase - 0.4 * x, kappa)
    return np.column_stack([x, phase]), log_p


def uniform(m: int, rng: np.random.Generator) -> Drawn:
    """Return a normal column and an angle that is uniform."""
    x = rng.normal(size=m)
    return np.column_stack([x, rng.uniform(0.0, TURN, m)]), stats.norm.logpdf(x) - np.log(TURN)


def opposite(m: int, rng: np.random.Generator) -> Drawn:
    """Return a normal column and an angle near one of two that are half a turn apart."""
    x, side = rng.normal(size=m), np.pi * rng.integers(2, size=m)
    phase = (side + rng.vonmises(0.4 * x, 4.0)) % TURN
    parts = [stats.vonmises.logpdf(phase - 0.4 * x - place, 4.0) for place in (0.0, np.pi)]
    log_p = stats.norm.logpdf(x) + np.logaddexp(*parts) - np.log(2.0)
    return np.column_stack([x, phase]), log_p


def counts(m: int, rng: np.random.Generator) -> Drawn:
    """Return a normal column and a Poisson count that depends on it."""
    x = rng.normal(size=m)
    rate = np.exp(0.5 + 0.5 * x)
    k = rng.poisson(rate)
    return np.column_stack([x, k]), stats.norm.logpdf(x) + stats.poisson.logpmf(k, rate)


def marks(m: int, rng: np.random.Generator) -> Drawn:
    """Return a normal column and a mark of 0 to 10 that depends on it."""
    x = rng.normal(size=m)
    share = 1.0 / (1.0 + np.exp(-x))
    k = rng.binomial(10, share)
    return np.column_stack([x, k]), stats.norm.logpdf(x) + stats.binom.logpmf(k, 10, share)


def yes_or_no(m: int, rng: np.random.Generator) -> Drawn:
    """Return a normal column, moved by an answer of zero or one."""
    k = rng.integers(2, size=m)
    x = rng.normal(size=m) + 1.5 * k
    return np.column_stack([x, k]), stats.norm.logpdf(x - 1.5 * k) - np.log(2.0)


PHASE: Mapping[str, Any] = MappingProxyType({"periods": {1: TURN}})
WHOLE: Mapping[str, Any] = MappingProxyType({"discrete": [1]})
TABLES: Mapping[str, Table] = MappingProxyType(
    {
        "angle": Table(partial(angle, kappa=4.0), dict(PHASE), target=0.03),
        "weak angle": Table(partial(angle, kappa=0.8), dict(PHASE)),
        "uniform angle": Table(uniform, dict(PHASE)),
        "opposite angles": Table(opposite, dict(PHASE)),
        "counts": Table(counts, dict(WHOLE), {1: (-0.5, None)}),
        "marks": Table(marks, dict(WHOLE), {1: (-0.5, 10.5)}),
        "yes or no": Table(yes_or_no, dict(WHOLE), {1: (-0.5, 1.5)}),
    }
)
"""By name."""


def told(table: Table, X: np.ndarray, T: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return log-densities of the flow that knows of the columns."""
    return ConvexPotentialFlow(**table.said, bounds=table.bounds).fit(X).score_samples(T)


def untold(table: Table, X: np.ndarray, T: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return those of the same flow without."""
    bounds = table.bounds if table.is_discrete else {1: (0.0, TURN)}
    flow = ConvexPotentialFlow(bounds=bounds).fit(noisy(table, X, rng))
    return of_cells(table, flow.score_samples, T)


def mixture(table: Table, X: np.ndarray, T: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return those of the Gaussian mixture with the least BIC."""
    X = noisy(table, X, rng)
    fits = [GaussianMixture(k, random_state=0).fit(X) for k in COMPONENTS]
    return of_cells(table, min(fits, key=lambda fit: fit.bic(X)).score_samples, T)


METHODS: Mapping[str, Callable[..., np.ndarray]] = MappingProxyType(
    {"brenier": told, "brenier, not told": untold, "mixture": mixture}
)


def noisy(table: Table, X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return rows, with uniform noise in a discrete column."""
    noise = rng.uniform(-0.5, 0.5, len(X)) if table.is_discrete else np.zeros(len(X))
    return X + np.outer(noise, [0.0, 1.0])


def of_cells(table: Table, density: Callable[..., np.ndarray], T: np.ndarray) -> np.ndarray:
    """Return log-densities of rows, of discrete ones those of their cells."""
    if not table.is_discrete:
        return density(T)
    points = T[:, None, :] + CELL[:, None] * np.array([0.0, 1.0])
    values = density(points.reshape(-1, 2)).reshape(len(T), -1)
    return np.asarray(logsumexp(values, axis=1)) - np.log(len(CELL))


def gaps(
    table: Table, method: Callable[..., np.ndarray], seeds: int, first: int = FIRST_SEED
) -> np.ndarray:
    """Return the gap to the truth for every seed (nats)."""
    found = []
    for seed in range(first, first + seeds):
        rng = np.random.default_rng(seed)
        (X, _), (T, truth) = table.drawn(N, rng), table.drawn(N_TEST, rng)
        with warnings.catch_warnings():
            # Of repeated values, to those that are not told.
            warnings.simplefilter("ignore")
            found.append(float(np.mean(truth - method(table, X, T, rng))))
    return np.array(found)


def measured(name: str, seeds: int) -> Iterator[Figure]:
    """Yield the mean gap of every method."""
    for method, log_densities in METHODS.items():
        found = gaps(TABLES[name], log_densities, seeds)
        target = TABLES[name].target if method == "brenier" else None
        detail = f"{seeds} seeds, from {found.min():.4f} to {found.max():.4f}"
        yield Figure(f"{name}: {method}", float(found.mean()), target, detail)


def varied(name: str, seeds: int, module: str, number: str, values: Any) -> Iterator[Figure]:
    """Yield the mean gap with other values of a number of the package."""
    for value in values:
        with patch(f"brenier.data.{module}.{number}", value):
            found = gaps(TABLES[name], told, seeds, FIRST_SEED_OF_TRIALS)
        detail = f"{seeds} seeds, from {found.min():.4f} to {found.max():.4f}"
        yield Figure(f"{name}: {number} {value}", float(found.mean()), detail=detail)


def main() -> None:
    """Measure all tables, print and store the gaps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--blends", action="store_true", help="vary the width of the blend")
    parser.add_argument("--points", action="store_true", help="vary the points of a cell")
    parser.add_argument("-o", "--output", type=Path, default=report.RESULTS, metavar="FOLDER")
    given = parser.parse_args()
    parts: dict[str, report.Part] = {}
    for name in given.only:
        if given.blends and not TABLES[name].is_discrete:
            vary = partial(varied, module="circles", number="BLEND", values=BLENDS)
            parts[name] = partial(vary, name, given.seeds)
        elif given.points and TABLES[name].is_discrete:
            vary = partial(varied, module="cells", number="LEAST_POINTS", values=POINTS)
            parts[name] = partial(vary, name, given.seeds)
        elif not given.blends and not given.points:
            parts[name] = partial(measured, name, given.seeds)
    report.measure(NAME, parts, given.output)


if __name__ == "__main__":
    main()
