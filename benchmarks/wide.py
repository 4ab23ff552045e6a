"""How time grows with columns where these are many: `python -m benchmarks.wide`.

Float64, 2,000 rows whose columns bend with each other, hidden layers 4 x 16. What is compared runs
alternately; figures are medians, without compilation. An evaluation is the value and the gradient
in all weights; a Newton step is the objective in w, with its Hessian as a fit has it, factorised.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator

import jax
import numpy as np
from scipy.stats import multivariate_normal, norm
from sklearn.covariance import LedoitWolf

from benchmarks import report
from benchmarks.clock import interleaved
from benchmarks.problems import Problem, chord_step, formed, newton_step
from benchmarks.report import Figure
from brenier import ConvexPotentialFlow
from brenier.flow.inverse import invert
from brenier.program import program

N, WIDTHS = 2000, (16,) * 4
COLUMNS = (64, 128, 256, 784)
# Milliseconds at so many columns that are to be reached.
TARGETS = {64: 400.0, 784: 800.0}
NEWTON_TARGET, EXPONENT_TARGET = 400.0, 0.4
# Seconds of a default fit that are to be reached.
FITS = {26: 45.0, 40: 60.0, 64: 120.0}
N_TABLES = 3
BEND = 0.5
# Of gains over the shrunk Gaussian: rows that are fitted to, columns, and rows that judge.
N_GAINS, GAINS, N_JUDGE = 3000, (40, 64), 20_000
# Of the round trip.
N_POINTS, FURTHEST = 1000, 1e-7

invert_rows = program(invert)


def bent_rows(n: int, n_rows: int = N, seed: int = 0) -> np.ndarray:
    """Return rows of which every second column bends with the one before."""
    X = np.random.default_rng(seed).normal(size=(n_rows, n))
    X[:, 1::2] += BEND * X[:, : n - 1 : 2] ** 2
    return X


def parts_of(n: int) -> dict[str, Callable[[], object]]:
    """Return what is timed at n columns, by its name; call it where float64 is enabled."""
    problem = Problem.of(bent_rows(n), WIDTHS)
    theta, w, sample = problem.theta, problem.cold.w, problem.sample
    objective = formed(problem.reduced, theta, sample)
    return {
        "value and gradient": lambda: problem.reduced.value_and_gradient(theta, w, sample),
        "Newton step": lambda: newton_step(objective, w),
        "step without a Hessian of its own": lambda: chord_step(objective, w),
        "objective formed": lambda: formed(problem.reduced, theta, sample),
    }


def times(columns: tuple[int, ...] = COLUMNS) -> Iterator[Figure]:
    """Yield the time of every part, and the exponent of an evaluation's in the columns."""
    with jax.enable_x64(True):
        kernels = {(part, n): call for n in columns for part, call in parts_of(n).items()}
        spent = interleaved(kernels, rounds=9, most_seconds=120.0)
    for (part, n), seconds in spent.items():
        targets = TARGETS if part == "value and gradient" else {}
        target = NEWTON_TARGET if (part, n) == ("Newton step", 64) else targets.get(n)
        yield Figure(f"{part}, n = {n}: milliseconds", 1e3 * seconds, target)
    evaluations = [spent["value and gradient", n] for n in columns]
    exponent = float(np.polyfit(np.log(columns), np.log(evaluations), 1)[0])
    what = f"value and gradient, n = {columns[0]} to {columns[-1]}: exponent of n"
    yield Figure(what, exponent, EXPONENT_TARGET)


def round_trip(n: int = 64) -> Iterator[Figure]:
    """Yield how far normal points are from the images of their preimages, and how many arrived."""
    with jax.enable_x64(True):
        problem = Problem.of(bent_rows(n), WIDTHS)
        potential = problem.features.with_weights(problem.solution.w)
        Z = np.random.default_rng(1).normal(size=(N_POINTS, n))
        found = invert_rows(potential, Z)
        back = np.asarray(potential.expansion(found.X)[1]).T
    furthest = float(np.max(np.abs(back - Z)))
    yield Figure(f"round trip of {N_POINTS} points, n = {n}: furthest", furthest, FURTHEST)
    missed = int(np.sum(~np.asarray(found.converged)))
    yield Figure(f"round trip of {N_POINTS} points, n = {n}: not converged", missed, 0.0)


def fits() -> Iterator[Figure]:
    """Yield the seconds of default fits whose programs are compiled, and what they gain.

    Medians of fits to several tables; of each the figure, and the standard errors of gains.
    """
    for n, target in FITS.items():
        ConvexPotentialFlow(max_iter=2).fit(bent_rows(n))
        seconds, reports = [], []
        for seed in range(N_TABLES):
            rows, begun = bent_rows(n, seed=seed), time.perf_counter()
            reports.append(ConvexPotentialFlow().fit(rows).report_)
            seconds.append(time.perf_counter() - begun)
        of_each = ", ".join(f"{one:.1f}" for one in seconds)
        yield Figure(f"{fit_of(n)}: seconds", np.median(seconds), target, of_each)
        measured = [one.gain for one in reports if one.gain is not None]
        gains = [found.mean for found in measured]
        both = (f"{found.mean:.2f} +- {found.standard_error:.2f}" for found in measured)
        yield Figure(f"{fit_of(n)}: nats over a Gaussian", np.median(gains), detail=", ".join(both))
        evaluations = [one.n_evaluations for one in reports]
        of_each = ", ".join(f"{one}" for one in evaluations)
        yield Figure(f"{fit_of(n)}: evaluations", np.median(evaluations), detail=of_each)


def fit_of(n: int) -> str:
    """Return the name of fits of n columns."""
    return f"default fit, {N_TABLES} tables, n = {n}"


def gains() -> Iterator[Figure]:
    """Yield what default fits gain over the shrunk Gaussian on fresh rows, and what the truth does.

    Standard errors are of the fresh rows, for one fit.
    """
    for n in GAINS:
        X, fresh = bent_rows(n, N_GAINS, seed=n), bent_rows(n, N_JUDGE, seed=1000 + n)
        shrunk = LedoitWolf().fit(X)
        of_shrunk = multivariate_normal(shrunk.location_, shrunk.covariance_).logpdf(fresh)
        unbent = fresh.copy()
        unbent[:, 1::2] -= BEND * fresh[:, : n - 1 : 2] ** 2
        of_flow = ConvexPotentialFlow(random_state=0).fit(X).score_samples(fresh)
        gain = of_flow - of_shrunk
        error = np.std(gain) / np.sqrt(N_JUDGE)
        yield Figure(f"{what_of(n)}: nats", np.mean(gain), detail=f"+- {error:.3f}")
        of_truth = np.mean(norm.logpdf(unbent).sum(axis=1) - of_shrunk)
        yield Figure(f"{what_of(n)}, of the true density", of_truth)


def what_of(n: int) -> str:
    """Return the name of a gain over the shrunk Gaussian."""
    return f"gain over the shrunk Gaussian, {N_GAINS:,} rows, n = {n}"


PARTS: dict[str, report.Part] = {
    "times": times,
    "round-trip": round_trip,
    "fits": fits,
    "gains": gains,
}


def main() -> None:
    """Measure the parts that are asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    report.measure("wide", {name: PARTS[name] for name in arguments.parts or PARTS})


if __name__ == "__main__":
    main()
