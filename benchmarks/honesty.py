"""Whether what a report says of the gain is true: fits by the hundred of known distributions.

    python -m benchmarks.honesty [--only FAMILY ...] [--fits K]

Of each family so many tables are drawn and fitted with small settings. Of Gaussian rows it is
counted how often a gain is claimed, where there is none; of the others, how often the interval
holds the fitted model's own gain on fresh rows, and how often the model is more than the Gaussian.
Counts are put beside those in `benchmarks/results/honesty.json`.
"""

import argparse
import json
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from brenier import ConvexPotentialFlow

RESULTS = Path(__file__).parent / "results" / "honesty.json"
SMALL = {"widths": (8,), "max_iter": 40}
N_FRESH = 100_000
# Degrees of freedom of the heavy-tailed family, and the bend of the other.
DEGREES, BEND = 10, 0.23


@dataclass(frozen=True)
class Family:
    """Tables that are drawn, fitted and judged.

    Attributes
    ----------
    draw : callable
        Rows of a number and a generator.
    n_rows : int
        Rows of a table.
    what : str
        The distribution, in words.
    """

    draw: Callable[[int, np.random.Generator], np.ndarray]
    n_rows: int
    what: str


def gaussian(N: int, rng: np.random.Generator) -> np.ndarray:
    """Return normal rows of two columns."""
    return rng.normal(size=(N, 2))


def bent(N: int, rng: np.random.Generator) -> np.ndarray:
    """Return x_1 normal, x_2 = BEND (x_1^2 - 1) + normal."""
    X = rng.normal(size=(N, 2))
    X[:, 1] += BEND * (X[:, 0] ** 2 - 1.0)
    return X


def heavy(N: int, rng: np.random.Generator) -> np.ndarray:
    """Return rows of a multivariate t of three columns."""
    return rng.normal(size=(N, 3)) / np.sqrt(rng.chisquare(DEGREES, size=(N, 1)) / DEGREES)


FAMILIES = {
    "gaussian": Family(gaussian, 300, "normal rows: a gain is claimed though there is none"),
    "bent": Family(bent, 2000, "a bent normal, 0.05 nats better than a Gaussian"),
    "t10": Family(heavy, 2000, "multivariate t of 10 degrees, 0.04 nats better than a Gaussian"),
}


@dataclass(frozen=True)
class Fitted:
    """One fit: what its report says, and what is true of its model.

    Attributes
    ----------
    is_gaussian : bool
        Whether the Gaussian was returned.
    low, high : float
        The interval of the gain (nats per row).
    gain : float
        The model's own, on fresh rows.
    """

    is_gaussian: bool
    low: float
    high: float
    gain: float


def fitted(family: Family, seed: int) -> Fitted:
    """Draw a table, fit it, and judge the model by fresh rows."""
    rng = np.random.default_rng(seed)
    X, T = family.draw(family.n_rows, rng), family.draw(N_FRESH, rng)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The fit ended with status")
        flow = ConvexPotentialFlow(**SMALL).fit(X)
    report = flow.report_
    low, high = (float("nan"),) * 2 if report.gain is None else report.gain.interval
    gain = 0.0
    if not report.is_gaussian:
        gain = float(np.mean(flow.score_samples(T) - flow.baseline_score_samples(T)))
    return Fitted(report.is_gaussian, low, high, gain)


def summary(fits: list[Fitted]) -> dict[str, float]:
    """Return counts of a family's fits; of intervals, only where more than the Gaussian came."""
    judged = [one for one in fits if not one.is_gaussian]
    inside = [one.low <= one.gain <= one.high for one in judged]
    return {
        "fits": len(fits),
        "gaussians": sum(one.is_gaussian for one in fits),
        "claims": sum(one.low > 0 for one in fits),
        "false_claims": sum(one.low > 0 >= one.gain for one in fits),
        "inside": sum(inside),
        "below": sum(one.high < one.gain for one in judged),
        "above": sum(one.low > one.gain for one in judged),
        "mean_gain": float(np.mean([one.gain for one in fits])),
        "median_width": float(np.median([one.high - one.low for one in judged] or [np.nan])),
    }


def main() -> None:
    """Run what is asked for, and print and store the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--fits", type=int, default=400)
    parser.add_argument("--first-seed", type=int, default=0)
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in arguments.only:
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.fits)
        fits = [fitted(FAMILIES[name], seed) for seed in seeds]
        found = summary(fits)
        results[name] = {"what": FAMILIES[name].what, **found, "each": [asdict(f) for f in fits]}
        print(name, json.dumps(found))
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
