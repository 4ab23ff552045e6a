"""The result of a diagnosis, and of a comparison: frozen records, as text and as plain types."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float

from brenier.diagnostics.panels import AbstractPanel
from brenier.io.plain import to_plain


@dataclass(frozen=True)
class NatsMissing:
    """What the density loses per row, whatever the fault: a lower bound of its KL divergence.

    Attributes
    ----------
    value, standard_error : float
        In nats per row.
    parts : tuple of float
        What each part of the rows says, scored by what was fitted to the others.
    n_rows : int
        Rows that were scored.
    """

    value: float
    standard_error: float
    parts: tuple[float, ...]
    n_rows: int

    def __str__(self) -> str:
        return f"{self.value:.3f} +- {self.standard_error:.3f} nats per row"


@dataclass(frozen=True)
class GlobalTest:
    """Whether rows could be of the model at all: the largest of all panels' statistics.

    Attributes
    ----------
    statistic : float
        The largest of the panels' statistics, each on its null scale.
    p_value : float
        Share of tables from a right model in which the largest is as large.
    panel : str
        Name of the panel that it is of.
    level : float
        The test's level, 0.05.
    n_simulations : int
        Tables simulated.
    """

    statistic: float
    p_value: float
    panel: str
    level: float
    n_simulations: int

    @property
    def rejects(self) -> bool:
        """Whether a right model has so large a statistic in fewer tables than the level."""
        return self.p_value <= self.level


@dataclass(frozen=True)
class Score:
    """The mean log-density of the judged rows under one density, and what the model leads it by.

    Attributes
    ----------
    name : str
        "model", "Gaussian", "kernel density", "Gaussian mixture".
    mean, standard_error : float
        In nats per row.
    lead, lead_error : float
        The model's mean minus this one, of paired differences; 0 for the model itself.
    n_rows : int
        Rows judged.
    fitted_to : str
        As in "2000 other rows" or "one half of the rows, judged on the other".
    """

    name: str
    mean: float
    standard_error: float
    lead: float
    lead_error: float
    n_rows: int
    fitted_to: str


@dataclass(frozen=True)
class RankedScore:
    """The continuous ranked probability score of one target: less is better.

    Attributes
    ----------
    target : str
        Its name.
    mean, standard_error : float
        In the target's units.
    climatology : float
        The score of the targets of other rows as a forecast, whatever the context.
    skill : float
        1 - mean / climatology: 1 is perfect, 0 no better than without context.
    """

    target: str
    mean: float
    standard_error: float
    climatology: float
    skill: float


@dataclass(frozen=True)
class WorstRow:
    """A row that the model explains badly.

    Attributes
    ----------
    row : int
        Its position in the table.
    values : tuple of n float
        In data units; of a conditional model the targets, then the context.
    log_density : float
        In nats.
    share : float
        Share of draws that are less likely; 0: none is.
    column : str
        The column that makes it so.
    off : float
        How far that column is from what a linear regression on the others, among draws, says of
        it, in standard deviations; of a conditional model, its z.
    """

    row: int
    values: tuple[float, ...]
    log_density: float
    share: float
    column: str
    off: float


@dataclass(frozen=True)
class Rows:
    """What single rows tell.

    Attributes
    ----------
    worst : tuple of WorstRow
        The least likely ones first; at most ten.
    far : tuple of int
        Rows less likely than any draw, the first hundred of them; of a conditional model, beyond
        all draws of at least one of their targets.
    n_far : int
        How many there are.
    n_far_expected : float
        How many there would be of a right model.
    n_outside_bounds : int
        Rows where the density is zero.
    outside_training : tuple of int
        Rows outside the range of the training rows in some column, the first hundred of them.
    n_outside_training : int or None
        How many there are; None where that range is not known.
    repeated : tuple of str
        Columns whose values repeat, in words.
    n_copies : int
        Rows that are copies of rows before them.
    """

    worst: tuple[WorstRow, ...]
    far: tuple[int, ...]
    n_far: int
    n_far_expected: float
    n_outside_bounds: int
    outside_training: tuple[int, ...]
    n_outside_training: int | None
    repeated: tuple[str, ...]
    n_copies: int


@dataclass(frozen=True)
class Shown:
    """Rows and draws for a picture; of a conditional model, each draw at the row's context.

    Attributes
    ----------
    names : tuple of d str
        Columns; of a conditional model the targets, then the context.
    rows, draws : (k, d)
        In data units, at most 2000.
    z : (k, n)
        Images of these rows.
    """

    names: tuple[str, ...]
    rows: Float[np.ndarray, "k d"]
    draws: Float[np.ndarray, "m d"]
    z: Float[np.ndarray, "k n"]


@dataclass(frozen=True)
class Diagnosis:
    """Whether a density is good.

    Attributes
    ----------
    verdict : str
        One or two sentences, in nats.
    nats_missing : NatsMissing
        The headline.
    test : GlobalTest
        Of all panels.
    panels : tuple of AbstractPanel
        The worst first.
    scores : tuple of Score
        The model's first, then those of reference densities.
    ranked_scores : tuple of RankedScore
        Of a conditional model's targets.
    rows : Rows
        What single rows tell.
    names, context_names : tuple of str
        Columns whose density it is; columns of the context.
    n_rows : int
        Rows given.
    n_used : int
        Rows that the panels are of: without those of zero weight or density, and of unequal
        weights, those that are kept with a probability in proportion to theirs.
    notes : tuple of str
        What a reader must know of how this was made.
    shown : Shown
        Rows and draws for a picture; not in `to_dict`.
    """

    verdict: str
    nats_missing: NatsMissing
    test: GlobalTest
    panels: tuple[AbstractPanel, ...]
    scores: tuple[Score, ...]
    ranked_scores: tuple[RankedScore, ...]
    rows: Rows
    names: tuple[str, ...]
    context_names: tuple[str, ...]
    n_rows: int
    n_used: int
    notes: tuple[str, ...]
    shown: Shown

    @property
    def is_conditional(self) -> bool:
        """Whether the density is of some columns given others."""
        return bool(self.context_names)

    def panel(self, name: str) -> AbstractPanel:
        """Return the panel of this name.

        Raises
        ------
        ValueError
            If there is none.
        """
        found = [panel for panel in self.panels if panel.name == name]
        if not found:
            names = [panel.name for panel in self.panels]
            raise ValueError(f"Expected one of the panels {names}; got {name!r}.")
        return found[0]

    def to_dict(self) -> dict[str, Any]:
        """Return plain types that JSON can hold; NaN and infinity become None."""
        names = [field.name for field in fields(self) if field.name != "shown"]
        return {name: to_plain(getattr(self, name)) for name in names}

    def __str__(self) -> str:
        lines = [self.verdict, ""]
        lines += [f"Nats missing: {self.nats_missing}"]
        lines += [
            f"Largest of {len(self.panels)} panels: {self.test.panel}, {self.test.statistic:.2f} "
            f"(1 is the 95 % point of a panel alone); p = {self.test.p_value:.3g} of all together."
        ]
        lines += ["", *(f"  {_mark(panel)} {panel.sentence}" for panel in self.panels)]
        lines += ["", *map(_score_line, self.scores), *map(_ranked_line, self.ranked_scores)]
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines)


def _mark(panel: AbstractPanel) -> str:
    return "!" if panel.is_suspicious else "-"


def _score_line(score: Score) -> str:
    line = f"{score.name}: {score.mean:.3f} +- {score.standard_error:.3f} nats per row"
    if score.name == "model":
        return f"{line} ({score.n_rows} rows)"
    lead = f"the model leads by {score.lead:.3f} +- {score.lead_error:.3f}"
    return f"{line}; {lead} (fitted to {score.fitted_to})"


def _ranked_line(score: RankedScore) -> str:
    return (
        f"CRPS of {score.target}: {score.mean:.4g} +- {score.standard_error:.2g}, skill "
        f"{score.skill:.2f} over the targets of other rows"
    )


@dataclass(frozen=True)
class Comparison:
    """Models compared on the same rows.

    Attributes
    ----------
    names : tuple of m str
        The models'.
    n_rows : int
        Rows given.
    means, standard_errors : (m,)
        Mean log-density of the rows, in nats.
    differences, difference_errors : (m, m)
        Mean of the row's model minus the column's, of paired differences, and its standard error.
    divergences, divergence_errors : (m, m)
        KL divergence of the column's model from the row's, E_row [log p_row - log p_column], by
        draws of the row's; NaN where it has none.
    entropies, entropy_errors : (m,)
        -E [log p] of each model, by its own draws.
    n_draws : int
        Draws of each model.
    verdict : str
        Which one is best, in nats, and whether that could be chance.
    """

    names: tuple[str, ...]
    n_rows: int
    means: Float[np.ndarray, " m"]
    standard_errors: Float[np.ndarray, " m"]
    differences: Float[np.ndarray, "m m"]
    difference_errors: Float[np.ndarray, "m m"]
    divergences: Float[np.ndarray, "m m"]
    divergence_errors: Float[np.ndarray, "m m"]
    entropies: Float[np.ndarray, " m"]
    entropy_errors: Float[np.ndarray, " m"]
    n_draws: int
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain types that JSON can hold; NaN and infinity become None."""
        return to_plain(self)

    def __str__(self) -> str:
        scores = zip(self.names, self.means, self.standard_errors, strict=True)
        lines = [f"{name}: {mean:.3f} +- {error:.3f} nats per row" for name, mean, error in scores]
        return "\n".join([self.verdict, "", *lines])
