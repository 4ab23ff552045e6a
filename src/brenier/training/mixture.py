"""The recipe of a mixture: the flow of a fit, and Gaussian mixtures of several sizes beside it.

One convex potential cannot tear: between separate pieces it puts a bridge. Gaussian mixtures can,
and of several sizes and starts each errs elsewhere. Each is fitted where the flow's potentials are,
on the training rows of every fold, in the same coordinates. How much of each is decided by what
they say of held-out rows (`brenier.training.pool`): of few rows every potential holds out others,
so that all rows decide, and every mixture has a member of each fold. The flow that decides is each
fold's own; the one in the mixture is their average, no worse than they are on average
(`brenier.training.fit`). The Gaussian of one component is among the mixtures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from brenier.data.bounds import Bounds
from brenier.data.rows import WeightedRows
from brenier.flow.flow import ConvexFlow
from brenier.flow.gaussians import Gaussians
from brenier.flow.mixture import FlowMixture
from brenier.flow.pieces import connected_pieces
from brenier.flow.preprocessing import AbstractPreprocessing
from brenier.optimizers.progress import ProgressCallback
from brenier.potential.gaussian import AbstractGaussian
from brenier.training.build_report import Measured, measure_as_seen, training_rows
from brenier.training.candidate import Trained
from brenier.training.families import AbstractFamily
from brenier.training.fit import Potentials, begin, heldout_of, train
from brenier.training.gaussian_mixture import GaussianMixture, fit_gaussian_mixture
from brenier.training.judge import Judgement, judge_density
from brenier.training.parallel import run_parallel
from brenier.training.phases import SUMMING, Listener
from brenier.training.pool import pool_weights
from brenier.training.report import FitReport
from brenier.training.session import Session
from brenier.training.settings import Settings

# Share below which a kind is one of the others.
TOLD = 0.05


@dataclass(frozen=True)
class MixtureModel:
    """What a fit of a mixture gives.

    Attributes
    ----------
    mixture : FlowMixture
        The density.
    flow : ConvexFlow
        The flow alone.
    gaussian : AbstractGaussian
        The baseline, in the coordinates of the flow's potentials.
    report : FitReport
        How it went.
    """

    mixture: FlowMixture
    flow: ConvexFlow
    gaussian: AbstractGaussian
    report: FitReport


@dataclass(frozen=True)
class Pool:
    """Densities to be pooled, the same kinds of every fold: the flow, then Gaussian mixtures.

    Attributes
    ----------
    mixtures : sequence of F sequences of C - 1 GaussianMixture
        Of every fold.
    shares : (C,)
        How much of each kind there is.
    log_densities : (M, C)
        Of the rows that decided it, fold after fold, under every kind (nats).
    weights : (M,)
        Of these rows.
    """

    mixtures: Sequence[Sequence[GaussianMixture]]
    shares: Float[np.ndarray, " C"]
    log_densities: Float[np.ndarray, "M C"]
    weights: Float[np.ndarray, " M"]

    @property
    def n_heldout(self) -> int:
        """How many rows decided it."""
        return len(self.weights)

    @property
    def heldout_log_likelihood(self) -> float:
        """Of all together on these rows (nats per row)."""
        reached = np.asarray(logsumexp(self.log_densities + np.log(self.shares), axis=1))
        return float(np.average(reached, weights=self.weights))

    @property
    def words(self) -> str:
        """How much of it is what, in a clause; kinds of which there is little are others."""
        sizes = [len(mixture.weights) for mixture in self.mixtures[0]]
        of_sizes = dict.fromkeys(sorted(sizes), 0.0)
        for size, share in zip(sizes, self.shares[1:], strict=True):
            of_sizes[size] += float(share)
        shares = {"the flow": float(self.shares[0])}
        for size, share in of_sizes.items():
            shares["a Gaussian" if size == 1 else f"mixtures of {size} Gaussians"] = share
        told = {name: share for name, share in shares.items() if share >= TOLD}
        parts = [f"{share:.0%} {name}" for name, share in told.items()]
        others = 1.0 - sum(told.values())
        return ", ".join([*parts, f"{others:.0%} others"])


def fit_mixture(
    rows: WeightedRows,
    validation: WeightedRows | None,
    family: AbstractFamily,
    settings: Settings,
    *,
    bounds: Bounds,
    seed: int,
    discrete: Sequence[str] = (),
    callback: ProgressCallback | None = None,
    listener: Listener | None = None,
    began: float | None = None,
) -> MixtureModel:
    """Return the mixture of weighted rows; parameters as of `brenier.training.fit.fit`."""
    session = begin(settings, seed, callback, listener, began)
    potentials = train(rows, validation, family, settings, session, bounds=bounds)
    session.phases.begin(SUMMING)
    pools = session.results(lambda: gaussian_pool(potentials, session), session.limits.conclusion)
    if not pools:
        # What is still at work ends with its next job.
        session.clock.stop.set()
    return concluded_mixture(potentials, pools[0] if pools else None, session, discrete)


def concluded_mixture(
    potentials: Potentials, pool: Pool | None, session: Session, discrete: Sequence[str]
) -> MixtureModel:
    """Return the mixture of a pool and its report, or the flow alone; the session ends."""
    flow, kept, whole = potentials.flow, potentials.kept, potentials.whole
    mixture = _mixture(potentials, pool)
    measure = partial(measured_under, mixture.log_density, mixture.preprocessing, potentials)
    results = session.results(measure, session.limits.report)
    if results:
        measured = results[0]
    else:
        table, settings = potentials.table, potentials.settings
        measured = measure_as_seen(kept, whole, flow.preprocessing, table, settings)
    report = potentials.report(flow, measured, session, discrete)
    session.phases.close()
    if pool is not None:
        is_flow = len(mixture.gaussians) == 0
        report = report_of_pool(report, pool, len(mixture.raw_weights), is_flow=is_flow)
    return MixtureModel(mixture, flow, whole.gaussian, report)


def gaussian_pool(potentials: Potentials, session: Session) -> Pool | None:
    """Return the pool of the flow and Gaussian mixtures of all columns; None as of `pooled`."""
    return pooled(potentials, session, fit_gaussian_mixture, partial(_heldout, potentials))


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
    tables, weights = [], []
    for one, of_fold in zip(trained, mixtures, strict=True):
        tables.append(of_heldout(one, of_fold))
        weights.append(heldout_of(one.fold.split).weights)
    log_densities, omega = np.concatenate(tables), np.concatenate(weights)
    return Pool(mixtures, pool_weights(log_densities, omega), log_densities, omega)


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
    N, n = min(len(part.X) for part in rows), rows[0].X.shape[1]
    # Of one component there is but one.
    kinds = [(s, k) for s, k in product(_sizes(N, n, settings), range(starts)) if s > 1 or k == 0]
    jobs = [
        partial(fit_one, part, size, (one.fold.seed, start), settings)
        for one, part in zip(trained, rows, strict=True)
        for size, start in kinds
    ]
    made = run_parallel(jobs, session.clock.stop)
    if len(made) < len(jobs):
        return []
    return [made[k : k + len(kinds)] for k in range(0, len(made), len(kinds))]


def _sizes(N: int, n: int, settings: Settings) -> list[int]:
    """Return how many components there may be, given N rows of n columns."""
    least = settings.mixture_rows * (n + 1)
    return [size for size in settings.mixture_sizes if size == 1 or size * least <= N]


def _heldout(
    potentials: Potentials, one: Trained, mixtures: Sequence[GaussianMixture]
) -> Float[np.ndarray, "M C"]:
    """Return the log-densities of a fold's held-out rows, in data units, under every kind."""
    of_flow, X = potentials.heldout_log_density(one), heldout_of(one.fold.data).X
    log_det, Y = np.asarray(potentials.preprocessing.forward(X)[1]), heldout_of(one.fold.split).X
    return np.column_stack([of_flow, *(log_det + mixture.log_density(Y) for mixture in mixtures)])


def _mixture(potentials: Potentials, pool: Pool | None) -> FlowMixture:
    """Return the flow and the Gaussians with their weights, negligible ones left out."""
    flow, preprocessing, n = potentials.flow, potentials.preprocessing, potentials.preprocessing.n
    if pool is None:
        none = Gaussians(np.zeros((0, n)), np.zeros((0, n, n)))
        return FlowMixture((flow,), preprocessing, none, np.ones(1), np.array([-1]))
    gaussians, weights, n_rows = [], [pool.shares[:1]], []
    for of_fold in pool.mixtures:
        for mixture, share in zip(of_fold, pool.shares[1:], strict=True):
            gaussians.append(mixture.gaussians)
            weights.append(share / len(pool.mixtures) * mixture.weights)
            n_rows.append(mixture.n_rows * mixture.weights)
    raw = np.concatenate(weights)
    kept = raw > potentials.settings.negligible_component
    raw = np.where(kept, raw, 0.0) / np.sum(raw[kept])
    flows = (flow,) if kept[0] else ()
    kept_gaussians, own = Gaussians.together(gaussians)[kept[1:]], raw[1:][kept[1:]]
    pieces = connected_pieces(kept_gaussians, own, np.concatenate(n_rows)[kept[1:]])
    pieces = np.concatenate([np.full(len(flows), -1), pieces])
    return FlowMixture(flows, preprocessing, kept_gaussians, raw[kept], pieces)


def measured_under(
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


def report_of_pool(report: FitReport, pool: Pool, n_components: int, *, is_flow: bool) -> FitReport:
    """Return the report of the flow's fit as that of the mixture; `is_flow`: it is that alone."""
    return replace(
        report,
        n_components=n_components,
        message=f"{report.message} So ended the fit of the flow; the mixture has {n_components} "
        f"components: {pool.words}.",
        is_gaussian=report.is_gaussian and is_flow,
        n_heldout=pool.n_heldout,
        heldout_log_likelihood=pool.heldout_log_likelihood,
        pool=pool.words,
    )
