"""What kind of density: one map, two or three composed, or a mixture; held-out rows choose.

One map is fitted first. Two composed maps, from one start, take its place where they lead it on
held-out rows by more than a standard error of the paired difference; then three where they lead
two. The number that is taken is fitted as it would be had it been asked for. Last the mixture, its
density of every row by weights that the row did not decide, must lead so what was taken. So the
simplest kind is returned that no less simple one beats. With no rows held out, and of few rows, it
is the single map.
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
from brenier.status import FitStatus
from brenier.training.cross_fit import are_crossed
from brenier.training.families import AbstractFamily
from brenier.training.fit import Model, Potentials, begin, concluded, heldout_of, train
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
    def of(
        kind: str,
        over: str,
        difference: Float[np.ndarray, " M"],
        weights: Float[np.ndarray, " M"],
    ) -> "Lead":
        """Return the lead, given the difference on every row."""
        return Lead(kind, over, MeanAndError.of(difference, weights), len(difference))

    def is_clear(self, settings: Settings) -> bool:
        """Whether it is more than chance."""
        return self.nats.mean > settings.choice_lead * self.nats.standard_error

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

    def words(self, taken: str) -> str:
        """Return in a sentence what is taken and why."""
        why = "; ".join(map(str, self.leads))
        return f"Taken: {taken}{', ' if why else ', as nothing else was tried'}{why}."


@dataclass(frozen=True)
class _Table:
    """The rows of a fit, and how others are fitted to them."""

    rows: WeightedRows
    validation: WeightedRows | None
    family: AbstractFamily
    bounds: Bounds
    session: Session

    def trained(self, settings: Settings) -> Potentials:
        """Return potentials of other settings; a Ctrl-C meanwhile is that of the whole fit."""
        potentials = train(
            self.rows, self.validation, self.family, settings, self.session, bounds=self.bounds
        )
        if any(one.status is FitStatus.INTERRUPTED for one in potentials.everyone):
            self.session.interrupted.set()
        return potentials


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
    choice = _final(_maps(table, settings, composed), table, composed)
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
    choice = _maps(table, settings, composed, single)
    pool = None if _is_over(session) else mixture_pool(single, family, bounds, session)
    if pool is None:
        return _flow(_final(choice, table, composed), session, discrete)
    lead = _of_mixture(choice, single, pool)
    choice = replace(choice, leads=(*choice.leads, lead))
    if not lead.is_clear(settings):
        return _flow(_final(choice, table, composed), session, discrete)
    model = concluded_mixture(single, pool, session, discrete)
    return replace(model, report=replace(model.report, choice=choice.words(MIXTURE)))


def _flow(choice: Choice, session: Session, discrete: Sequence[str]) -> Model:
    """Return the flow that was chosen; the session ends."""
    model = concluded(choice.potentials, session, discrete)
    words = choice.words(KINDS[choice.n_maps - 1])
    return replace(model, report=replace(model.report, choice=words))


def _maps(
    table: _Table, settings: Settings, composed: Settings, single: Potentials | None = None
) -> Choice:
    """Return the potentials of one map, or of as many as lead those of one less."""
    choice = Choice(table.trained(settings) if single is None else single)
    if not _can_choose(choice.potentials):
        return choice
    for n_maps in range(2, len(KINDS) + 1):
        if _is_over(table.session):
            break
        tried = table.trained(replace(composed, n_maps=n_maps, n_init=1))
        leads = _results(partial(_of_maps, tried, choice.potentials), table.session)
        choice = replace(choice, leads=(*choice.leads, *leads))
        if not leads or not leads[0].is_clear(settings):
            break
        choice = replace(choice, potentials=tried, is_final=composed.n_init == 1)
    return choice


def _can_choose(potentials: Potentials) -> bool:
    """Return whether there are rows that choose, and enough of them."""
    n_rows = potentials.table.rows.effective_size
    return bool(potentials.deciding) and not are_crossed(potentials.settings, n_rows)


def _final(choice: Choice, table: _Table, composed: Settings) -> Choice:
    """Return what was chosen, of a composition with all its starts where there is time."""
    if choice.is_final or _is_over(table.session):
        return choice
    return replace(choice, potentials=table.trained(replace(composed, n_maps=choice.n_maps)))


def _of_maps(tried: Potentials, taken: Potentials) -> Lead:
    """Return the lead of other potentials on the held-out rows of the first fold."""
    first, second = tried.deciding[0], taken.deciding[0]
    difference = tried.heldout_log_density(first) - taken.heldout_log_density(second)
    kind, over = (KINDS[potentials.settings.n_maps - 1] for potentials in (tried, taken))
    return Lead.of(kind, over, difference, heldout_of(first.fold.split).weights)


def _of_mixture(choice: Choice, single: Potentials, pool: Pool) -> Lead:
    """Return the lead of the mixture over what is taken: of several maps on the first fold's."""
    unseen, weights = unseen_log_density(pool.log_densities, pool.weights), pool.weights
    taken, others = choice.potentials, pool.log_densities[:, 0]
    if taken is not single:
        others = taken.heldout_log_density(taken.deciding[0])
        unseen, weights = unseen[: len(others)], weights[: len(others)]
    kind = KINDS[choice.n_maps - 1]
    return Lead.of(MIXTURE, kind, unseen - others, weights)


def _results(function: Callable[[], Result], session: Session) -> list[Result]:
    """Return what a function returns, alone in a list; an empty one where time was too short."""
    session.phases.begin(SUMMING)
    return session.results(function, session.limits.conclusion)


def _is_over(session: Session) -> bool:
    """Return whether time is up, or Ctrl-C came."""
    return session.is_late or session.clock.stop.is_set()
