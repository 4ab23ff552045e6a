"""The rows that benchmarks fit, validate and test on."""

# brenier is imported inside the functions: `benchmarks.paired` runs against older versions of it,
# whose modules have other names.

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from benchmarks.whitening import Whitening

if TYPE_CHECKING:
    from brenier.data.datasets import AbstractDistribution

# What is not part of the project.
SHARED = Path(__file__).parents[2] / "shared"
# Real posterior draws (see the README there).
POSTERIORS = SHARED / "data" / "posteriors"
POSTERIOR_NAMES = (
    "garch11",
    "lotka_volterra",
    "eight_schools_noncentered",
    "low_dim_gauss_mix",
    "gp_regr",
    "arma11",
    "diamonds",
)
# Regression tables with their usual splits; the same.
UCI = SHARED / "data" / "uci"
# Generators of inputs that are hard (see the README there).
CASES = SHARED / "cases" / "make.py"


class Split(NamedTuple):
    """Rows to train on, to stop on, and to test on.

    Without rows to stop on everything is chosen by those to train on.
    """

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


class Regression(NamedTuple):
    """Features (N, q) and a target (N,), to train on and to test on, in their own units."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def drawn(truth: "AbstractDistribution", sizes: tuple[int, int, int], seed: int) -> Split:
    """Return rows of a known distribution: so many to train on, to stop on, and to test on."""
    return Split(*(truth.sample(N, random_state=3 * seed + i) for i, N in enumerate(sizes)))


def moons(n_train: int, seed: int) -> Split:
    """Return moons with noise 0.05, with 5000 rows to stop on and 5000 to test (thesis 4.1)."""
    from brenier.data.datasets import Moons

    return drawn(Moons(), (n_train, 5000, 5000), seed)


def has_posteriors() -> bool:
    """Return whether the posterior draws are here."""
    return POSTERIORS.is_dir()


def posterior(name: str, seed: int = 0) -> Split:
    """Return posterior draws whitened by their training rows: 2000, 1000 and 5000 of them."""
    X = pl.read_csv(POSTERIORS / f"{name}.csv.gz").to_numpy()
    X = X[np.random.default_rng(seed).permutation(len(X))]
    train, valid, test = X[:2000], X[2000:3000], X[3000:8000]
    whiten = Whitening.of(train)
    return Split(whiten(train), whiten(valid), whiten(test))


def uci(name: str, split: int) -> Regression:
    """Return a table's rows by one of its 20 usual splits."""
    folder = UCI / name
    table = np.loadtxt(folder / "data.txt", ndmin=2)

    def numbers(what: str) -> np.ndarray:
        return np.loadtxt(folder / f"index_{what}.txt", ndmin=1).astype(int)

    X, y = table[:, numbers("features")], table[:, numbers("target")[0]]
    train, test = numbers(f"train_{split}"), numbers(f"test_{split}")
    return Regression(X[train], y[train], X[test], y[test])
