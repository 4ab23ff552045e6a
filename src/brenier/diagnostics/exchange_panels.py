"""The panels of rows against draws: coverage, energy distance, columns and pairs, a classifier."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from brenier.diagnostics.exchange import (
    cell_distances,
    distribution_differences,
    distribution_scores,
    energy_distances,
    labelings,
    pairs_of,
    quantile_cells,
)
from brenier.diagnostics.normality_panels import Family
from brenier.diagnostics.null_scale import LEVEL, Standing, largest_of, standing
from brenier.diagnostics.panels import (
    ColumnsPanel,
    Curve,
    CurvesPanel,
    Marginal,
    Pair,
    PermutationPanel,
)

# Random labelings.
N_LABELINGS = 499
# Columns and pairs that are shown; columns whose pairs are looked at; bins of a histogram, and the
# share of values beyond its ends.
MOST_SHOWN, MOST_PAIRED, N_BINS, BEYOND = 5, 20, 30, 0.002


class Pooled(NamedTuple):
    """Rows and draws, the rows in front.

    Attributes
    ----------
    X : (K, n)
        In data units.
    log_density : (K,)
        The model's, of each.
    n_rows : int
        N.
    names : n str
        Columns.
    """

    X: Float[np.ndarray, "K n"]
    log_density: Float[np.ndarray, " K"]
    n_rows: int
    names: Sequence[str]


def exchange_family(pooled: Pooled, rng: np.random.Generator) -> Family:
    """Return the panels of rows against draws.

    Parameters
    ----------
    pooled : Pooled
        Rows and draws.
    rng : Generator
        Where random numbers come from.
    """
    N = pooled.n_rows
    labels = labelings(N, len(pooled.X) - N, N_LABELINGS, rng)
    made = [
        coverage_panel(pooled, labels),
        energy_panel(pooled, labels),
        columns_panel(pooled, labels),
    ]
    panels, stands = zip(*made, strict=True)
    return Family(panels, np.stack([stand.null for stand in stands], axis=1))


def coverage_panel(pooled: Pooled, labels: Bool[np.ndarray, "P K"]) -> tuple[CurvesPanel, Standing]:
    """Return the panel of highest-density regions: one of mass q should hold a share q of the rows.

    Where a row's log-density ranks among the draws' is the mass of the region on whose edge it is.
    """
    depth = -pooled.log_density
    scores = distribution_scores(depth, labels)
    stand = standing(scores[0], scores[1:])
    curve = _coverage_curve(depth, labels, float(np.quantile(scores[1:], 1 - LEVEL)))
    k = int(np.argmax(np.abs(curve.difference)))
    level, held = curve.at[k], curve.at[k] + curve.difference[k]
    seen = f"the region that should hold {level:.0%} of the rows holds {held:.0%}"
    how = "too wide" if held > level else "too narrow, or elsewhere"
    sentence = (
        f"Regions of highest density are {how}: {seen}."
        if stand.scaled > 1
        else f"Regions of highest density hold what they should but for chance; at most, {seen}."
    )
    panel = CurvesPanel(
        *("coverage", "Coverage of regions of highest density", *stand.numbers, sentence),
        curves=(curve,),
        n_curves=1,
        x_label="mass of the region",
        y_label="share of rows within, minus it",
    )
    return panel, stand


def _coverage_curve(
    depth: Float[np.ndarray, " K"], labels: Bool[np.ndarray, "P K"], bound: float
) -> Curve:
    """Return the curve over the masses of regions: shares of draws."""
    difference, deviation = distribution_differences(depth, labels[:1])
    of_draws = np.sort(depth[~labels[0]])
    pooled = np.unique(np.quantile(depth, np.arange(1, 50) / 50))
    at = np.searchsorted(of_draws, pooled, side="right") / len(of_draws)
    score = float(np.max(np.abs(difference[0]) / deviation))
    half = bound * deviation
    return Curve("all rows", at, difference[0], -half, half, score)


def energy_panel(
    pooled: Pooled, labels: Bool[np.ndarray, "P K"]
) -> tuple[PermutationPanel, Standing]:
    """Return the panel of the energy distance between rows and draws."""
    values = energy_distances(pooled.X, labels)
    stand = standing(values[0], values[1:])
    usual = float(np.quantile(values[1:], 1 - LEVEL))
    seen = f"their energy distance is {values[0]:.2f}, of a right model below {usual:.2f} in 95 %"
    sentence = (
        f"Rows and draws can be told apart: {seen}."
        if stand.scaled > 1
        else f"Rows and draws cannot be told apart by their distances: {seen}."
    )
    panel = PermutationPanel(
        *("energy", "Energy distance between rows and draws", *stand.numbers, sentence),
        null=values[1:],
    )
    return panel, stand


def columns_panel(pooled: Pooled, labels: Bool[np.ndarray, "P K"]) -> tuple[ColumnsPanel, Standing]:
    """Return the panel of the columns and pairs of columns that fit worst."""
    n = pooled.X.shape[1]
    of_columns = np.stack([distribution_scores(x, labels) for x in pooled.X.T], axis=1)
    cells = [quantile_cells(x)[0] for x in pooled.X.T]
    paired = list(pairs_of(np.argsort(-of_columns[0], kind="stable")[:MOST_PAIRED]))
    of_pairs = [cell_distances(cells[i], cells[j], labels) for i, j in paired]
    all_of = np.concatenate([of_columns, np.array(of_pairs).reshape(-1, len(labels)).T], axis=1)
    statistic, null, scaled = largest_of(all_of[0], all_of[1:])
    stand = standing(statistic, null)
    worst = np.argsort(-scaled[:n], kind="stable")[:MOST_SHOWN]
    marginals = tuple(_marginal(pooled, int(k), float(scaled[k])) for k in worst)
    order: list[int] = np.argsort(-scaled[n:], kind="stable")[:MOST_SHOWN].tolist()
    numbers = [(float(all_of[0, n + k]), float(scaled[n + k])) for k in order]
    pairs = tuple(_pair(pooled, paired[k], *two) for k, two in zip(order, numbers, strict=True))
    first = max([*marginals, *pairs], key=lambda one: one.scaled).sentence
    sentence = (
        f"What fits worst: {first}"
        if stand.scaled > 1
        else f"No column and no pair of columns is off by more than chance; the worst: {first}"
    )
    title = "Columns and pairs that fit worst"
    return ColumnsPanel("columns", title, *stand.numbers, sentence, marginals, pairs), stand


def _marginal(pooled: Pooled, k: int, scaled: float) -> Marginal:
    x, N = pooled.X[:, k], pooled.n_rows
    low, high = np.quantile(x, [BEYOND, 1 - BEYOND])
    edges = np.linspace(low, high, N_BINS + 1)
    rows, draws = (np.histogram(part, edges)[0] / len(part) for part in (x[:N], x[N:]))
    merged = np.sort(x)
    below = [np.searchsorted(np.sort(part), merged, "right") / len(part) for part in (x[:N], x[N:])]
    gap = below[0] - below[1]
    at = int(np.argmax(np.abs(gap)))
    sentence = (
        f"{pooled.names[k]}: {below[0][at]:.0%} of the rows and {below[1][at]:.0%} of the draws "
        f"are at most {merged[at]:.4g}."
    )
    distance = float(np.abs(gap[at]))
    return Marginal(pooled.names[k], distance, scaled, edges, rows, draws, sentence)


def _pair(pooled: Pooled, pair: tuple[int, int], distance: float, scaled: float) -> Pair:
    i, j = pair
    (x, x_edges), (y, y_edges) = quantile_cells(pooled.X[:, i]), quantile_cells(pooled.X[:, j])
    N, C = pooled.n_rows, len(x_edges) - 1
    counts = [
        np.bincount(C * x[part] + y[part], minlength=C * C).reshape(C, C)
        for part in (slice(N), slice(N, None))
    ]
    rows, draws = (count / count.sum() for count in counts)
    a, b = np.unravel_index(np.argmax(np.abs(rows - draws)), rows.shape)
    names = pooled.names[i], pooled.names[j]
    sentence = (
        f"{names[0]} and {names[1]}: {rows[a, b]:.0%} of the rows and {draws[a, b]:.0%} of the "
        f"draws have {names[0]} in {x_edges[a]:.4g} to {x_edges[a + 1]:.4g} and {names[1]} in "
        f"{y_edges[b]:.4g} to {y_edges[b + 1]:.4g}."
    )
    return Pair(names, distance, scaled, x_edges, y_edges, rows, draws, sentence)
