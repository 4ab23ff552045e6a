"""Tables with few rows for their columns: `python -m benchmarks.few_a_column`.

Of each data set a few rows are fitted, with the defaults, and up to 2,000 others are scored. Beside
the fit stand two Gaussians of the same rows: one with scikit-learn's `LedoitWolf` covariance, and
one of factors, scikit-learn's `FactorAnalysis`, their number chosen by five-fold cross-validation;
columns standardised. What is told is the mean log-density of the scored rows (nats a row), and the
lead of the fit over the better of these two, which no user knows beforehand.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import FactorAnalysis
from sklearn.model_selection import cross_val_score

from benchmarks import data, report
from brenier import ConvexPotentialFlow
from brenier.data.datasets import CorrelatedGaussian
from brenier.reproduce.images.data import IMAGE_SETS

NAME = "few_a_column"
FACTORS, FOLDS, N_SCORED, SEEDS = (1, 2, 4, 8, 16, 32), 5, 2000, 3

Rows = Callable[[np.random.Generator, int, int], np.ndarray]


def correlated(rng: np.random.Generator, N: int, seed: int) -> np.ndarray:
    """Return normal rows of 40 columns, neighbours correlated by 0.9."""
    return CorrelatedGaussian(40).sample(N, random_state=int(rng.integers(2**31)))


def of_factors(rng: np.random.Generator, N: int, seed: int) -> np.ndarray:
    """Return normal rows of 40 columns that have three factors."""
    fixed = np.random.default_rng(0)
    loadings, noise = fixed.normal(size=(3, 40)), np.sqrt(fixed.uniform(0.2, 1.0, 40))
    return rng.normal(size=(N, 3)) @ loadings + noise * rng.normal(size=(N, 40))


def student(rng: np.random.Generator, N: int, seed: int) -> np.ndarray:
    """Return rows of Student's t of five degrees of freedom, 30 columns."""
    mix = np.random.default_rng(0).normal(size=(30, 30))
    return rng.normal(size=(N, 30)) @ mix / np.sqrt(rng.chisquare(5, size=(N, 1)) / 5)


def bent(rng: np.random.Generator, N: int, seed: int) -> np.ndarray:
    """Return rows of 26 columns of which every second bends with the one before."""
    X = rng.normal(size=(N, 26))
    X[:, 1::2] += 0.5 * X[:, ::2] ** 2
    return X


def bent_factors(rng: np.random.Generator, N: int, seed: int) -> np.ndarray:
    """Return rows of 40 columns with two factors, of which one bends with the other."""
    factors = rng.normal(size=(N, 2))
    factors[:, 1] = 1.5 * (factors[:, 0] ** 2 - 1.0) + 0.3 * factors[:, 1]
    loadings = np.random.default_rng(0).normal(size=(2, 40))
    return factors @ loadings + rng.normal(size=(N, 40))


def digits(rng: np.random.Generator, N: int, seed: int) -> np.ndarray:
    """Return images of 8 x 8 pixels, those left out that are constant in all."""
    images = IMAGE_SETS["digits"].split(seed)
    return np.concatenate([images.train, images.validation, images.test])[:N]


def posterior(name: str) -> Rows:
    """Return what makes rows of draws of a posterior."""
    return lambda rng, N, seed: np.concatenate(data.posterior(name, seed))[:N]


SETS: dict[str, tuple[Rows, tuple[int, ...]]] = {
    "correlated": (correlated, (30, 60, 120)),
    "three factors": (of_factors, (30, 60, 120)),
    "student": (student, (60, 150, 320)),
    "bent": (bent, (60, 200, 450)),
    "bent factors": (bent_factors, (60, 150, 300)),
    "digits": (digits, (40, 80, 200, 400)),
    "diamonds": (posterior("diamonds"), (40, 80, 200, 450)),
    "eight_schools_noncentered": (posterior("eight_schools_noncentered"), (40, 60, 100, 190)),
}


def gaussians(X: np.ndarray, scored: np.ndarray) -> dict[str, np.ndarray]:
    """Return the log-densities of rows under Gaussians of others."""
    mean, sd = X.mean(axis=0), X.std(axis=0)
    Z, S = (X - mean) / sd, (scored - mean) / sd
    n = X.shape[1]
    numbers = [k for k in FACTORS if k < min(n, len(X) * (FOLDS - 1) // FOLDS)]
    models = [FactorAnalysis(k, svd_method="lapack") for k in numbers]
    best = max(models, key=lambda model: cross_val_score(model, Z, cv=FOLDS).mean())
    shrunk, factors = LedoitWolf().fit(Z), best.fit(Z)
    made = {
        "shrunk": multivariate_normal(shrunk.location_, shrunk.covariance_),
        "factors": multivariate_normal(factors.mean_, factors.get_covariance()),
    }
    return {name: one.logpdf(S) - np.sum(np.log(sd)) for name, one in made.items()}


def measured(name: str, N: int, seed: int) -> dict[str, Any]:
    """Return the record of one fit: what it reaches, and the Gaussians beside it."""
    rows, _ = SETS[name]
    X = rows(np.random.default_rng((N, seed)), N + N_SCORED, seed)
    X, scored = X[:N], X[N:]
    of_gaussians, begun = gaussians(X, scored), time.perf_counter()
    flow = ConvexPotentialFlow(random_state=seed).fit(X)
    seconds = time.perf_counter() - begun
    return {
        "set": name,
        "rows": N,
        "columns": X.shape[1],
        "seed": seed,
        "brenier": float(np.mean(flow.score_samples(scored))),
        "baseline": float(np.mean(flow.baseline_score_samples(scored))),
        **{kind: float(np.mean(one)) for kind, one in of_gaussians.items()},
        "is_gaussian": flow.report_.is_gaussian,
        "what": flow.report_.baseline,
        "seconds": seconds,
    }


def lead(record: dict[str, Any], of: str = "brenier") -> float:
    """Return how far one density is above the better Gaussian."""
    return record[of] - max(record["shrunk"], record["factors"])


def keep(record: dict[str, Any]) -> None:
    """Keep a record beside those of other fits."""
    report.keep_record(NAME, record, ("set", "rows", "seed"))


def markdown(records: Sequence[dict[str, Any]]) -> list[str]:
    """Return the section of the documentation's page."""
    lines = [
        "## Few rows a column",
        "",
        "Log-density of other rows (nats a row) less that under the better of two Gaussians of the "
        "same rows, with Ledoit and Wolf's covariance or of a few factors: of the defaults, and of "
        "the Gaussian that these begin with; means over seeds, and the least "
        "(`python -m benchmarks.few_a_column`).",
        "",
        "| | columns | rows | seeds | fit | least | its Gaussian | more than that |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, N in dict.fromkeys((record["set"], record["rows"]) for record in records):
        own = [one for one in records if (one["set"], one["rows"]) == (name, N)]
        leads = [lead(one) for one in own]
        bent = sum(not one["is_gaussian"] for one in own)
        lines.append(
            f"| {name} | {own[0]['columns']} | {N} | {len(own)} | {np.mean(leads):+.2f} | "
            f"{min(leads):+.2f} | {np.mean([lead(one, 'baseline') for one in own]):+.2f} | "
            f"{bent} of {len(own)} |"
        )
    return lines


def main() -> None:
    """Fit all, print and store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"any of {', '.join(SETS)}")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in arguments.sets or SETS:
        for N in SETS[name][1]:
            for seed in range(arguments.first, arguments.first + arguments.seeds):
                record = measured(name, N, seed)
                keep(record)
                report.say(
                    f"{name}, {N} rows, seed {seed}: {record['brenier']:.3f}, "
                    f"{lead(record):+.3f} above the better Gaussian; {record['what']}; "
                    f"{record['seconds']:.0f} s"
                )
    report.say("\n".join(markdown(report.read(NAME))))


if __name__ == "__main__":
    main()
