"""Ugly tables, of distributions that can be drawn from again.

A kind draws what its distribution is (scales, offsets, correlations), and then rows of it. Lengths
are those of tables that people have; most kinds are heavy-tailed, and their moments do not exist.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

Kind = Callable[[np.random.Generator, int, int], np.ndarray]
"""Returns so many rows with so many columns, all of one distribution."""

# Columns of a table, and the fewest and most rows to fit it to.
COLUMNS, FEWEST, MOST = (1, 2, 5, 20), 5, 3000
# Rows of the same distribution that judge.
FRESH = 2000
# Half of the decades between the scales of columns.
DECADES = 12.0
OFFSET = 1e9


class UglyTable(NamedTuple):
    """Rows to fit, (N, n), fresh rows of their distribution, and what kind that is."""

    kind: str
    rows: np.ndarray
    fresh: np.ndarray


def table(case: int, rng: np.random.Generator) -> UglyTable:
    """Return a case's table: kinds by turns, and within each the numbers of columns."""
    names = tuple(KINDS)
    around, place = divmod(case, len(names))
    n = COLUMNS[(around + place) % len(COLUMNS)]
    N = round(float(np.exp(rng.uniform(np.log(FEWEST), np.log(MOST)))))
    rows = KINDS[names[place]](rng, N + FRESH, n)
    return UglyTable(names[place], rows[:N], rows[N:])


def _cauchy(rng: np.random.Generator, N: int, n: int) -> np.ndarray:
    return rng.standard_cauchy(size=(N, n))


def _student(rng: np.random.Generator, N: int, n: int) -> np.ndarray:
    """Linear mixtures of columns, each with 1 to 3 degrees of freedom."""
    return rng.standard_t(rng.uniform(1, 3, size=n), size=(N, n)) @ rng.normal(size=(n, n))


def _elliptical(rng: np.random.Generator, N: int, n: int) -> np.ndarray:
    """A Cauchy distribution of many columns: whole rows are far at once."""
    radius = np.abs(rng.normal(size=(N, 1)))
    return _normal(rng, N, n) / radius


def _lognormal(rng: np.random.Generator, N: int, n: int) -> np.ndarray:
    return np.exp(rng.uniform(2, 5) * _normal(rng, N, n) / np.sqrt(n))


def _pareto(rng: np.random.Generator, N: int, n: int) -> np.ndarray:
    """One long tail, without a mean in some of the columns."""
    return rng.uniform(size=(N, n)) ** (-1 / rng.uniform(0.5, 2, size=n))


def _normal(rng: np.random.Generator, N: int, n: int) -> np.ndarray:
    return rng.normal(size=(N, n)) @ rng.normal(size=(n, n))


def _scales(rng: np.random.Generator, N: int, n: int) -> np.ndarray:
    return _skewed(rng, N, n) * _powers(rng, n)


def _heavy_scales(rng: np.random.Generator, N: int, n: int) -> np.ndarray:
    return _student(rng, N, n) * _powers(rng, n)


def _powers(rng: np.random.Generator, n: int) -> np.ndarray:
    """Scales of columns, 24 decades apart where there are several."""
    ends = rng.uniform(-DECADES, DECADES, size=n)
    ends[:2] = [-DECADES, DECADES][:n]
    return 10.0 ** rng.permutation(ends)


def _skewed(rng: np.random.Generator, N: int, n: int) -> np.ndarray:
    Z = _normal(rng, N, n)
    return Z + 0.3 * Z**2


def _near_duplicates(rng: np.random.Generator, N: int, n: int) -> np.ndarray:
    """Columns that all but equal one another."""
    size = 10.0 ** rng.uniform(-10, -2, size=n)
    return _skewed(rng, N, 1) + size * rng.normal(size=(N, n))


def _heavy_duplicates(rng: np.random.Generator, N: int, n: int) -> np.ndarray:
    size = 10.0 ** rng.uniform(-6, -1, size=n)
    return _cauchy(rng, N, 1) + size * rng.standard_t(2, size=(N, n))


def _far_rows(rng: np.random.Generator, N: int, n: int) -> np.ndarray:
    """Some rows in a hundred are thousands or millions away."""
    far = rng.uniform(size=(N, 1)) < rng.uniform(0.002, 0.05)
    return _skewed(rng, N, n) + far * 10.0 ** rng.uniform(2, 7) * rng.normal(size=(N, n))


def _ties(rng: np.random.Generator, N: int, n: int) -> np.ndarray:
    """Columns rounded, finely and coarsely."""
    step = 10.0 ** rng.uniform(-3, -0.5, size=n)
    return np.round(_skewed(rng, N, n) / step) * step


def _heavy_ties(rng: np.random.Generator, N: int, n: int) -> np.ndarray:
    step = 10.0 ** rng.uniform(-2, 0, size=n)
    return np.round(_student(rng, N, n) / step) * step


def _offsets(rng: np.random.Generator, N: int, n: int) -> np.ndarray:
    """Noise so small beside an offset that digits are lost."""
    return OFFSET + 10.0 ** rng.uniform(-5, 0, size=n) * _skewed(rng, N, n)


def _clusters(rng: np.random.Generator, N: int, n: int) -> np.ndarray:
    """Three clusters, thin beside what is between them, and of heavy tails."""
    centres = rng.normal(size=(3, n)) * 10.0 ** rng.uniform(1, 4)
    return centres[rng.integers(3, size=N)] + rng.standard_t(2.5, size=(N, n))


def _columns(rng: np.random.Generator, N: int, n: int) -> np.ndarray:
    """Every column of another kind."""
    kinds = (_cauchy, _lognormal, _pareto, _scales, _far_rows, _ties, _offsets, _clusters)
    return np.hstack([kinds[rng.integers(len(kinds))](rng, N, 1) for _ in range(n)])


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "cauchy": _cauchy,
        "student": _student,
        "elliptical": _elliptical,
        "lognormal": _lognormal,
        "pareto": _pareto,
        "scales": _scales,
        "heavy-scales": _heavy_scales,
        "near-duplicates": _near_duplicates,
        "heavy-duplicates": _heavy_duplicates,
        "far-rows": _far_rows,
        "ties": _ties,
        "heavy-ties": _heavy_ties,
        "offsets": _offsets,
        "clusters": _clusters,
        "columns": _columns,
    }
)
"""By name."""
