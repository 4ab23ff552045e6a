"""What far rows cost a density of known truth: `python -m benchmarks.far`.

A normal column beside one that bends with it, 1000 rows, of which one is far off, or ten hold a
sentinel; fitted with the defaults for every random state. The loss is the mean of
log p_true - log p on 4000 fresh rows (nats a row). Losses are put into
`benchmarks/results/far.json`.
"""

import argparse
import json
import warnings
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from benchmarks import report
from brenier import ConvexPotentialFlow

N, N_FRESH, SEED = 1000, 4000, 17
BEND, NOISE = 0.5, 0.5
# The most that is to be lost (nats a row).
MOST = 0.06
STATES = 12


def bent(rows: int, rng: np.random.Generator) -> np.ndarray:
    """Return x_1 normal, x_2 = BEND x_1^2 + NOISE times a normal."""
    x = rng.normal(size=rows)
    return np.column_stack([x, BEND * x**2 + NOISE * rng.normal(size=rows)])


def log_density(X: np.ndarray) -> np.ndarray:
    """Return the true log-density of such rows."""
    u = (X[:, 1] - BEND * X[:, 0] ** 2) / NOISE
    return -0.5 * (X[:, 0] ** 2 + u**2) - np.log(2.0 * np.pi * NOISE)


def one_far(X: np.ndarray, rng: np.random.Generator, far: float) -> None:
    """Put the first row far off."""
    X[0, 1] = far


def sentinels(X: np.ndarray, rng: np.random.Generator, value: float) -> None:
    """Put a value that means something else into one row of a hundred."""
    X[rng.choice(len(X), len(X) // 100, replace=False), 1] = value


CASES: Mapping[str, Callable[[np.ndarray, np.random.Generator], None]] = {
    "none far": lambda X, rng: None,
    **{f"one row at {far:g}": partial(one_far, far=far) for far in (30.0, 1e2, 1e4, 1e6)},
    **{f"1 % at {value:g}": partial(sentinels, value=value) for value in (99.0, -999.0)},
}


def loss(case: str, state: int) -> float:
    """Return what a fit loses to the truth."""
    rng = np.random.default_rng(SEED)
    X, fresh = bent(N, rng), bent(N_FRESH, rng)
    CASES[case](X, rng)
    flow = ConvexPotentialFlow(random_state=state).fit(X)
    return float(np.mean(log_density(fresh)) - flow.score(fresh))


def main() -> None:
    """Fit all cases, print and store what they lose."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--states", type=int, default=STATES)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    file = report.RESULTS / "far.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for case in arguments.only:
        losses = [loss(case, state) for state in range(arguments.states)]
        results[case] = losses
        above = sum(one > MOST for one in losses)
        report.say(f"{case}: at most {max(losses):.3f}, {above} of {len(losses)} above {MOST}")
        file.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
