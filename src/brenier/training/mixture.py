"""The recipe of a mixture: the flow of a fit, and Gaussian mixtures of several sizes beside it.

One convex potential cannot tear: between separate pieces it puts a bridge. Gaussian mixtures can,
and of several sizes and starts each errs elsewhere; they are pooled with the flow by what all say
of held-out rows (`brenier.training.pooling`). Where components would have few rows a column there
are mixtures more whose covariances are drawn towards their mean. Where the density then has several
connected pieces, which may bend, a mixture with a flow for each of them joins the pool
(`brenier.training.piece_flows`). The flow that decides is each fold's own; the one in the mixture
is their average, no worse than they are on average (`brenier.training.fit`). The Gaussian of one
component is among the mixtures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Float, Int
from scipy.special import entr

from brenier.data.bounds import Bounds
from brenier.data.rows import WeightedRows
from brenier.flow.flow import ConvexFlow
from brenier.flow.gaussians import Gaussians
from brenier.flow.mixture import FlowMixture
from brenier.flow.pieces import connected_pieces
from brenier.optimizers.progress import ProgressCallback
from brenier.potential.gaussian import AbstractGaussian
from brenier.training.build_report import training_rows
from brenier.training.candidate import Trained
from brenier.training.families import AbstractFamily
from brenier.training.fit import Potentials, begin, heldout_of, train
from brenier.training.gaussian_mixture import GaussianMixture, fit_gaussian_mixture
from brenier.training.phases import SUMMING, Listener
from brenier.training.piece_flows import fit_flows_of_pieces
from brenier.training.pooling import Pool, pooled, report_of_pool
from brenier.training.report import Certificate, FitReport
from brenier.training.session import Session
from brenier.training.settings import Settings

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
    pool = mixture_pool(potentials, family, bounds, session)
    return concluded_mixture(potentials, pool, session, discrete)


def mixture_pool(
    potentials: Potentials, family: AbstractFamily, bounds: Bounds, session: Session
) -> Pool | None:
    """Return the pool of all kinds; None where no rows decide, or there was no time."""
    session.phases.begin(SUMMING)
    pools = session.results(lambda: _gaussian_pool(potentials, session), session.limits.conclusion)
    if not pools:
        # What is still at work ends with its next job.
        session.clock.stop.set()
    if not pools or pools[0] is None:
        return None
    return _with_flows_of_pieces(pools[0], potentials, family, bounds, session)


def concluded_mixture(
    potentials: Potentials, pool: Pool | None, session: Session, discrete: Sequence[str]
) -> MixtureModel:
    """Return the mixture of a pool and its report, or the flow alone; the session ends."""
    session.phases.begin(SUMMING)
    flow, mixture = potentials.flow, _mixture(potentials, pool)
    pieces = [] if pool is None else _told_pieces(mixture, potentials, session)
    report = report_of_pool(
        mixture.log_density,
        pool,
        flow,
        potentials,
        session,
        discrete,
        n_components=len(mixture.raw_weights),
        n_gaussians=len(mixture.gaussians),
    )
    certificates = _certificates(mixture, flow, pool, report)
    report = replace(report, pieces="".join(pieces))
    return MixtureModel(mixture, flow, potentials.whole.gaussian, report, certificates)


def _gaussian_pool(potentials: Potentials, session: Session) -> Pool | None:
    """Return the pool of the flow and Gaussian mixtures, with the pieces of these."""
    pool = pooled(potentials, session, fit_gaussian_mixture, partial(_heldout, potentials))
    return None if pool is None else _with_pieces(pool, potentials.settings)


def _with_pieces(pool: Pool, settings: Settings) -> Pool:
    """Return the pool with its connected pieces, as the Gaussians have them."""
    own = pool.raw_weights[1:]
    kept = own > settings.negligible_component
    n_rows = [one.n_rows * one.weights for of_fold in pool.mixtures for one in of_fold]
    pieces = np.full(len(own), NEGLIGIBLE)
    pieces[kept] = connected_pieces(pool.gaussians[kept], own[kept], np.concatenate(n_rows)[kept])
    return replace(pool, pieces=pieces)


def _with_flows_of_pieces(
    pool: Pool, potentials: Potentials, family: AbstractFamily, bounds: Bounds, session: Session
) -> Pool:
    """Return the pool with the flows of its pieces among its densities, if it has several."""
    whole = _mixture(potentials, pool)
    of_pieces = fit_flows_of_pieces(whole, potentials, family, bounds, session)
    if of_pieces is None:
        return pool
    heldout = [heldout_of(one.fold.data).X for one in potentials.deciding]
    own = np.concatenate([of_pieces.log_density(X, k) for k, X in enumerate(heldout)])
    return pool.joined_by(of_pieces, own)


def _heldout(
    potentials: Potentials, one: Trained, mixtures: Sequence[GaussianMixture]
) -> Float[np.ndarray, "M C"]:
    """Return the log-densities of a fold's held-out rows, in data units, under every kind."""
    of_flow, X = potentials.heldout_log_density(one), heldout_of(one.fold.data).X
    log_det, Y = np.asarray(potentials.preprocessing.forward(X)[1]), heldout_of(one.fold.split).X
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
    return FlowMixture(flows, preprocessing, own, raw, _numbered(pieces[kept], raw))


def _numbered(
    pieces: Int[np.ndarray, " K"], weights: Float[np.ndarray, " K"]
) -> Int[np.ndarray, " K"]:
    """Return pieces numbered from 0 on, the heaviest first; -1 stays."""
    found = np.unique(pieces[pieces >= 0])
    order = np.argsort([-np.sum(weights[pieces == piece]) for piece in found], kind="stable")
    numbered = np.full(len(pieces), -1)
    for k, piece in enumerate(found[order]):
        numbered[pieces == piece] = k
    return numbered


def _told_pieces(mixture: FlowMixture, potentials: Potentials, session: Session) -> list[str]:
    """Return how many pieces there are and how well told apart, alone; nothing without time."""
    words = partial(_pieces_in_words, mixture, potentials)
    return session.results(words, session.limits.report)


def _pieces_in_words(mixture: FlowMixture, potentials: Potentials) -> str:
    """Return how many pieces there are, and how well rows are told apart by them."""
    if mixture.n_pieces == 1:
        return "one"
    rows = training_rows(potentials.kept, potentials.table.rows)
    rows = rows[: potentials.settings.whole_rows]
    shares = mixture.piece_responsibilities(rows.X)
    largest, entropy = rows.mean(shares.max(axis=1)), rows.mean(entr(shares).sum(axis=1))
    return (
        f"{mixture.n_pieces}; rows are of the likeliest with probability {largest:.3f} on average, "
        f"entropy {entropy:.3f} nats"
    )


def _certificates(
    mixture: FlowMixture, flow: ConvexFlow, pool: Pool | None, report: FitReport
) -> tuple[Certificate | None, ...]:
    """Return those of the mixture's flows."""
    parts = () if pool is None or pool.of_pieces is None else pool.of_pieces.parts
    known = [(flow, report.certificate), *((part.flow, part.certificate) for part in parts)]
    return tuple(next(found for other, found in known if other is one) for one in mixture.flows)
