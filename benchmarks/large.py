"""What more rows bring: `python -m benchmarks.large`.

Two densities that are known, of 8 and 16 columns: every column has a location and a scale that
depend on those before it, by small random networks, and noise of two normals, and all are turned.
Nats that a fit of 1e5, 1e6 and 1e7 rows misses, on rows of their own: of the default, of wider
networks, of longer searches, and with the last layer solved for on more rows.
"""

import argparse
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
from scipy.special import logsumexp

from benchmarks import report
from benchmarks.ablation import Variant
from brenier import ConvexPotentialFlow
from brenier.optimizers import schedule_free

NAME = "large"
COLUMNS = (8, 16)
SIZES = (10**5, 10**6, 10**7)
N_JUDGE = 50_000
# Of a column's networks: hidden units, how strongly it depends on others, and how far its scale may
# change (in its logarithm).
HIDDEN, STRENGTH, SPREAD = 8, 1.5, 0.7
# Noise: two normals, their means, standard deviations and shares.
MEANS, SDS, SHARES = np.array([-0.6, 0.9]), np.array([0.5, 0.8]), np.array([0.6, 0.4])
WIDER, LONGER = (32,) * 4, 1e-3
# Rows drawn at a time.
PIECE = 10**6


@dataclass(frozen=True)
class Networks:
    """A density of n columns that is known.

    Parameters
    ----------
    n : int
        Columns; also the seed of the networks.
    """

    n: int

    def _column(self, k: int) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng((self.n, k))
        inner = rng.normal(size=(k, HIDDEN)) / np.sqrt(max(k, 1))
        return inner, rng.normal(size=HIDDEN), *rng.normal(size=(2, HIDDEN)) / np.sqrt(HIDDEN)

    def _location_and_scale(self, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return those of the column after Y, the scale as its logarithm."""
        inner, bias, location, scale = self._column(Y.shape[1])
        hidden = np.tanh(STRENGTH * (Y @ inner) + bias)
        return STRENGTH * hidden @ location, SPREAD * np.tanh(hidden @ scale)

    @property
    def _turn(self) -> np.ndarray:
        rng = np.random.default_rng((self.n, self.n))
        return np.linalg.qr(rng.normal(size=(self.n, self.n)))[0]

    def draw(self, n_rows: int, seed: int) -> np.ndarray:
        """Return rows."""
        rng = np.random.default_rng((seed, n_rows))
        sizes = [min(PIECE, n_rows - start) for start in range(0, n_rows, PIECE)]
        return np.concatenate([self._piece(size, rng) for size in sizes])

    def _piece(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        Y = np.zeros((n_rows, 0))
        for _ in range(self.n):
            which = (rng.random(n_rows) > SHARES[0]).astype(int)
            noise = MEANS[which] + SDS[which] * rng.normal(size=n_rows)
            location, log_scale = self._location_and_scale(Y)
            Y = np.column_stack([Y, location + np.exp(log_scale) * noise])
        return Y @ self._turn

    def log_density(self, X: np.ndarray) -> np.ndarray:
        """Return the true log-density (nats)."""
        Y = X @ self._turn.T
        total = np.zeros(len(X))
        for k in range(self.n):
            location, log_scale = self._location_and_scale(Y[:, :k])
            noise = (Y[:, k] - location) * np.exp(-log_scale)
            parts = -0.5 * ((noise[:, None] - MEANS) / SDS) ** 2 - np.log(SDS) + np.log(SHARES)
            total += logsumexp(parts, axis=1) - 0.5 * np.log(2.0 * np.pi) - log_scale
        return total


@dataclass(frozen=True)
class Recipe:
    """How a fit of many rows differs from the default.

    Attributes
    ----------
    widths : tuple of int
        Of the network's layers.
    all_rows_last : bool
        Whether the last layer is solved for on a million rows.
    least_gain : float or None
        Nats a run must have risen by in its second half; None: the default.
    """

    widths: tuple[int, ...] | None = None
    all_rows_last: bool = False
    least_gain: float | None = None

    @contextmanager
    def used(self) -> Iterator[None]:
        """Make fits by this recipe."""
        with ExitStack() as stack:
            if self.all_rows_last:
                stack.enter_context(Variant({"most_rows": 10**6}).used())
            if self.least_gain is not None:
                stack.enter_context(patch.object(schedule_free, "LEAST_GAIN", self.least_gain))
            yield


RECIPES = {
    "default": Recipe(),
    "last layer on all rows, 1e6 at most": Recipe(all_rows_last=True),
    "longer": Recipe(least_gain=LONGER),
    "wider and longer": Recipe(widths=WIDER, least_gain=LONGER),
}


def measured(n: int, n_rows: int, name: str) -> dict[str, Any]:
    """Return the record of one fit."""
    density, recipe = Networks(n), RECIPES[name]
    X, fresh = density.draw(n_rows, seed=0), density.draw(N_JUDGE, seed=1)
    options = {} if recipe.widths is None else {"widths": recipe.widths}
    begun = time.perf_counter()
    with recipe.used():
        flow = ConvexPotentialFlow(random_state=0, **options).fit(X)
    seconds = time.perf_counter() - begun
    missed = density.log_density(fresh) - flow.score_samples(fresh)
    base = density.log_density(fresh) - flow.baseline_score_samples(fresh)
    return {
        "columns": n,
        "rows": n_rows,
        "recipe": name,
        "missed": float(missed.mean()),
        "error": float(missed.std() / np.sqrt(N_JUDGE)),
        "missed_by_gaussian": float(base.mean()),
        "seconds": seconds,
        "iterations": flow.report_.best_iteration,
    }


def markdown(records: Sequence[dict[str, Any]]) -> list[str]:
    """Return the section of the documentation's page."""
    lines = [
        "## More rows",
        "",
        "Nats that fits miss of densities that are known, each column's location and scale given "
        "by small random networks of those before it, the noise of two normals, and all turned "
        f"(`python -m benchmarks.large`). Of {N_JUDGE:,} rows of their own; one fit "
        "each. *longer*: a run ends once it has risen by less than "
        f"{LONGER:g} nats in its second half, in place of {schedule_free.LEAST_GAIN:g}; *wider*: "
        f"layers of {' x '.join(map(str, WIDER))} units.",
        "",
        "| columns | rows | recipe | nats missed | by the Gaussian |",
        "|---|---|---|---|---|",
    ]
    for one in sorted(records, key=lambda one: (one["columns"], one["rows"])):
        lines.append(
            f"| {one['columns']} | {one['rows']:,} | {one['recipe']} | {one['missed']:.4f} "
            f"\N{PLUS-MINUS SIGN} {one['error']:.4f} | {one['missed_by_gaussian']:.3f} |"
        )
    return lines


def main() -> None:
    """Fit, print and store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--columns", nargs="+", type=int, default=list(COLUMNS))
    parser.add_argument("--rows", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for n in arguments.columns:
        for n_rows in arguments.rows:
            for name in arguments.recipes:
                record = measured(n, n_rows, name)
                report.keep_record(NAME, record, ("columns", "rows", "recipe"))
                report.say(
                    f"{n} columns, {n_rows:,} rows, {name}: {record['missed']:.4f} +- "
                    f"{record['error']:.4f} nats missed, {record['seconds']:.0f} s"
                )


if __name__ == "__main__":
    main()
