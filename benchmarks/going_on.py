"""What a fit that begins at a model saves, and loses: `python -m benchmarks.going_on`.

A model of 1,000 rows, fitted with the defaults; then nine tenths of these rows and as many new ones
as are missing, as they are ("replaced") or all moved by a twentieth of a standard deviation
("moved"), are fitted from nothing and from the model, one after the other, in turn the one and the
other first. Seconds are of one process on one machine, so that their ratio says something and they
themselves do not; programs are compiled by a fit before that is not counted. Held-out likelihoods
are of 4,000 fresh rows, moved likewise. A fit's likelihood has luck in it, of its split: what is
lost is a mean over seeds, with its standard error.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import product

import numpy as np

from benchmarks import report
from brenier import ConvexPotentialFlow
from brenier.data.datasets import MAFMoon, Moons, Rings

N, N_FRESH, SEEDS = 1000, 4000, 6
# By how many standard deviations rows are moved.
CHANGES: Mapping[str, float] = {"replaced": 0.0, "moved": 0.05}


def bent(rows: int, random_state: int) -> np.ndarray:
    """Return rows of six columns, each bent with the one before."""
    rng = np.random.default_rng(random_state)
    X = rng.normal(size=(rows, 6))
    for k in range(1, 6):
        X[:, k] = 0.5 * X[:, k] + 0.4 * X[:, k - 1] ** 2
    return X


CASES: Mapping[str, Callable[[int, int], np.ndarray]] = {
    "maf-moon": lambda rows, seed: MAFMoon().sample(rows, random_state=seed),
    "moons": lambda rows, seed: Moons().sample(rows, random_state=seed),
    "rings": lambda rows, seed: Rings().sample(rows, random_state=seed),
    "six bent columns": bent,
}


def measured(case: str, by: float, seed: int) -> dict[str, float]:
    """Return seconds and likelihoods of both fits."""
    draw = CASES[case]
    X = draw(N, 10 * seed)
    moved = by * X.std(axis=0)
    new = np.concatenate([X[: N * 9 // 10], draw(N - N * 9 // 10, 10 * seed + 1)]) + moved
    fresh = draw(N_FRESH, 10 * seed + 2) + moved
    old = ConvexPotentialFlow().fit(X)
    ConvexPotentialFlow(max_iter=2).fit(new, start=old)
    found: dict[str, float] = {"old model": old.score(fresh)}
    starts = [("from nothing", None), ("from the model", old)]
    for name, start in starts if seed % 2 else starts[::-1]:
        began = time.perf_counter()
        flow = ConvexPotentialFlow().fit(new, start=start)
        found[f"seconds {name}"] = time.perf_counter() - began
        found[name] = flow.score(fresh)
    return found


def main() -> None:
    """Fit all cases, print and store what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    file = report.RESULTS / "going_on.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for case, (change, by) in product(arguments.only, CHANGES.items()):
        found = [measured(case, by, seed) for seed in range(arguments.seeds)]
        results[f"{case}, {change}"] = found
        file.write_text(json.dumps(results, indent=1) + "\n")
        report.say(f"{case}, {change}: {said(found)}")


def said(found: Sequence[Mapping[str, float]]) -> str:
    """Return what the fits of several seeds took and lost."""
    ratios = [one["seconds from the model"] / one["seconds from nothing"] for one in found]
    lost = np.array([one["from nothing"] - one["from the model"] for one in found])
    error = lost.std(ddof=1) / np.sqrt(len(lost))
    return (
        f"{np.median(ratios):.2f} of the time (median), "
        f"{lost.mean():+.4f} +- {error:.4f} nats a row lost"
    )


if __name__ == "__main__":
    main()
