"""What kind of density: one map, two or three composed, or a mixture; held-out rows choose.

One map is fitted first. Two composed maps, from one start, take its place where they lead it on
held-out rows by more than a standard error of the paired difference; then three where they lead
two. The number that is taken is fitted as it would be had it been asked for. Last the mixture,
which has the single map in it, is taken where it leads at all, its density of every row by weights
that the row did not decide.

With no rows held out it is the single map, and of few rows, of which each potential holds out
others, one map or the mixture. Where every potential holds out other rows, more maps are compared
with one of the potentials, though the average is returned, which is better: there more standard
errors are asked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from brenier.data.bounds import Bounds
from brenier.data.rows import WeightedRows
from brenier.optimizers.progress import ProgressCallback
from brenier.training.cross_fit import are_crossed
from brenier.training.families import AbstractFamily
from brenier.training.fit import Model, Potentials, begin, concluded, heldout_of, train
from brenier.training.judged_mean import judged_mean
from brenier.training.mixture import MixtureModel, concluded_mixture, mixture_pool
from brenier.training.phases import SUMMING, Listener
from brenier.training.pool import unseen_log_density
from brenier.training.pooling import Pool
from brenier.training.report import MeanAndError
from brenier.training.session import Session
from brenier.training.settings import Settings

Result = TypeVar("Result")

KINDS = ("one map", "two maps", "three maps")
MIXTURE = "the mixture"


@dataclass(frozen=True)
class Lead:
    """By how much one kind of density leads another on rows that both have not seen.

    Attributes
    ----------
    kind, over : str
        Which they are.
    nats : MeanAndError
        The difference of their log-likelihoods, row by row.
    n_rows : int
        Rows that say so.
    """

    kind: str
    over: str
    nats: MeanAndError
    n_rows: int

    @staticmethod
    def of(kind: str, over: str, difference: Float[np.ndarray, " M"], rows: WeightedRows) -> "Lead":
        """Return the lead, given the difference on every row; those of a block count as one."""
        return Lead(kind, over, judged_mean(difference, rows, None), len(difference))

    def is_clear(self, errors: float) -> bool:
        """Whether it is more than so many standard errors; a single row says nothing."""
        return self.nats.mean > errors * self.nats.standard_error

    def __str__(self) -> str:
        return (
            f"{self.kind} above {self.over} by {self.nats} nats a row, on {self.n_rows} rows that "
            "choose"
        )


@dataclass(frozen=True)
class Choice:
    """What was taken so far.

    Attributes
    ----------
    potentials : Potentials
        The flow.
    leads : tuple of Lead
        What was tried against it, or against what came before.
    is_final : bool
        Whether the potentials are those of a fit that was asked for so many maps.
    """

    potentials: Potentials
    leads: tuple[Lead, ...] = ()
    is_final: bool = True

    @property
    def n_maps(self) -> int:
        """How many maps are composed."""
        return self.potentials.settings.n_maps

    @property
    def kind(self) -> str:
        """What it is."""
        return _kind(self.potentials)

    def words(self, taken: str, *, cut_off: bool) -> str:
        """Return in a sentence what is taken and why; and whether time cut something off."""
        if not self.leads:
            return f"Taken: {taken}, as nothing else was tried{' for want of time' * cut_off}."
        others = "; what else there is was cut off" * cut_off
        return f"Taken: {taken}, {'; '.join(map(str, self.leads))}{others}."


@dataclass(frozen=True)
class _Table:
    """The rows of a fit, and how others are fitted to them."""

    rows: WeightedRows
    validation: WeightedRows | None
    family: AbstractFamily
    bounds: Bounds
    session: Session

    def trained(self, settings: Settings) -> Potentials:
        """Return potentials of some settings."""
        return train(
            self.rows, self.validation, self.family, settings, self.session, bounds=self.bounds
        )


def fit_maps(
    rows: WeightedRows,
    validation: WeightedRows | None,
    family: AbstractFamily,
    settings: Settings,
    *,
    composed: Settings,
    bounds: Bounds,
    seed: int,
    discrete: Sequence[str] = (),
    callback: ProgressCallback | None = None,
    listener: Listener | None = None,
    began: float | None = None,
) -> Model:
    """Return a flow of as many maps as held-out rows ask for.

    Parameters as of `brenier.training.fit.fit`; `settings` are those of one map, `composed` those
    of several.
    """
    session = begin(settings, seed, callback, listener, began)
    table = _Table(rows, validation, family, bounds, session)
    choice = _final(_maps(table.trained(settings), table, composed), table, composed)
    return _flow(choice, session, discrete)


def fit_any(
    rows: WeightedRows,
    validation: WeightedRows | None,
    family: AbstractFamily,
    settings: Settings,
    *,
    composed: Settings,
    bounds: Bounds,
    seed: int,
    discrete: Sequence[str] = (),
    callback: ProgressCallback | None = None,
    listener: Listener | None = None,
    began: float | None = None,
) -> Model | MixtureModel:
    """Return a flow of one, two or three maps, or a mixture; parameters as of `fit_maps`."""
    session = begin(settings, seed, callback, listener, began)
    table = _Table(rows, validation, family, bounds, session)
    single = table.trained(settings)
    choice = _maps(single, table, composed)
    pool = None if session.is_over else mixture_pool(single, family, bounds, session)
    if pool is None:
        return _flow(_final(choice, table, composed), session, discrete)
    lead = _of_mixture(choice, single, pool)
    choice = replace(choice, leads=(*choice.leads, lead))
    # The flow is in it, and rows that chose the flow did not choose its weights.
    if not lead.is_clear(0.0):
        return _flow(_final(choice, table, composed), session, discrete)
    words = choice.words(MIXTURE, cut_off=session.is_over)
    model = concluded_mixture(single, pool, session, discrete)
    return replace(model, report=replace(model.report, choice=words))


def _flow(choice: Choice, session: Session, discrete: Sequence[str]) -> Model:
    """Return the flow that was chosen; the session ends."""
    words = choice.words(choice.kind, cut_off=session.is_over)
    model = concluded(choice.potentials, session, discrete)
    return replace(model, report=replace(model.report, choice=words))


def _maps(single: Potentials, table: _Table, composed: Settings) -> Choice:
    """Return the potentials of one map, or of as many as lead those of one less."""
    choice = Choice(single)
    if not _can_choose(single):
        return choice
    for n_maps in range(2, len(KINDS) + 1):
        if table.session.is_over:
            break
        tried = table.trained(replace(composed, n_maps=n_maps, n_init=1))
        leads = _results(partial(_of_maps, tried, choice.potentials), table.session)
        choice = replace(choice, leads=(*choice.leads, *leads))
        if not leads or not leads[0].is_clear(_errors(choice.potentials)):
            break
        choice = replace(choice, potentials=tried, is_final=composed.n_init == 1)
    return choice


def _can_choose(potentials: Potentials) -> bool:
    """Return whether there are rows that choose, and enough of them."""
    n_rows, n_folds = potentials.table.rows.effective_size, len(potentials.deciding)
    return n_folds == 1 or (n_folds > 1 and not are_crossed(potentials.settings, n_rows))


def _errors(potentials: Potentials) -> float:
    """Return by how many standard errors something must lead these.

    Of several folds it is one of them that others are compared with, and their average is better.
    """
    settings = potentials.settings
    return settings.choice_lead if len(potentials.deciding) == 1 else settings.choice_lead_own


def _kind(potentials: Potentials) -> str:
    """Return what a flow is: a composition may have fewer maps than it was asked for."""
    return KINDS[len(potentials.flow.map.potentials) - 1]


def _final(choice: Choice, table: _Table, composed: Settings) -> Choice:
    """Return what was chosen, of a composition with all its starts where there is time."""
    if choice.is_final or table.session.is_over:
        return choice
    found = table.trained(replace(composed, n_maps=choice.n_maps))
    is_cut_off = any(one.out_of_time for one in found.everyone)
    if is_cut_off and found.kept[0].chosen.criterion > choice.potentials.kept[0].chosen.criterion:
        return choice
    return replace(choice, potentials=found)


def _of_maps(tried: Potentials, taken: Potentials) -> Lead:
    """Return the lead of other potentials on the held-out rows of the first fold."""
    first, second = tried.deciding[0], taken.deciding[0]
    difference = tried.heldout_log_density(first) - taken.heldout_log_density(second)
    return Lead.of(_kind(tried), _kind(taken), difference, heldout_of(first.fold.split))


def _of_mixture(choice: Choice, single: Potentials, pool: Pool) -> Lead:
    """Return the lead of the mixture over what is taken: of several maps on the first fold's."""
    rows = pool.rows
    unseen = unseen_log_density(pool.log_densities, rows.weights, rows.blocks)
    taken, others = choice.potentials, pool.log_densities[:, 0]
    if taken is not single:
        others = taken.heldout_log_density(taken.deciding[0])
        unseen, rows = unseen[: len(others)], rows[: len(others)]
    return Lead.of(MIXTURE, choice.kind, unseen - others, rows)


def _results(function: Callable[[], Result], session: Session) -> list[Result]:
    """Return what a function returns, alone in a list; an empty one where time was too short."""
    session.phases.begin(SUMMING)
    return session.results(function, session.limits.conclusion)
