"""Level and power of a diagnosis: tables by the hundred, of a right model and of five wrong ones.

    python -m benchmarks.diagnosis [--only NAME ...] [--tables K] [--right K] [--rows N ...]

The model is always N(0, I) of two columns; the rows are of N(0, I), or of a distribution that
differs from it in one way. Counted is how often the global test rejects, how often the right panel
is beyond its own 95 % quantile while it does, and how often the nats missing are within two
standard errors of the true loss. Counts are kept in `benchmarks/results/diagnosis.json`.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import special

from brenier.diagnostics.exchange_panels import Pooled, exchange_family
from brenier.diagnostics.global_test import global_test
from brenier.diagnostics.nats import nats_missing
from brenier.diagnostics.near_normal import gaussian, standard_normal
from brenier.diagnostics.normality_panels import normality_family

RESULTS = Path(__file__).parent / "results" / "diagnosis.json"
N_DRAWS = 1000
# Draws that the true loss is the mean of.
N_LARGE = 1_000_000
# What is wrong: in deviations, as a factor, a correlation, a bend, a share and its place.
SHIFT, SCALE, CORRELATION, BEND, SHARE, PLACE, WIDTH = 0.3, 1.3, 0.4, 0.5, 0.1, 4.0, 0.5

Rows = np.ndarray


@dataclass(frozen=True)
class Fault:
    """Rows that the model N(0, I) is wrong of.

    Attributes
    ----------
    what : str
        In words.
    draw : callable
        Rows of a number and a generator.
    log_density : callable
        The true one.
    panels : tuple of str
        Those that should see it: any of them.
    """

    what: str
    draw: Callable[[int, np.random.Generator], Rows]
    log_density: Callable[[Rows], np.ndarray]
    panels: tuple[str, ...]

    def loss(self) -> float:
        """Return the true loss per row, in nats."""
        X = self.draw(N_LARGE, np.random.default_rng(N_LARGE))
        return float(np.mean(self.log_density(X) - standard_normal(X)))


def _of_gaussian(mean: np.ndarray, covariance: np.ndarray) -> tuple[Callable, Callable]:
    factor = np.linalg.cholesky(covariance)

    def draw(N: int, rng: np.random.Generator) -> Rows:
        return mean + rng.normal(size=(N, len(mean))) @ factor.T

    return draw, gaussian(mean, covariance)


def _bent(N: int, rng: np.random.Generator) -> Rows:
    X = rng.normal(size=(N, 2))
    X[:, 1] = (X[:, 1] + BEND * (X[:, 0] ** 2 - 1)) / np.sqrt(1 + 2 * BEND**2)
    return X


def _log_bent(X: Rows) -> np.ndarray:
    scale = np.sqrt(1 + 2 * BEND**2)
    straight = np.stack([X[:, 0], scale * X[:, 1] - BEND * (X[:, 0] ** 2 - 1)], axis=1)
    return standard_normal(straight) + np.log(scale)


def _with_mode(N: int, rng: np.random.Generator) -> Rows:
    X = rng.normal(size=(N, 2))
    there = rng.random(N) < SHARE
    X[there] = WIDTH * X[there] + [PLACE, 0.0]
    return X


def _log_with_mode(X: Rows) -> np.ndarray:
    mode = gaussian(np.array([PLACE, 0.0]), WIDTH**2 * np.eye(2))
    each = np.stack([standard_normal(X), mode(X)], axis=1)
    return special.logsumexp(each, axis=1, b=np.array([1 - SHARE, SHARE]))


FAULTS = {
    "shift": Fault(
        "the mean of one column is off by 0.3 deviations",
        *_of_gaussian(np.array([SHIFT, 0.0]), np.eye(2)),
        panels=("pit",),
    ),
    "scale": Fault(
        "both columns are 1.3 times as wide",
        *_of_gaussian(np.zeros(2), SCALE**2 * np.eye(2)),
        panels=("pit", "radius"),
    ),
    "correlation": Fault(
        "a correlation of 0.4 is left out",
        *_of_gaussian(np.zeros(2), np.array([[1.0, CORRELATION], [CORRELATION, 1.0]])),
        panels=("correlations",),
    ),
    "bend": Fault(
        "a bend is left out: the second column has 0.5 (x^2 - 1) of the first",
        _bent,
        _log_bent,
        panels=("correlations",),
    ),
    "mode": Fault(
        "a mode of 10 % of the rows is left out, 4 deviations away and half as wide",
        _with_mode,
        _log_with_mode,
        panels=("pit", "radius"),
    ),
}


@dataclass(frozen=True)
class Judged:
    """What a diagnosis says of one table.

    Attributes
    ----------
    p_value : float
        Of the global test.
    beyond : tuple of str
        Panels beyond their own 95 % quantile.
    nats, error : float
        Nats missing and their standard error; NaN where they are not asked for.
    """

    p_value: float
    beyond: tuple[str, ...]
    nats: float
    error: float


def judged(X: Rows, rng: np.random.Generator, *, with_nats: bool) -> Judged:
    """Return what a diagnosis says of rows, of which N(0, I) is the model."""
    draws = rng.normal(size=(N_DRAWS, X.shape[1]))
    both = np.concatenate([X, draws])
    families = [
        normality_family(X, ("z0", "z1"), np.zeros((len(X), 0)), (), rng),
        exchange_family(Pooled(both, standard_normal(both), len(X), ("a", "b")), rng),
    ]
    test = global_test(families)
    panels = [panel for family in families for panel in family.panels]
    beyond = tuple(panel.name for panel in panels if panel.is_suspicious)
    found = nats_missing(X, np.zeros((len(X), 0)), rng) if with_nats else None
    nats, error = (np.nan, np.nan) if found is None else (found.value, found.standard_error)
    return Judged(test.p_value, beyond, nats, error)


def level(n_tables: int, N: int) -> dict:
    """Return how often the test rejects a right model."""
    each = []
    for seed in range(n_tables):
        rng = np.random.default_rng([seed, N])
        each.append(judged(rng.normal(size=(N, 2)), rng, with_nats=False))
    names = sorted({name for one in each for name in one.beyond})
    return {
        "what": "rows of the model",
        "rows": N,
        "tables": n_tables,
        "rejected": sum(one.p_value <= 0.05 for one in each),
        "beyond": {name: sum(name in one.beyond for one in each) for name in names},
    }


def power(fault: Fault, n_tables: int, N: int) -> dict:
    """Return how often a wrong model is seen, and its loss covered."""
    each, loss = [], fault.loss()
    for seed in range(n_tables):
        rng = np.random.default_rng([seed, N, 1])
        each.append(judged(fault.draw(N, rng), rng, with_nats=True))
    rejected = [one for one in each if one.p_value <= 0.05]
    names = sorted({name for one in each for name in one.beyond})
    return {
        "what": fault.what,
        "rows": N,
        "tables": n_tables,
        "loss": loss,
        "rejected": len(rejected),
        "panels": fault.panels,
        "by_right_panel": sum(bool({*one.beyond} & {*fault.panels}) for one in rejected),
        "beyond": {name: sum(name in one.beyond for one in each) for name in names},
        "covered": sum(abs(one.nats - loss) <= 2 * one.error for one in each),
        "missing_shown": sum(one.nats > 2 * one.error for one in each),
        "mean_nats": float(np.mean([one.nats for one in each])),
        "mean_error": float(np.mean([one.error for one in each])),
        "each": [asdict(one) for one in each],
    }


def main() -> None:
    """Run what is asked for, and print and store the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=["right", *FAULTS], default=["right", *FAULTS])
    parser.add_argument("--tables", type=int, default=100)
    parser.add_argument("--right", type=int, default=2000)
    parser.add_argument("--rows", type=int, nargs="+", default=[300, 1000])
    arguments = parser.parse_args()
    for name in arguments.only:
        for N in arguments.rows:
            if name == "right":
                found = level(arguments.right, N)
            else:
                found = power(FAULTS[name], arguments.tables, N)
            results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
            results[f"{name}, {N} rows"] = found
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(name, N, json.dumps({key: found[key] for key in found if key != "each"}))


if __name__ == "__main__":
    main()
