"""Small real tables: those that come with scikit-learn, and few rows of real posteriors.

None of these rows chose a default of brenier, but the posteriors themselves were in view. There
are no rows to choose by: every peer chooses by the rows that it is fitted to, in its own way.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
from sklearn import datasets

from benchmarks import data

# With the seed, that of a split; splits of other benchmarks have seeds of one number.
SEED = 20260301
TEST_SHARE = 0.2
# Rows of a posterior that are fitted.
SIZES = (100, 200, 400)
# Digits to which gaps between values are told apart.
DIGITS = 9


def _iris() -> np.ndarray:
    table: Any = datasets.load_iris()
    return table.data


def _wine() -> np.ndarray:
    table: Any = datasets.load_wine()
    return table.data


def _diabetes() -> np.ndarray:
    """Leave out the sex, and s4, a quotient of two other columns that is rounded in most rows."""
    table = datasets.load_diabetes(scaled=False)
    return _columns(table, ("age", "bmi", "bp", "s1", "s2", "s3", "s5", "s6"))


def _breast_cancer() -> np.ndarray:
    """Leave out zeros, and columns that others determine all but exactly (area, perimeter)."""
    what = ("radius", "texture", "smoothness", "compactness", "symmetry", "fractal dimension")
    return _columns(datasets.load_breast_cancer(), [f"mean {name}" for name in what])


def _columns(table: Any, names: Sequence[str]) -> np.ndarray:
    places = [list(table.feature_names).index(name) for name in names]
    return table.data[:, places]


TABLES: Mapping[str, Callable[[], np.ndarray]] = MappingProxyType(
    {"iris": _iris, "wine": _wine, "diabetes": _diabetes, "breast-cancer": _breast_cancer}
)
"""By name."""


def table(name: str, seed: int) -> data.Split:
    """Return a random split of one of scikit-learn's tables: a fifth of the rows test.

    Its values are rounded, and a likelihood could grow without bound at values that repeat: each
    gets uniform noise as wide as the column's step.
    """
    rng = np.random.default_rng([SEED, seed])
    X = TABLES[name]()
    X = rng.permutation(X + steps(X) * rng.uniform(-0.5, 0.5, size=X.shape))
    N = len(X) - round(TEST_SHARE * len(X))
    return data.Split(X[:N], X[:0], X[N:])


def steps(X: np.ndarray) -> np.ndarray:
    """Return the least gap between different values of each column."""
    return np.array([np.diff(np.unique(column.round(DIGITS))).min() for column in X.T])


def posterior(name: str, N: int, seed: int) -> data.Split:
    """Return N draws of a posterior to fit; all others test."""
    X = pl.read_csv(data.POSTERIORS / f"{name}.csv.gz").to_numpy()
    X = np.random.default_rng([SEED, seed]).permutation(X)
    return data.Split(X[:N], X[:0], X[N:])
