"""Maps in several parts, composed or triangular, against one: `python -m benchmarks.blocks`.

Block-triangular against joint on a posterior, and a composition of two maps against a single
potential of no fewer weights on two moons. Test losses on rows that no fit has seen.
"""

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import data, report
from benchmarks.report import Figure
from brenier import ConvexPotentialFlow, TriangularConvexPotentialFlow
from brenier.training.settings import default_settings
from brenier.varpro.parameters import to_vector

SPLITS = (0, 1)
SEEDS = (0, 1)
LOG_2_PI = float(np.log(2 * np.pi))


def triangular() -> Iterator[Figure]:
    """Yield the loss of a block-triangular flow less that of the joint one, split by split."""
    if not data.POSTERIORS.is_dir():
        report.say(f"skipped the block-triangular flow: no data at {data.POSTERIORS}")
        return
    differences = []
    for split in SPLITS:
        rows = [_named(part) for part in data.posterior("lotka_volterra", split)]
        blocks = TriangularConvexPotentialFlow([list(range(4)), list(range(4, 8))])
        nll = [_nll(flow, rows) for flow in (blocks, ConvexPotentialFlow())]
        differences.append(nll[0] - nll[1])
        yield Figure(
            f"lotka_volterra, split {split}: block-triangular NLL above the joint flow's",
            differences[-1],
            detail=f"{nll[0]:.4f} against {nll[1]:.4f}",
        )
    yield Figure(
        "lotka_volterra: block-triangular NLL above the joint flow's, mean of splits",
        float(np.mean(differences)),
        0.05,
    )


def composed() -> Iterator[Figure]:
    """Yield the loss of two maps less that of one of no fewer weights, seed by seed."""
    differences = []
    for seed in SEEDS:
        rows = data.moons(4096, seed)
        two = ConvexPotentialFlow(n_maps=2, random_state=seed)
        n_init = default_settings(composed=True).n_init
        one = ConvexPotentialFlow(n_estimators=1, n_init=n_init, random_state=seed)
        J = [_nll(flow, rows) - LOG_2_PI for flow in (two, one)]
        differences.append(J[0] - J[1])
        weights = [_n_weights(flow) for flow in (two, one)]
        yield Figure(
            f"moons N = 4096, seed {seed}: J of two maps less that of one",
            differences[-1],
            detail=f"{J[0]:.4f} with {weights[0]} weights against {J[1]:.4f} with {weights[1]}, "
            f"best of {n_init} starts each",
        )
    yield Figure(
        "moons N = 4096: J of two maps less that of one, mean of seeds",
        float(np.mean(differences)),
        -0.01,
    )


def _named(rows: np.ndarray) -> pl.DataFrame:
    return pl.from_numpy(rows, schema=[f"x{i}" for i in range(rows.shape[1])])


def _nll(flow: Any, rows: Any) -> float:
    train, valid, test = rows
    return -flow.fit(train, validation_data=valid).score(test)


def _n_weights(flow: Any) -> int:
    """Return the number of trained weights, last layers included."""
    potentials = flow.flow_.map.potentials
    return sum(len(to_vector(p.features.network)) + len(p.w) for p in potentials)


PARTS: dict[str, report.Part] = {"composed": composed, "triangular": triangular}


def run(folder: Path = report.RESULTS) -> None:
    """Measure all parts, print their figures and keep them in `folder`."""
    report.measure("blocks", PARTS, folder)


def main() -> None:
    """Measure the parts that are asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}")
    wanted = parser.parse_args().parts or PARTS
    warnings.simplefilter("ignore")
    report.measure("blocks", {name: PARTS[name] for name in wanted})


if __name__ == "__main__":
    main()
