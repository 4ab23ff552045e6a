"""What a fit warns of in its rows, though they have a density: chains, codes, few that count."""

import warnings
from dataclasses import replace

import numpy as np

from brenier.data.chains import lag_one_correlations, looks_like_a_chain
from brenier.data.names import quoted
from brenier.data.repeats import repeated_columns, repeats_message
from brenier.data.rows import WeightedRows
from brenier.data.weights import are_unequal
from brenier.estimators.observations import Observations
from brenier.flow.column_order import own_columns
from brenier.flow.preprocessing import AbstractPreprocessing
from brenier.status import InputWarning
from brenier.training.far_rows import far_rows_of
from brenier.training.report import FitReport
from brenier.training.settings import Settings

# Fewer rows of equal weight than this tell little of a density.
FEW_EFFECTIVE_ROWS = 50


def told_of_rows(
    observations: Observations, rows: WeightedRows, *, stacklevel: int
) -> tuple[str, ...]:
    """Warn of what keeps rows from telling much; return the columns whose values repeat.

    Parameters
    ----------
    observations : Observations
        The rows as given.
    rows : WeightedRows
        The distinct ones.
    stacklevel : int
        Of the warnings, counted from the caller.
    """
    level = stacklevel + 1
    if observations.groups is None:
        _warn_of_chains(observations, stacklevel=level)
    if are_unequal(observations.weights) or rows.block is not None:
        _warn_of_few(rows.effective_size, len(observations.own), stacklevel=level)
    return _discrete_columns(observations, _n_distinct(observations, rows), stacklevel=level)


def _n_distinct(observations: Observations, rows: WeightedRows) -> int:
    """Return how many rows differ, those counted once that stand for several in a fit."""
    if observations.folding.is_plain:
        return len(rows.X)
    return len(np.unique(observations.own, axis=0))


def _warn_of_chains(observations: Observations, *, stacklevel: int) -> None:
    """Warn of columns whose neighbouring rows are alike, as those of a chain are.

    Where the rows of a context are in an order, targets follow: nothing is said then.
    """
    X, names, context = observations.own, observations.names, observations.context
    N = len(X)
    if context is not None and np.any(looks_like_a_chain(lag_one_correlations(context), N)):
        return
    correlations = lag_one_correlations(X)
    alike = np.flatnonzero(looks_like_a_chain(correlations, N))
    if len(alike):
        worst = int(alike[np.argmax(correlations[alike])])
        found = quoted([names[i] for i in alike.tolist()])
        warnings.warn(
            f"Expected independent rows; got rows like those before them in {found} (correlation "
            f"{correlations[worst]:.2f} in {names[worst]!r}). Of draws of a Markov chain, say "
            "which chain each is of (groups=, --chains): until then the error of the gain is too "
            "small. If their order means nothing, shuffle the rows.",
            InputWarning,
            stacklevel=stacklevel + 1,
        )


def _warn_of_few(effective_size: float, n_rows: int, *, stacklevel: int) -> None:
    """Warn where unequal weights, or chains, leave few rows that count."""
    if effective_size >= FEW_EFFECTIVE_ROWS:
        return
    warnings.warn(
        f"Expected {FEW_EFFECTIVE_ROWS} effective rows or more; got {n_rows} rows, worth "
        f"{effective_size:.1f} independent ones of equal weight (Kish's (sum w)^2 / sum w^2, over "
        "the time in which a chain forgets). Few rows then decide everything: get weights that "
        "vary less, longer chains, or more rows.",
        InputWarning,
        stacklevel=stacklevel + 1,
    )


def _discrete_columns(
    observations: Observations, n_distinct: int, *, stacklevel: int
) -> tuple[str, ...]:
    """Return the names of the columns whose values repeat, after a warning that says how."""
    own, weights, names = observations.own, observations.weights, observations.names
    # Those that are said to be discrete have probabilities, and nothing to warn of.
    said = [names[c] for c in observations.folding.cells.columns.tolist()]
    found = repeated_columns(own, weights, n_distinct, names)
    grids = [grid for grid in found if grid.name not in said]
    if grids:
        warnings.warn(repeats_message(grids), InputWarning, stacklevel=stacklevel + 1)
    return tuple(grid.name for grid in grids)


def told_of_far_rows(
    report: FitReport,
    observations: Observations,
    preprocessing: AbstractPreprocessing,
    settings: Settings,
    *,
    stacklevel: int,
) -> FitReport:
    """Return the report with the far rows counted and named, and warn of codes among them.

    Parameters
    ----------
    report : FitReport
        Without them.
    observations : Observations
        The rows as given.
    preprocessing : AbstractPreprocessing
        The fit's.
    settings : Settings
        Of the fit.
    stacklevel : int
        Of the warning, counted from the caller.
    """
    own, order = own_columns(preprocessing)
    ordered = [observations.names[int(k)] for k in order]
    X = observations.folding.circles.unroll(observations.own)
    found = far_rows_of(X[:, order], own, ordered, settings.far_distance)
    if found.codes:
        warnings.warn(
            f"Expected measured values; got far rows that share one: {'; '.join(found.codes)}. If "
            "it stands for a missing value, drop these rows.",
            InputWarning,
            stacklevel=stacklevel + 1,
        )
    return replace(report, n_far=found.count, far_rows=found.named)
