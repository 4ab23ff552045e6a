"""The panels of targets against draws at their rows: ranks, coverage, TARP, intervals."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from brenier.diagnostics.normality_panels import MOST_CURVES, Family
from brenier.diagnostics.null_scale import LEVEL, Standing, standing
from brenier.diagnostics.panels import CurvesPanel, IntervalsPanel, RanksPanel
from brenier.diagnostics.uniform import counts_below, curve_of, grid, table_scores
from brenier.diagnostics.within_rows import (
    distances_to_others,
    interval_scores,
    of_stand_ins,
    ranks_within,
    stand_ins,
    tenths,
    within_levels,
)

# Tables in which random draws take the targets' places; bins of ranks.
N_TABLES, N_BINS = 499, 20
# Levels of central intervals, and parts of the context.
LEVELS, N_PARTS = np.array([0.5, 0.9]), 10


class AtRows(NamedTuple):
    """Targets, and draws of the model at the same rows.

    Attributes
    ----------
    members : (N, L + 1, n)
        The target, then L draws.
    log_density : (N, L + 1)
        The model's, of each.
    context : (N, q)
        Of the rows.
    names, context_names : n str, q str
        Targets and columns of the context.
    """

    members: Float[np.ndarray, "N K n"]
    log_density: Float[np.ndarray, "N K"]
    context: Float[np.ndarray, "N q"]
    names: Sequence[str]
    context_names: Sequence[str]


def conditional_family(at: AtRows, rng: np.random.Generator) -> Family:
    """Return the panels of targets against draws at their rows.

    Parameters
    ----------
    at : AtRows
        Targets and draws.
    rng : Generator
        Where random numbers come from.
    """
    N, K, n = at.members.shape
    members = stand_ins(N, K - 1, N_TABLES, rng)
    of_targets = [of_stand_ins(ranks_within(at.members[:, :, i], rng), members) for i in range(n)]
    of_density = of_stand_ins(ranks_within(-at.log_density, rng), members)
    of_distance = of_stand_ins(ranks_within(distances_to_others(at.members, rng), rng), members)
    made = [
        ranks_panel(np.stack(of_targets), K - 1, at.names),
        coverage_panel(of_density, K - 1),
        tarp_panel(of_distance, K - 1),
        intervals_panel(np.stack(of_targets), K - 1, at),
    ]
    panels, stands = zip(*made, strict=True)
    return Family(panels, np.stack([stand.null for stand in stands], axis=1))


def rank_counts(ranks: Int[np.ndarray, "*S N"], L: int) -> Int[np.ndarray, "*S G"]:
    """Return how many ranks are less than 1, ..., L: at or below the points of `grid(L)`."""
    return counts_below(ranks, np.arange(L) + 0.5)


def ranks_panel(
    ranks: Int[np.ndarray, "n P N"], L: int, names: Sequence[str]
) -> tuple[RanksPanel, Standing]:
    """Return the panel of the targets' ranks."""
    N, at = ranks.shape[2], grid(L)
    counts = rank_counts(ranks, L)
    scores = table_scores(N, at)(counts)
    largest = scores.max(axis=0)
    stand, bound = standing(largest[0], largest[1:]), float(np.quantile(largest[1:], 1 - LEVEL))
    worst: list[int] = np.argsort(-scores[:, 0], kind="stable")[:MOST_CURVES].tolist()
    curves = tuple(curve_of(names[k], counts[k, 0], N, at, bound) for k in worst)
    edges = np.linspace(0, L + 1, min(N_BINS, L + 1) + 1) - 0.5
    shares = np.diff(np.ceil(edges)) / (L + 1)
    found = np.stack([np.histogram(ranks[k, 0], edges)[0] for k in worst])
    low, high = stats.binom.ppf([[LEVEL / 2], [1 - LEVEL / 2]], N, shares)
    u = (ranks[worst[0], 0] + 0.5) / (L + 1)
    outside = float(np.mean(np.abs(2 * u - 1) > LEVELS[-1]))
    seen = (
        f"{names[worst[0]]} is above the median of its draws in {np.mean(u > 0.5):.0%} of the rows "
        f"and outside their central {LEVELS[-1]:.0%} in {outside:.0%}"
    )
    sentence = (
        f"Targets do not rank among draws as they should: {seen}."
        if stand.scaled > 1
        else f"Targets rank among draws at their rows as they should: {seen}."
    )
    title = "Ranks of targets among draws (simulation-based calibration)"
    panel = RanksPanel(
        *("ranks", title, *stand.numbers, sentence, curves, L), counts=found, low=low, high=high
    )
    return panel, stand


def coverage_panel(ranks: Int[np.ndarray, "P N"], L: int) -> tuple[CurvesPanel, Standing]:
    """Return the panel of the coverage of highest-density regions at the rows."""
    return _of_ranks(
        ranks,
        L,
        "coverage",
        "Expected coverage of regions of highest density",
        "mass of the region",
    )


def tarp_panel(ranks: Int[np.ndarray, "P N"], L: int) -> tuple[CurvesPanel, Standing]:
    """Return the panel of the coverage of balls around points chosen without the target."""
    title = "Expected coverage around random points (TARP)"
    return _of_ranks(ranks, L, "tarp", title, "mass of the ball")


def _of_ranks(
    ranks: Int[np.ndarray, "P N"], L: int, name: str, title: str, x_label: str
) -> tuple[CurvesPanel, Standing]:
    at, N = grid(L), ranks.shape[1]
    counts = rank_counts(ranks, L)
    scores = table_scores(N, at)(counts)
    stand, bound = standing(scores[0], scores[1:]), float(np.quantile(scores[1:], 1 - LEVEL))
    curve = curve_of("all rows", counts[0], N, at, bound)
    k = int(np.argmax(np.abs(curve.difference)))
    seen = (
        f"regions that should hold {at[k]:.0%} of the targets hold "
        f"{at[k] + curve.difference[k]:.0%}"
    )
    sentence = (
        f"{title}: {seen}."
        if stand.scaled > 1
        else f"{title}: as it should be but for chance; at most, {seen}."
    )
    panel = CurvesPanel(
        *(name, title, *stand.numbers, sentence, (curve,), 1),
        x_label=x_label,
        y_label="share of targets within, minus it",
    )
    return panel, stand


def intervals_panel(
    ranks: Int[np.ndarray, "n P N"], L: int, at: AtRows
) -> tuple[IntervalsPanel, Standing]:
    """Return the panel of central intervals by tenths of every column of the context."""
    edges, parts = tenths(at.context, N_PARTS)
    scores = np.stack(
        [interval_scores(within_levels(one, L, LEVELS), parts, LEVELS) for one in ranks], axis=1
    )
    largest = scores.max(axis=(1, 2, 3, 4))
    stand = standing(largest[0], largest[1:])
    sizes = parts.sum(axis=2)
    inside = within_levels(ranks[:, 0], L, LEVELS)
    counts = np.einsum("nik,qti->nqtk", inside.astype(float), parts.astype(float))
    N = np.where(sizes > 0, sizes, 1)[None, :, :, None]
    coverage = np.where(sizes[None, :, :, None] > 0, counts / N, np.nan)
    low, high = (
        stats.binom.ppf(tail, N, LEVELS) / N + np.zeros_like(coverage)
        for tail in (LEVEL / 2, 1 - LEVEL / 2)
    )
    i, j, t, k = map(int, np.unravel_index(np.argmax(scores[0]), scores[0].shape))
    worst = at.names[i], at.context_names[j]
    seen = (
        f"with {worst[1]} in {edges[j, t]:.4g} to {edges[j, t + 1]:.4g}, intervals of "
        f"{LEVELS[k]:.0%} hold {worst[0]} in {coverage[i, j, t, k]:.0%} of {sizes[j, t]} rows"
    )
    sentence = (
        f"Intervals do not hold what they promise everywhere: {seen}."
        if stand.scaled > 1
        else f"Intervals hold what they promise at every context, but for chance; at most, {seen}."
    )
    panel = IntervalsPanel(
        *("intervals", "Central intervals by tenths of the context", *stand.numbers, sentence),
        targets=tuple(at.names),
        contexts=tuple(at.context_names),
        levels=LEVELS,
        edges=edges,
        counts=sizes,
        coverage=coverage,
        low=low,
        high=high,
        worst=worst,
    )
    return panel, stand
