"""The recipe of a mixture: the flow of a fit, and Gaussian mixtures of several sizes beside it.

One convex potential cannot tear: between separate pieces it puts a bridge. Gaussian mixtures can,
and of several sizes and starts each errs elsewhere. Each is fitted where the flow's potentials are,
on the training rows of every fold, in the same coordinates. How much of each is decided by what
they say of held-out rows (`brenier.training.pool`): of few rows every potential holds out others,
so that all rows decide, and every mixture has a member of each fold. Where the density then has
several connected pieces, which may bend, a mixture with a flow for each of them joins the pool
(`brenier.training.piece_flows`). The flow that decides is each
fold's own; the one in the mixture is their average, no worse than they are on average
(`brenier.training.fit`). The Gaussian of one component is among the mixtures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np
from jaxtyping import Float, Int
from scipy.special import logsumexp

from brenier.data.bounds import Bounds
from brenier.data.rows import Split, WeightedRows
from brenier.flow.flow import ConvexFlow
from brenier.flow.gaussians import Gaussians
from brenier.flow.mixture import FlowMixture
from brenier.flow.pieces import connected_pieces
from brenier.optimizers.progress import ProgressCallback
from brenier.potential.gaussian import AbstractGaussian
from brenier.training.build_report import Measured, measure_as_seen, training_rows
from brenier.training.candidate import Trained
from brenier.training.families import AbstractFamily
from brenier.training.fit import Potentials, begin, train
from brenier.training.gaussian_mixture import GaussianMixture, fit_gaussian_mixture
from brenier.training.judge import Judgement, judge_density
from brenier.training.likelihood import gaussian_log_density, model_log_density
from brenier.training.parallel import run_parallel
from brenier.training.phases import SUMMING, Listener
from brenier.training.piece_flows import FlowsOfPieces, fit_flows_of_pieces, folds_of
from brenier.training.pool import pool_weights
from brenier.training.report import Certificate, FitReport
from brenier.training.session import Session
from brenier.training.settings import Settings

# Share below which a kind is one of the others.
TOLD = 0.05
# In place of a piece, of a Gaussian that is left out.
NEGLIGIBLE = -2


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
    certificates : tuple of F Certificate or None
        Of the mixture's flows; None of a Gaussian.
    """

    mixture: FlowMixture
    flow: ConvexFlow
    gaussian: AbstractGaussian
    report: FitReport
    certificates: tuple[Certificate | None, ...]


@dataclass(frozen=True)
class Pool:
    """Densities to be pooled, the same kinds of every fold.

    They are the flow, Gaussian mixtures, and one mixture of the flows of pieces, where there are
    several.

    Attributes
    ----------
    mixtures : sequence of F sequences of GaussianMixture
        Of every fold.
    log_densities : (M, C)
        Of the rows that decide, under every kind, in data units.
    weights : (M,)
        These rows'.
    shares : (C,)
        How much of each kind there is.
    heldout_log_likelihood : float
        Of all together on the rows that decided it (nats per row).
    pieces : (G,)
        Which connected piece of the density every Gaussian is of, as the flow and the Gaussians
        have it; `NEGLIGIBLE` for those of next to no weight there.
    of_pieces : FlowsOfPieces or None
        The flows of pieces.
    """

    mixtures: Sequence[Sequence[GaussianMixture]]
    log_densities: Float[np.ndarray, "M C"]
    weights: Float[np.ndarray, " M"]
    shares: Float[np.ndarray, " C"]
    heldout_log_likelihood: float
    pieces: Int[np.ndarray, " G"]
    of_pieces: FlowsOfPieces | None = None

    @staticmethod
    def of(
        mixtures: Sequence[Sequence[GaussianMixture]],
        log_densities: Float[np.ndarray, "M C"],
        weights: Float[np.ndarray, " M"],
        negligible: float,
    ) -> "Pool":
        """Return the pool of the flow and Gaussian mixtures; attributes are the parameters."""
        shares, mean = _decided(log_densities, weights)
        pool = Pool(mixtures, log_densities, weights, shares, mean, np.zeros(0, int))
        own = pool.raw_weights[1:]
        kept = own > negligible
        n_rows = [mixture.n_rows * mixture.weights for of_fold in mixtures for mixture in of_fold]
        pieces = np.full(len(own), NEGLIGIBLE)
        pieces[kept] = connected_pieces(
            pool.gaussians[kept], own[kept], np.concatenate(n_rows)[kept]
        )
        return replace(pool, pieces=pieces)

    def joined_by(self, of_pieces: FlowsOfPieces, log_density: Float[np.ndarray, " M"]) -> "Pool":
        """Return the pool with the flows of pieces, given what they say of the rows that decide."""
        log_densities = np.column_stack([self.log_densities, log_density])
        shares, mean = _decided(log_densities, self.weights)
        return replace(
            self,
            log_densities=log_densities,
            shares=shares,
            heldout_log_likelihood=mean,
            of_pieces=of_pieces,
        )

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
    pools = session.results(lambda: _pooled(potentials, session), session.limits.report)
    pool = pools[0] if pools else None
    if pool is not None:
        pool = _with_flows_of_pieces(pool, potentials, family, bounds, session)
        session.phases.begin(SUMMING)
    results = session.results(lambda: _finished(potentials, pool), session.limits.report)
    flow, kept, whole = potentials.flow, potentials.kept, potentials.whole
    if pools and results:
        mixture, measured = results[0]
    else:
        # What is still at work ends with its next job.
        session.clock.stop.set()
        mixture, pool = _mixture(potentials, None), None
        table, settings = potentials.table, potentials.settings
        measured = measure_as_seen(kept, whole, flow.preprocessing, table, settings)
    report = potentials.report(flow, measured, session, discrete)
    session.phases.close()
    certificates = _certificates(mixture, flow, pool, report)
    report = _of_mixture(report, mixture, pool)
    return MixtureModel(mixture, flow, whole.gaussian, report, certificates)


def _finished(potentials: Potentials, pool: Pool | None) -> tuple[FlowMixture, Measured]:
    """Return the mixture, and how likely rows are under it."""
    mixture = _mixture(potentials, pool)
    return mixture, _measured(potentials, mixture)


def _pooled(potentials: Potentials, session: Session) -> Pool | None:
    """Return the pool; None where no rows are held out to decide it, or no time was left."""
    trained = [one for one in potentials.everyone if one.fold.data.heldout is not None]
    mixtures = _mixtures(trained, potentials.settings, session) if trained else []
    if not mixtures:
        return None
    tables, weights = [], []
    for one, of_fold in zip(trained, mixtures, strict=True):
        tables.append(_heldout(one, of_fold, potentials))
        weights.append(heldout_of(one.fold.split).weights)
    negligible = potentials.settings.negligible_component
    return Pool.of(mixtures, np.concatenate(tables), np.concatenate(weights), negligible)


def _with_flows_of_pieces(
    pool: Pool, potentials: Potentials, family: AbstractFamily, bounds: Bounds, session: Session
) -> Pool:
    """Return the pool with the flows of its pieces among its densities, if it has several."""
    whole = _mixture(potentials, pool)
    of_pieces = fit_flows_of_pieces(whole, potentials, family, bounds, session)
    if of_pieces is None:
        return pool
    heldout = [heldout_of(fold.data).X for fold in folds_of(potentials)]
    own = np.concatenate([of_pieces.log_density(X, k) for k, X in enumerate(heldout)])
    return pool.joined_by(of_pieces, own)


def _decided(
    log_densities: Float[np.ndarray, "M C"], weights: Float[np.ndarray, " M"]
) -> tuple[Float[np.ndarray, " C"], float]:
    """Return the shares that are the best on rows, and their mean log-likelihood then."""
    shares = pool_weights(log_densities, weights)
    reached = np.asarray(logsumexp(log_densities + np.log(shares), axis=1))
    return shares, float(np.average(reached, weights=weights))


def _mixtures(
    trained: Sequence[Trained], settings: Settings, session: Session
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
        partial(fit_gaussian_mixture, part, size, (one.fold.seed, start), settings)
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
    one: Trained, mixtures: Sequence[GaussianMixture], potentials: Potentials
) -> Float[np.ndarray, "M C"]:
    """Return the log-densities of a fold's held-out rows, in data units, under every kind."""
    split, rows = one.fold.split, heldout_of(one.fold.data)
    if potentials.is_gaussian:
        of_flow = gaussian_log_density(one.fold.gaussian, potentials.preprocessing, rows.X)
    else:
        flow = ConvexFlow(potentials.preprocessing, one.map)
        of_flow = model_log_density(flow, rows, split, potentials.settings)
    log_det = np.asarray(potentials.preprocessing.forward(rows.X)[1])
    Y = heldout_of(split).X
    return np.column_stack([of_flow, *(log_det + mixture.log_density(Y) for mixture in mixtures)])


def _mixture(potentials: Potentials, pool: Pool | None) -> FlowMixture:
    """Return the flows and the Gaussians with their weights, negligible ones left out."""
    flow, preprocessing, n = potentials.flow, potentials.preprocessing, potentials.preprocessing.n
    if pool is None:
        none = Gaussians(np.zeros((0, n)), np.zeros((0, n, n)))
        return FlowMixture((flow,), preprocessing, none, np.ones(1), np.array([-1]))
    parts = () if pool.of_pieces is None else pool.of_pieces.parts
    flows, gaussians = (flow, *(part.flow for part in parts)), pool.gaussians
    pieces = np.concatenate([[-1], [part.piece for part in parts], pool.pieces]).astype(int)
    raw = pool.raw_weights
    kept = (raw > potentials.settings.negligible_component) & (pieces > NEGLIGIBLE)
    flows = tuple(one for one, is_kept in zip(flows, kept, strict=False) if is_kept)
    own, raw = gaussians[kept[1 + len(parts) :]], raw[kept] / np.sum(raw[kept])
    return FlowMixture(flows, preprocessing, own, raw, _numbered(pieces[kept]))


def _numbered(pieces: Int[np.ndarray, " K"]) -> Int[np.ndarray, " K"]:
    """Return pieces numbered from 0 on, those of which nothing is left out; -1 stays."""
    return np.searchsorted(np.unique(pieces[pieces >= 0]), pieces) - (pieces < 0)


def _measured(potentials: Potentials, mixture: FlowMixture) -> Measured:
    """Return how likely rows are under the mixture."""
    table, judgement = potentials.table, Judgement(why_not=potentials.table.why_not)
    if table.judge is not None:
        own = mixture.log_density(table.judge.X)
        judgement = judge_density(own, potentials.whole, mixture.preprocessing, table.judge)
    rows = training_rows(potentials.kept, table.rows)
    train = rows.mean(mixture.log_density(rows.X))
    return Measured.of(potentials.kept, table, train, judgement)


def _certificates(
    mixture: FlowMixture, flow: ConvexFlow, pool: Pool | None, report: FitReport
) -> tuple[Certificate | None, ...]:
    """Return those of the mixture's flows."""
    parts = () if pool is None or pool.of_pieces is None else pool.of_pieces.parts
    known = [(flow, report.certificate), *((part.flow, part.certificate) for part in parts)]
    return tuple(next(found for other, found in known if other is one) for one in mixture.flows)


def _of_mixture(report: FitReport, mixture: FlowMixture, pool: Pool | None) -> FitReport:
    """Return the report of the flow's fit as that of the mixture."""
    n_components = len(mixture.raw_weights)
    if pool is None:
        return report
    return replace(
        report,
        n_components=n_components,
        message=f"{report.message} So ended the fit of the flow; the mixture has {n_components} "
        f"components: {pool.words}.",
        is_gaussian=report.is_gaussian and len(mixture.gaussians) == 0,
        n_heldout=len(pool.weights),
        heldout_log_likelihood=pool.heldout_log_likelihood,
        pool=pool.words,
    )


def heldout_of(split: Split) -> WeightedRows:
    """Return held-out rows; there must be some."""
    if split.heldout is None:
        raise ValueError("Expected held-out rows; got none.")
    return split.heldout
