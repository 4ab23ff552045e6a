"""What is pooled: a flow, Gaussian mixtures of several sizes and starts, and flows of pieces.

Mixtures are fitted where the flow's potentials are, on the training rows of every fold, in the same
coordinates; of components with few rows a column others too, whose covariances are drawn towards
their mean: of images they say much more, of thin shapes less. How much there is of each kind is
decided by what they say of held-out rows (`brenier.training.pool`): of few rows every potential
holds out others, so that all rows decide, and every mixture has a member of each fold.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import logsumexp

from brenier.data.rows import WeightedRows, together
from brenier.flow.flow import ConvexFlow
from brenier.flow.gaussians import Gaussians
from brenier.flow.preprocessing import AbstractPreprocessing
from brenier.training.build_report import Measured, measure_as_seen, training_rows
from brenier.training.candidate import Trained
from brenier.training.fit import Potentials, heldout_of
from brenier.training.gaussian_mixture import GaussianMixture
from brenier.training.judge import Judgement, judge_density
from brenier.training.parallel import run_parallel
from brenier.training.piece_flows import FlowsOfPieces
from brenier.training.pool import pool_weights
from brenier.training.report import FitReport
from brenier.training.session import Session
from brenier.training.settings import Settings

# Share below which a kind is one of the others.
TOLD = 0.05


@dataclass(frozen=True)
class Pool:
    """Densities that are pooled, the same kinds of every fold.

    They are the flow, Gaussian mixtures, and one mixture of the flows of pieces, where there are
    several.

    Attributes
    ----------
    mixtures : sequence of F sequences of GaussianMixture
        Of every fold.
    log_densities : (M, C)
        Of the rows that decide, fold after fold, under every kind, in data units (nats).
    rows : WeightedRows
        These rows, preprocessed.
    shares : (C,)
        How much of each kind there is.
    pieces : (G,)
        Which connected piece of the density every Gaussian is of; none where pieces are not told.
    of_pieces : FlowsOfPieces or None
        The flows of pieces.
    """

    mixtures: Sequence[Sequence[GaussianMixture]]
    log_densities: Float[np.ndarray, "M C"]
    rows: WeightedRows
    shares: Float[np.ndarray, " C"]
    pieces: Int[np.ndarray, " G"] = field(default_factory=lambda: np.zeros(0, int))
    of_pieces: FlowsOfPieces | None = None

    @staticmethod
    def of(
        mixtures: Sequence[Sequence[GaussianMixture]],
        log_densities: Float[np.ndarray, "M C"],
        rows: WeightedRows,
    ) -> "Pool":
        """Return the pool of the flow and Gaussian mixtures, its shares the best on the rows."""
        return Pool(mixtures, log_densities, rows, pool_weights(log_densities, rows.weights))

    def joined_by(self, of_pieces: FlowsOfPieces, log_density: Float[np.ndarray, " M"]) -> "Pool":
        """Return the pool with the flows of pieces, given what they say of the rows that decide."""
        log_densities = np.column_stack([self.log_densities, log_density])
        shares = pool_weights(log_densities, self.rows.weights)
        return replace(self, log_densities=log_densities, shares=shares, of_pieces=of_pieces)

    @property
    def n_heldout(self) -> int:
        """How many rows decided it."""
        return len(self.rows.X)

    @property
    def heldout_log_likelihood(self) -> float:
        """Of all together on these rows (nats per row)."""
        reached = logsumexp(self.log_densities + np.log(self.shares), axis=1)
        return self.rows.mean(np.asarray(reached))

    @property
    def gaussians(self) -> Gaussians:
        """All Gaussians."""
        return Gaussians.together([one.gaussians for of_fold in self.mixtures for one in of_fold])

    @property
    def raw_weights(self) -> Float[np.ndarray, " K"]:
        """The weights of the flow, of those of pieces, and of all Gaussians."""
        n_kinds = len(self.mixtures[0])
        weights = [self.shares[:1]]
        if self.of_pieces is not None:
            weights.append(self.shares[-1] * self.of_pieces.weights)
        for of_fold in self.mixtures:
            for mixture, share in zip(of_fold, self.shares[1 : 1 + n_kinds], strict=True):
                weights.append(share / len(self.mixtures) * mixture.weights)
        return np.concatenate(weights)

    @property
    def words(self) -> str:
        """How much of it is what, in a clause; kinds of which there is little are others."""
        sizes = [len(mixture.weights) for mixture in self.mixtures[0]]
        of_sizes = dict.fromkeys(sorted(sizes), 0.0)
        for size, share in zip(sizes, self.shares[1 : 1 + len(sizes)], strict=True):
            of_sizes[size] += float(share)
        shares = {"the flow": float(self.shares[0])}
        if self.of_pieces is not None:
            shares["flows of pieces"] = float(self.shares[-1])
        for size, share in of_sizes.items():
            shares["a Gaussian" if size == 1 else f"mixtures of {size} Gaussians"] = share
        told = {name: share for name, share in shares.items() if share >= TOLD}
        parts = [f"{share:.0%} {name}" for name, share in told.items()]
        others = 1.0 - sum(told.values())
        return ", ".join([*parts, f"{others:.0%} others"])


def pooled(
    potentials: Potentials,
    session: Session,
    fit_one: Callable[..., GaussianMixture],
    of_heldout: Callable[[Trained, Sequence[GaussianMixture]], Float[np.ndarray, "M C"]],
) -> Pool | None:
    """Return the pool; None where no rows are held out to decide it, or no time was left.

    Parameters
    ----------
    potentials : Potentials
        What has been trained.
    session : Session
        The fit's.
    fit_one : callable
        What fits a Gaussian mixture to rows, its call that of `fit_gaussian_mixture`.
    of_heldout : callable
        Gives the log-densities of a fold's held-out rows under the flow and all its mixtures.
    """
    trained = potentials.deciding
    mixtures = _mixtures(trained, potentials.settings, session, fit_one) if trained else []
    if not mixtures:
        return None
    tables = [of_heldout(one, of_fold) for one, of_fold in zip(trained, mixtures, strict=True)]
    rows = [heldout_of(one.fold.split) for one in trained]
    return Pool.of(mixtures, np.concatenate(tables), together(rows))


def _mixtures(
    trained: Sequence[Trained],
    settings: Settings,
    session: Session,
    fit_one: Callable[..., GaussianMixture],
) -> list[list[GaussianMixture]]:
    """Return Gaussian mixtures of every fold, of the same sizes and numbers of starts.

    None at all where Ctrl-C came between.
    """
    starts = settings.mixture_starts if len(trained) == 1 else settings.mixture_starts_few
    rows = [one.fold.split.train[: settings.whole_rows] for one in trained]
    kinds = kinds_of_mixtures(
        min(len(part.X) for part in rows), rows[0].X.shape[1], starts, settings
    )
    jobs = [
        partial(fit_one, part, kind.size, (one.fold.seed, kind.start), settings, kind.prior)
        for one, part in zip(trained, rows, strict=True)
        for kind in kinds
    ]
    made = run_parallel(jobs, session.clock.stop)
    if len(made) < len(jobs):
        return []
    return [made[k : k + len(kinds)] for k in range(0, len(made), len(kinds))]


class Kind(NamedTuple):
    """A Gaussian mixture to be fitted: its size, the number of its start, the prior's rows."""

    size: int
    start: int
    prior: float


def kinds_of_mixtures(N: int, n: int, starts: int, settings: Settings) -> list[Kind]:
    """Return what mixtures there are, given N rows of n columns.

    Beside those of components with rows enough, of every size one more with a prior; where it is
    the prior alone that allows for so many components, as many as there are starts.
    """
    # Of one component there is but one.
    kinds = [Kind(1, 0, 0.0)]
    for size in settings.mixture_sizes:
        plain = size > 1 and settings.has_mixture(N, n, size)
        kinds += [Kind(size, start, 0.0) for start in range(starts * plain)]
        if size > 1 and settings.has_mixture_with_prior(N, n, size):
            more = [starts] if plain else range(starts)
            kinds += [Kind(size, start, settings.mixture_prior * (n + 1)) for start in more]
    return kinds


def report_of_pool(
    log_density: Callable[[np.ndarray], np.ndarray],
    pool: Pool | None,
    flow: ConvexFlow,
    potentials: Potentials,
    session: Session,
    discrete: Sequence[str],
    *,
    n_components: int,
    n_gaussians: int,
) -> FitReport:
    """Return the report of a mixture, or of its flow where there is no pool; the session ends.

    Parameters
    ----------
    log_density : callable
        Of the mixture, of rows in data units.
    pool : Pool or None
        What it is made of.
    flow : ConvexFlow
        The flow alone.
    potentials : Potentials
        What has been trained.
    session : Session
        The fit's.
    discrete : sequence of str
        Names of the columns whose values repeat.
    n_components, n_gaussians : int
        Components of the mixture, and those of them that are Gaussians or regressions.
    """
    results = session.results(
        partial(_measured, log_density, flow.preprocessing, potentials), session.limits.report
    )
    if results:
        measured = results[0]
    else:
        kept, whole, table = potentials.kept, potentials.whole, potentials.table
        measured = measure_as_seen(kept, whole, flow.preprocessing, table, potentials.settings)
    report = potentials.report(flow, measured, session, discrete)
    session.phases.close()
    if pool is None:
        return report
    return replace(
        report,
        n_components=n_components,
        message=f"{report.message} So ended the fit of the flow; the mixture has {n_components} "
        f"component{'s' * (n_components != 1)}: {pool.words}.",
        is_gaussian=report.is_gaussian and n_gaussians == 0,
        n_heldout=pool.n_heldout,
        heldout_log_likelihood=pool.heldout_log_likelihood,
        pool=pool.words,
    )


def _measured(
    log_density: Callable[[np.ndarray], np.ndarray],
    preprocessing: AbstractPreprocessing,
    potentials: Potentials,
) -> Measured:
    """Return how likely rows are under a mixture."""
    table, judgement = potentials.table, Judgement(why_not=potentials.table.why_not)
    if table.judge is not None:
        own = log_density(table.judge.X)
        judgement = judge_density(own, potentials.whole, preprocessing, table.judge)
    rows = training_rows(potentials.kept, table.rows)
    train = rows.mean(log_density(rows.X))
    return Measured.of(potentials.kept, table, train, judgement)
