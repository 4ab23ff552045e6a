"""The panels of z: PIT of the coordinates, |z|^2, correlations, and those with a context."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from brenier.diagnostics.normality import (
    NormalityStatistics,
    context_features,
    counts,
    simulated,
    statistics,
)
from brenier.diagnostics.null_scale import LEVEL, Standing, largest_of, standing
from brenier.diagnostics.panels import (
    AbstractPanel,
    ContextPanel,
    CorrelationsPanel,
    CurvesPanel,
)
from brenier.diagnostics.uniform import curve_of, direct_scores, grid

# Simulated tables.
N_TABLES = 499
# Curves that a panel shows.
MOST_CURVES = 5


class Family(NamedTuple):
    """Panels whose null distributions are known together.

    Attributes
    ----------
    panels : tuple of AbstractPanel
        The panels.
    null : (S, k)
        Scaled statistics of the panels in S tables of a right model.
    """

    panels: tuple[AbstractPanel, ...]
    null: Float[np.ndarray, "S k"]


def normality_family(
    Z: Float[np.ndarray, "N n"],
    labels: Sequence[str],
    context: Float[np.ndarray, "N q"],
    context_names: Sequence[str],
    rng: np.random.Generator,
) -> Family:
    """Return the panels of z.

    Parameters
    ----------
    Z : (N, n)
        Images of rows.
    labels : n str
        Names of the coordinates.
    context : (N, q)
        The context of a conditional density; q is 0 of a joint one.
    context_names : q str
        Names of its columns.
    rng : Generator
        Where random numbers come from.
    """
    features = context_features(context)
    N, n = Z.shape
    null = simulated(N, n, features, N_TABLES, rng)
    found = statistics(Z[None], features, direct_scores(N, grid()))
    made: list[tuple[AbstractPanel, Standing]] = [
        _pit_panel(Z, labels, found, null),
        _radius_panel(Z, found, null),
    ]
    if n > 1:
        made.append(_correlations_panel(Z, labels, found, null))
    if context.shape[1]:
        names = [*context_names, *(f"{name}^2" for name in context_names)]
        made.append(_context_panel(Z, labels, names, found, null))
    panels, stands = zip(*made, strict=True)
    return Family(panels, np.stack([stand.null for stand in stands], axis=1))


def _bound(samples: Float[np.ndarray, " S"]) -> float:
    """Return what 95 % of null samples stay below."""
    return float(np.quantile(samples, 1 - LEVEL))


def _pit_panel(
    Z: Float[np.ndarray, "N n"],
    labels: Sequence[str],
    found: NormalityStatistics,
    null: NormalityStatistics,
) -> tuple[CurvesPanel, Standing]:
    """Return the panel of the coordinates' distributions: all of them in their bands, or not."""
    samples = null.pit.max(axis=1)
    stand, bound = standing(found.pit[0].max(), samples), _bound(samples)
    worst: list[int] = np.argsort(-found.pit[0], kind="stable")[:MOST_CURVES].tolist()
    shown = counts(Z[None, :, worst]).pit[0]
    curves = tuple(
        curve_of(labels[k], shown[i], len(Z), grid(), bound) for i, k in enumerate(worst)
    )
    z = Z[:, worst[0]]
    seen = f"{labels[worst[0]]} has mean {z.mean():.2f} and standard deviation {z.std():.2f}"
    sentence = (
        f"The distribution of {seen}; 0 and 1 if the model is right."
        if stand.scaled > 1
        else f"No coordinate of z differs from a normal by more than chance; {seen}."
    )
    title = "Coordinates of z against the normal"
    panel = CurvesPanel(
        *("pit", title, *stand.numbers, sentence, curves, Z.shape[1]),
        x_label="normal probability of the coordinate",
        y_label="share of rows at or below, minus it",
    )
    return panel, stand


def _radius_panel(
    Z: Float[np.ndarray, "N n"], found: NormalityStatistics, null: NormalityStatistics
) -> tuple[CurvesPanel, Standing]:
    """Return the panel of |z|^2."""
    N, n = Z.shape
    stand = standing(found.radius[0], null.radius)
    curve = curve_of("|z|^2", counts(Z[None]).radius[0], N, grid(), _bound(null.radius))
    ratio = float(np.mean(Z**2))
    where = "further out" if ratio > 1 else "closer in"
    seen = f"|z|^2 is {ratio:.2f} times as large on average as it should be"
    sentence = (
        f"Rows lie {where} than the model says, or at other distances: {seen}."
        if stand.scaled > 1
        else f"The distance from the centre is as the model says: {seen}."
    )
    panel = CurvesPanel(
        *("radius", f"|z|^2 against chi-squared({n})", *stand.numbers, sentence, (curve,), 1),
        x_label=f"chi-squared({n}) probability of |z|^2",
        y_label="share of rows at or below, minus it",
    )
    return panel, stand


def _correlations_panel(
    Z: Float[np.ndarray, "N n"],
    labels: Sequence[str],
    found: NormalityStatistics,
    null: NormalityStatistics,
) -> tuple[CorrelationsPanel, Standing]:
    """Return the panel of correlations between coordinates and their squares."""
    kinds = [(found.z, null.z), (found.mixed, null.mixed), (found.squares, null.squares)]
    stand, bounds, scaled = _largest_correlation(kinds)
    root = np.sqrt(len(Z))
    z, mixed, squares = (matrix[0] / root for matrix, _ in kinds)
    kind = int(np.argmax(scaled))
    matrix = (z, mixed, squares)[kind]
    row, column = map(int, np.unravel_index(np.argmax(np.abs(matrix)), matrix.shape))
    marks = (("", ""), ("", "^2"), ("^2", "^2"))[kind]
    worst = labels[row] + marks[0], labels[column] + marks[1]
    sentence = _correlation_sentence(
        worst, matrix[row, column], bounds[kind] / root, suspicious=stand.scaled > 1
    )
    panel = CorrelationsPanel(
        *("correlations", "Correlations of z and of z^2", *stand.numbers, sentence),
        labels=tuple(labels),
        z=z,
        mixed=mixed,
        squares=squares,
        bounds=tuple(bound / root for bound in bounds),
        worst=worst,
    )
    return panel, stand


def _context_panel(
    Z: Float[np.ndarray, "N n"],
    labels: Sequence[str],
    names: Sequence[str],
    found: NormalityStatistics,
    null: NormalityStatistics,
) -> tuple[ContextPanel, Standing]:
    """Return the panel of correlations of z with the context."""
    kinds = [
        (found.context_z, null.context_z),
        (found.context_squares, null.context_squares),
    ]
    stand, bounds, scaled = _largest_correlation(kinds)
    root = np.sqrt(len(Z))
    z, squares = (matrix[0] / root for matrix, _ in kinds)
    kind = int(np.argmax(scaled))
    matrix = (z, squares)[kind]
    row, column = map(int, np.unravel_index(np.argmax(np.abs(matrix)), matrix.shape))
    worst = labels[row] + ("", "^2")[kind], names[column]
    sentence = _correlation_sentence(
        worst, matrix[row, column], bounds[kind] / root, suspicious=stand.scaled > 1
    )
    panel = ContextPanel(
        *("context", "Correlations of z with the context", *stand.numbers, sentence),
        labels=tuple(labels),
        contexts=tuple(names),
        z=z,
        squares=squares,
        bounds=(bounds[0] / root, bounds[1] / root),
        worst=worst,
    )
    return panel, stand


def _largest_correlation(
    kinds: Sequence[tuple[np.ndarray, np.ndarray]],
) -> tuple[Standing, list[float], Float[np.ndarray, " k"]]:
    """Return where the largest of several matrices' entries stands, their bounds, and each one's.

    Parameters
    ----------
    kinds : sequence of pairs of (1, a, b) and (S, a, b)
        A matrix of the data, and those of tables of a right model.
    """
    largest = np.array([np.abs(matrix).max() for matrix, _ in kinds])
    samples = np.stack([np.abs(null).max(axis=(1, 2)) for _, null in kinds], axis=1)
    statistic, null, scaled = largest_of(largest, samples)
    return standing(statistic, null), [_bound(column) for column in samples.T], scaled


def _correlation_sentence(
    worst: tuple[str, str], value: float, bound: float, *, suspicious: bool
) -> str:
    a, b = worst
    seen = f"{a} and {b} have correlation {value:.2f}"
    usual = f"the largest of its kind is below {bound:.2f} in 95 % of tables of a right model"
    if suspicious:
        return f"The model leaves a dependence out: {seen}; {usual}."
    return f"No dependence is left out by more than chance: {seen}; {usual}."
