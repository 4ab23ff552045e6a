"""Tables with targets: the rows of `benchmarks.supervised`, by name and seed.

Regression: three tables of UCI with their usual splits, and Friedman's three functions, noise as
usual [1]_: of standard deviation one, and a third of the function's own. Classification: tables
that come with scikit-learn, a fifth of the rows of each class to test on. Convex functions: known,
so that predictions are compared with the truth on fresh rows.

References
----------
.. [1] L. Breiman, "Bagging predictors", Machine Learning 24, 1996, section 3.1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp
from sklearn import datasets
from sklearn.model_selection import train_test_split

from benchmarks import data

REGRESSION, CLASSIFICATION, CONVEX = "regression", "classification", "convex"
SEEDS = 5
# Of functions, and with a seed that of rows.
SEED = 20261129
N_TRAIN, N_FRESH = 400, 2000
TEST_SHARE = 0.2
UCI = ("concrete", "energy", "yacht")
DIMENSIONS, SIZES = (2, 5, 10), (100, 300, 1000)
# Of a convex function's standard deviation.
NOISE = 0.3


class Rows(NamedTuple):
    """Rows to fit and to test on; convex functions' `y_test` is without noise."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


@dataclass(frozen=True)
class Problem:
    """A table with a target.

    Parameters
    ----------
    name : str
        What it is called.
    kind : str
        Regression, classification or convex.
    rows : function of a seed
        Draws or splits its rows.
    """

    name: str
    kind: str
    rows: Callable[[int], Rows]


def _uci(name: str) -> Problem:
    return Problem(name, REGRESSION, lambda seed: Rows(*data.uci(name, seed)))


def _friedman(name: str, make: Callable[..., Any], noise: float) -> Problem:
    def rows(seed: int) -> Rows:
        X, y = make(n_samples=N_TRAIN + N_FRESH, noise=noise, random_state=seed)
        return Rows(X[:N_TRAIN], y[:N_TRAIN], X[N_TRAIN:], y[N_TRAIN:])

    return Problem(name, REGRESSION, rows)


def _table(name: str, load: Callable[..., Any]) -> Problem:
    def rows(seed: int) -> Rows:
        X, y = load(return_X_y=True)
        split: Any = train_test_split(X, y, test_size=TEST_SHARE, stratify=y, random_state=seed)
        return Rows(split[0], split[2], split[1], split[3])

    return Problem(name, CLASSIFICATION, rows)


class Convex(NamedTuple):
    """A convex function of n columns, of mean zero and standard deviation one on uniform rows."""

    function: Callable[[np.ndarray], np.ndarray]
    centre: float
    scale: float

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return its values."""
        return (self.function(X) - self.centre) / self.scale


def _quadratic(n: int, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    A, a = rng.normal(size=(n, n)), rng.normal(size=n)
    return lambda X: np.sum((X @ A) ** 2, axis=1) + X @ a


def _log_sum_exp(n: int, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    A, b = 3.0 * rng.normal(size=(n, 2 * n)), rng.normal(size=2 * n)
    return lambda X: np.asarray(logsumexp(X @ A + b, axis=1))


def _max_affine_and_norm(n: int, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    A, b, centre = rng.normal(size=(n, n + 1)), rng.normal(size=n + 1), rng.uniform(-0.5, 0.5, n)
    return lambda X: np.max(X @ A + b, axis=1) + np.linalg.norm(X - centre, axis=1)


def _sum_of_exponentials(n: int, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    A = rng.normal(size=(n, n)) * 2.0 / np.sqrt(n)
    return lambda X: np.exp(X @ A).sum(axis=1)


FORMS: Mapping[str, Callable[..., Callable[[np.ndarray], np.ndarray]]] = MappingProxyType(
    {
        "quadratic": _quadratic,
        "log-sum-exp": _log_sum_exp,
        "max-affine and norm": _max_affine_and_norm,
        "sum of exponentials": _sum_of_exponentials,
    }
)
"""Kinds of convex functions."""


def convex_function(form: str, n: int, seed: int = SEED) -> Convex:
    """Return a convex function of n columns with random constants, the same for the same seed."""
    rng = np.random.default_rng([seed, list(FORMS).index(form), n])
    function = FORMS[form](n, rng)
    values = function(rng.uniform(-1, 1, size=(10_000, n)))
    return Convex(function, float(values.mean()), float(values.std()))


def convex_rows(form: str, n: int, n_rows: int, seed: int, of_function: int = SEED) -> Rows:
    """Return rows of a convex function, uniform in a cube: targets with noise, and the truth."""
    function = convex_function(form, n, of_function)
    rng = np.random.default_rng([of_function, 1 + seed, n_rows])
    X, X_test = rng.uniform(-1, 1, size=(n_rows, n)), rng.uniform(-1, 1, size=(N_FRESH, n))
    return Rows(X, function(X) + NOISE * rng.normal(size=n_rows), X_test, function(X_test))


def _convex(form: str, n: int, n_rows: int) -> Problem:
    name = f"{form}, {n} columns, {n_rows} rows"
    return Problem(name, CONVEX, lambda seed: convex_rows(form, n, n_rows, seed))


PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {
        problem.name: problem
        for problem in (
            *map(_uci, UCI),
            _friedman("Friedman 1", datasets.make_friedman1, 1.0),
            _friedman("Friedman 2", datasets.make_friedman2, 125.0),
            _friedman("Friedman 3", datasets.make_friedman3, 0.1),
            _table("digits", datasets.load_digits),
            _table("breast cancer", datasets.load_breast_cancer),
            _table("wine", datasets.load_wine),
            *(_convex(form, n, size) for size in SIZES for n in DIMENSIONS for form in FORMS),
        )
    }
)
"""By name."""
