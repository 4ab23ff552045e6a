"""Clusters of toy sets whose labels are known: `python -m benchmarks.clusters`.

The adjusted Rand index of labels found without any, against the true ones: 1 is all right, 0 is
chance. Components of `ConvexPotentialMixture` with the defaults beside scikit-learn's
`GaussianMixture` and `HDBSCAN`; means over seeds, each with other rows, are put into
FOLDER/clusters.json.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
from sklearn.datasets import make_blobs, make_circles, make_moons
from sklearn.metrics import adjusted_rand_score

from benchmarks import report
from benchmarks.peers import CLUSTERERS
from benchmarks.pieces import Pieces
from benchmarks.report import Figure

NAME = "clusters"
N, SEEDS = 600, 5
OURS = "brenier-mixture"
# How far below the best of the others the mixture may be.
MOST_BELOW = 0.02
# Of the centres of blobs in scikit-learn's comparison of clusterings, and what stretches them.
EXAMPLE = 170
WIDTHS = (1.0, 2.5, 0.5)
STRETCH = np.array([[0.6, -0.6], [-0.4, 0.8]])
BENT = Pieces(((0.0, 0.0), (8.0, 0.0), (4.0, 9.0)), bend=0.7)

Labelled = tuple[np.ndarray, np.ndarray]
"""Rows (N, 2) and their labels (N,)."""


@dataclass(frozen=True)
class ToySet:
    """Rows and labels by seed; whether the mixture must be as good as the others on them."""

    rows: Callable[[int], Labelled]
    asked: bool = True


def moons(seed: int) -> Labelled:
    """Return two half circles with noise 0.05."""
    return make_moons(N, noise=0.05, random_state=seed)


def blobs(seed: int, widths: float | Sequence[float]) -> Labelled:
    """Return fresh rows about the three centres of scikit-learn's example."""
    _, _, centres = make_blobs(random_state=EXAMPLE, return_centers=True)
    X, labels = make_blobs(N, centers=centres, cluster_std=widths, random_state=seed)
    return X, labels


def stretched(seed: int) -> Labelled:
    """Return blobs all stretched in the same direction, as in the same example."""
    X, labels = blobs(seed, 1.0)
    return X @ STRETCH, labels


def bent(seed: int) -> Labelled:
    """Return three unit bananas, one above and between the arms of the others."""
    X = BENT.sample(N, seed)
    return X, BENT.piece(X)


def circles(seed: int) -> Labelled:
    """Return a ring in a ring."""
    return make_circles(N, factor=0.5, noise=0.05, random_state=seed)


SETS: Mapping[str, ToySet] = MappingProxyType(
    {
        "moons": ToySet(moons),
        "blobs of unequal width": ToySet(partial(blobs, widths=WIDTHS)),
        "stretched blobs": ToySet(stretched),
        "bent blobs": ToySet(bent),
        "noisy circles": ToySet(circles, asked=False),
    }
)
"""By name."""


def indices(toys: ToySet, method: str, seeds: int) -> np.ndarray:
    """Return the adjusted Rand index of a method for every seed."""
    find = CLUSTERERS[method].load()
    found = []
    for seed in range(seeds):
        X, labels = toys.rows(seed)
        found.append(adjusted_rand_score(labels, find(X, seed)))
    return np.array(found)


def measured(name: str, methods: Sequence[str], seeds: int) -> Iterator[Figure]:
    """Yield what each method reaches, and how far the mixture is from the best of the others."""
    found = {}
    for method in methods:
        found[method] = indices(SETS[name], method, seeds)
        detail = f"{seeds} seeds, from {found[method].min():.3f} to {found[method].max():.3f}"
        yield Figure(f"{name}: {method}", float(found[method].mean()), detail=detail)
    others = {method: one.mean() for method, one in found.items() if method != OURS}
    if OURS in found and others:
        best = max(others, key=lambda method: others[method])
        less = float(found[OURS].mean() - others[best])
        target = -MOST_BELOW if SETS[name].asked else None
        what = f"{name}: {OURS} less the best of the others"
        yield Figure(what, less, target, f"which is {best}", least=True)


def main() -> None:
    """Measure all sets, print and store the indices."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(SETS), default=list(SETS))
    methods = list(CLUSTERERS)
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("-o", "--output", type=Path, default=report.RESULTS, metavar="FOLDER")
    given = parser.parse_args()
    parts = {name: partial(measured, name, given.methods, given.seeds) for name in given.only}
    report.measure(NAME, parts, given.output)


if __name__ == "__main__":
    main()
