"""Tables with few rows for their columns: `python -m benchmarks.few_a_column`.

Of each data set a few rows are fitted, with the defaults, and up to 2,000 others are scored. Beside
the fit stand two Gaussians of the same rows: one with scikit-learn's `LedoitWolf` covariance, and
one of factors, scikit-learn's `FactorAnalysis`, their number chosen by five-fold cross-validation;
columns standardised. What is told is the mean log-density of the scored rows (nats a row), and the
lead of the fit over the better Gaussian with its standard error over these rows.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable

import numpy as np
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import FactorAnalysis
from sklearn.model_selection import cross_val_score

from benchmarks import data, report
from brenier import ConvexPotentialFlow
from brenier.data.datasets import CorrelatedGaussian
from brenier.reproduce.images.data import IMAGE_SETS

FILE = report.RESULTS / "few_a_column.json"
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


def measured(name: str, N: int, seed: int) -> dict[str, float | str | bool]:
    """Return what a fit reaches, beside the Gaussians."""
    rows, _ = SETS[name]
    X = rows(np.random.default_rng((N, seed)), N + N_SCORED, seed)
    X, scored = X[:N], X[N:]
    of_gaussians, begun = gaussians(X, scored), time.perf_counter()
    flow = ConvexPotentialFlow(random_state=seed).fit(X)
    seconds, own = time.perf_counter() - begun, flow.score_samples(scored)
    better = max(of_gaussians.values(), key=np.mean)
    lead = own - better
    return {
        "brenier": float(np.mean(own)),
        "baseline": float(np.mean(flow.baseline_score_samples(scored))),
        **{kind: float(np.mean(one)) for kind, one in of_gaussians.items()},
        "lead": float(np.mean(lead)),
        "error": float(np.std(lead, ddof=1) / np.sqrt(len(lead))),
        "is_gaussian": flow.report_.is_gaussian,
        "what": getattr(flow.report_, "baseline", ""),
        "seconds": seconds,
    }


def main() -> None:
    """Fit all, print and store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"any of {', '.join(SETS)}")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--file", default=FILE, help="where figures are kept")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    file = FILE.parent / arguments.file
    kept = json.loads(file.read_text()) if file.exists() else {"results": {}}
    kept["machine"] = report.here()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    for name in arguments.sets or SETS:
        for N in SETS[name][1]:
            found = [measured(name, N, seed) for seed in seeds]
            kept["results"][f"{name}, {N}"] = found
            file.write_text(json.dumps(kept, indent=1) + "\n")
            for one in found:
                report.say(
                    f"{name}, {N} rows: {one['brenier']:.3f} (baseline {one['baseline']:.3f}, "
                    f"shrunk {one['shrunk']:.3f}, factors {one['factors']:.3f}), lead "
                    f"{one['lead']:.3f} +- {one['error']:.3f}; {one['what']}"
                    f"{'; Gaussian' * bool(one['is_gaussian'])}; {one['seconds']:.0f} s"
                )


if __name__ == "__main__":
    main()
