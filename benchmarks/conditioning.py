"""Conditionals of fitted joint densities against the truth: `python -m benchmarks.conditioning`.

Densities whose conditionals are known are fitted to 10,000 rows, and conditioned at 20 values of
their first column, from two standard deviations below its mean to two above. What is measured is
the Kullback-Leibler divergence from the true conditional, by draws of it, in nats: at most 0.01 is
wanted. It has the error of the fit in it; that of conditioning is none where one or two columns are
free (quadrature), and otherwise the standard error and the effective size that are said beside it.
With `--rows` it is seen what more rows bring.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm

from benchmarks import report

FILE = report.RESULTS / "conditioning.json"
ROWS, VALUES, DRAWS, DEVIATIONS = 10_000, 20, 4000, 2.0
WANTED = 0.01
COLUMNS = (2, 3, 5)


class Gaussian:
    """Columns that are all correlated with the first."""

    deviation = 1.0

    def sample(self, N: int, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return rows."""
        first = rng.normal(size=N)
        return np.column_stack([first, self.given(first, n, rng)])

    def given(self, first: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return the other columns, given the first."""
        mean, sd = self._moments(first, n)
        return mean + sd * rng.normal(size=mean.shape)

    def log_density(self, first: float, rest: np.ndarray) -> np.ndarray:
        """Return the log-density of the other columns, given the first."""
        mean, sd = self._moments(np.full(len(rest), first), rest.shape[1] + 1)
        return norm.logpdf(rest, mean, sd).sum(axis=1)

    def _moments(self, first: np.ndarray, n: int) -> tuple[np.ndarray, float]:
        slopes = np.array([0.9, -0.6, 0.3, 0.8])[: n - 1]
        return first[:, None] * slopes, 0.5


class Bent(Gaussian):
    """Columns that depend on the square of the first."""

    def _moments(self, first: np.ndarray, n: int) -> tuple[np.ndarray, float]:
        slopes = np.array([0.3, -0.5, 0.0, 0.8])[: n - 1]
        return first[:, None] * slopes + 0.5 * first[:, None] ** 2, 0.5


class TwoModes:
    """Two Gaussians whose centres are apart in all columns."""

    centres, shares = np.array([-1.5, 1.5]), np.array([0.4, 0.6])
    sd = 0.7
    deviation = float(np.sqrt(0.7**2 + 1.5**2 * (1 - 0.2**2)))

    def sample(self, N: int, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return rows."""
        centre = rng.choice(self.centres, size=(N, 1), p=self.shares)
        return centre * self._signs(n) + self.sd * rng.normal(size=(N, n))

    def given(self, first: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return the other columns, given the first."""
        second = np.exp(self._log_weights(first)[:, 1])
        centre = self.centres[(rng.random(len(first)) < second).astype(int)]
        signs = self._signs(n)[1:]
        return centre[:, None] * signs + self.sd * rng.normal(size=(len(first), n - 1))

    def log_density(self, first: float, rest: np.ndarray) -> np.ndarray:
        """Return the log-density of the other columns, given the first."""
        log_weights = self._log_weights(np.array([first]))
        means = self.centres[:, None] * self._signs(rest.shape[1] + 1)[1:]
        terms = norm.logpdf(rest[:, None], means, self.sd).sum(axis=2)
        return np.asarray(logsumexp(terms + log_weights, axis=1))

    def _log_weights(self, first: np.ndarray) -> np.ndarray:
        terms = np.log(self.shares) + norm.logpdf(first[:, None], self.centres, self.sd)
        return terms - np.asarray(logsumexp(terms, axis=1, keepdims=True))

    @staticmethod
    def _signs(n: int) -> np.ndarray:
        return np.array([1.0, -1.0, 1.0, 1.0, -1.0])[:n]


@dataclass(frozen=True)
class AtValue:
    """The conditional at one value.

    Attributes
    ----------
    value : float
        Of the first column.
    kl, kl_error : float
        Its divergence from the truth and the standard error of that (nats).
    standard_error, effective_size : float or None
        Of the conditioning; None by quadrature.
    """

    value: float
    kl: float
    kl_error: float
    standard_error: float | None
    effective_size: float | None


def at_value(flow: Any, truth: Any, value: float, n: int, rng: np.random.Generator) -> AtValue:
    """Condition a fitted density and compare it with the truth."""
    rest = truth.given(np.full(DRAWS, value), n, rng)
    density = flow.condition({0: value})
    gaps = truth.log_density(value, rest) - density.log_density(rest)
    exact = np.isinf(density.effective_size)
    return AtValue(
        value,
        float(gaps.mean()),
        float(gaps.std() / np.sqrt(DRAWS)),
        None if exact else density.standard_error,
        None if exact else density.effective_size,
    )


def measured(
    fit: Callable[[np.ndarray], Any], truth: Any, n: int, rows: int = ROWS
) -> dict[str, Any]:
    """Return the conditionals of one fit."""
    rng = np.random.default_rng(0)
    begun = time.perf_counter()
    flow = fit(truth.sample(rows, n, rng))
    fitted = time.perf_counter()
    grid = np.linspace(-DEVIATIONS, DEVIATIONS, VALUES) * truth.deviation
    found = [at_value(flow, truth, float(value), n, rng) for value in grid]
    seconds = time.perf_counter() - fitted
    return {
        "values": [asdict(one) for one in found],
        "seconds_of_fit": fitted - begun,
        "seconds_a_value": seconds / VALUES,
    }


def _flow(X: np.ndarray) -> Any:
    from brenier import ConvexPotentialFlow

    return ConvexPotentialFlow().fit(X)


def _mixture(X: np.ndarray) -> Any:
    from brenier import ConvexPotentialMixture

    return ConvexPotentialMixture().fit(X)


CASES = {
    "gaussian": (_flow, Gaussian()),
    "bent": (_flow, Bent()),
    "two modes": (_flow, TwoModes()),
    "two modes, mixture": (_mixture, TwoModes()),
}


def main() -> None:
    """Fit all, print and store what their conditionals lose."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--columns", type=int, nargs="+", default=list(COLUMNS))
    parser.add_argument("--rows", type=int, default=ROWS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    kept = json.loads(FILE.read_text()) if FILE.exists() else {"results": {}}
    for n in arguments.columns:
        for name in arguments.cases:
            found = measured(*CASES[name], n, arguments.rows)
            of_rows = "" if arguments.rows == ROWS else f", {arguments.rows} rows"
            kept["machine"] = report.here()
            kept["results"][f"{name}, {n} columns{of_rows}"] = found
            kls = [one["kl"] for one in found["values"]]
            errors = [one["standard_error"] or 0.0 for one in found["values"]]
            report.say(
                f"{name}, {n} columns{of_rows}: KL mean {np.mean(kls):.4f}, largest {max(kls):.4f} "
                f"(wanted {WANTED:g}); of conditioning at most {max(errors):.4f}; "
                f"{found['seconds_a_value']:.1f} s a value"
            )
            FILE.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
