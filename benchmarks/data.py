"""The rows that benchmarks fit, validate and test on."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from brenier.datasets import Moons

# Real posterior draws; not part of the project (see the README there).
POSTERIORS = Path(__file__).parents[2] / "shared" / "data" / "posteriors"


class Split(NamedTuple):
    """Rows to train on, to stop on, and to test on."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


def moons(n_train: int, seed: int) -> Split:
    """Return moons with noise 0.05, with 5000 rows to stop on and 5000 to test (thesis 4.1)."""
    draw = Moons().sample
    sizes = (n_train, 5000, 5000)
    return Split(*(draw(N, random_state=3 * seed + i) for i, N in enumerate(sizes)))


def posterior(name: str, seed: int = 0) -> Split:
    """Return posterior draws whitened by their training rows: 2000, 1000 and 5000 of them."""
    X = pl.read_csv(POSTERIORS / f"{name}.csv.gz").to_numpy()
    X = X[np.random.default_rng(seed).permutation(len(X))]
    train, valid, test = X[:2000], X[2000:3000], X[3000:8000]
    mean, factor = train.mean(axis=0), np.linalg.cholesky(np.cov(train.T))
    return Split(*(np.linalg.solve(factor, (part - mean).T).T for part in (train, valid, test)))
