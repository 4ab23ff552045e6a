"""The recipe of a conditional mixture: the flow of a fit, and regressions with gates beside it.

Gaussian mixtures of rows (c, y), of several sizes and starts, conditioned on the context c are
mixtures of linear regressions with gates (`brenier.flow.conditional_gaussians`). They are fitted to
the training rows of every fold, in the coordinates of the flow's potentials, and pooled with the
flow by what they say of held-out targets given their context, as in `brenier.training.mixture`. The
linear regression of all rows is among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from brenier.data.bounds import Bounds
from brenier.data.rows import WeightedRows
from brenier.flow.conditional_gaussians import ConditionalGaussians
from brenier.flow.conditional_mixture import ConditionalMixture
from brenier.flow.flow import ConvexFlow
from brenier.optimizers.progress import ProgressCallback
from brenier.potential.gaussian import AbstractGaussian
from brenier.training.candidate import Trained
from brenier.training.families import AbstractFamily
from brenier.training.fit import Potentials, begin, heldout_of, train
from brenier.training.gaussian_mixture import (
    GaussianMixture,
    conditional_log_density,
    fit_gaussian_mixture,
)
from brenier.training.phases import SUMMING, Listener
from brenier.training.pooling import Pool, pooled, report_of_pool
from brenier.training.report import FitReport
from brenier.training.session import Session
from brenier.training.settings import Settings
from brenier.training.tail import with_tail


@dataclass(frozen=True)
class ConditionalMixtureModel:
    """What a fit of a conditional mixture gives.

    Attributes
    ----------
    mixture : ConditionalMixture
        The density.
    flow : ConvexFlow
        The flow alone.
    gaussian : AbstractGaussian
        The baseline, in the coordinates of the flow's potentials.
    report : FitReport
        How it went.
    """

    mixture: ConditionalMixture
    flow: ConvexFlow
    gaussian: AbstractGaussian
    report: FitReport


def fit_conditional_mixture(
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
) -> ConditionalMixtureModel:
    """Return the mixture of weighted rows; parameters as of `brenier.training.fit.fit`."""
    session = begin(settings, seed, callback, listener, began)
    potentials = train(rows, validation, family, settings, session, bounds=bounds)
    session.phases.begin(SUMMING)
    results = session.results(lambda: _pooled(potentials, session), session.limits.conclusion)
    if not results:
        # What is still at work ends with its next job.
        session.clock.stop.set()
    flow, pool = results[0] if results else (potentials.flow, None)
    mixture = _mixture(flow, pool, potentials)
    report = report_of_pool(
        mixture.log_density,
        pool,
        flow,
        potentials,
        session,
        discrete,
        n_components=mixture.n_components,
        n_gaussians=len(mixture.gaussians),
    )
    return ConditionalMixtureModel(mixture, flow, potentials.whole.gaussian, report)


def _pooled(potentials: Potentials, session: Session) -> tuple[ConvexFlow, Pool | None]:
    """Return the flow with its tail, and the pool that it is in."""
    flow = with_tail(potentials.flow, potentials.kept, potentials.settings)
    fit_one = partial(_fit_turned, n=flow.n)
    return flow, pooled(potentials, session, fit_one, partial(_heldout, potentials, flow))


def _fit_turned(
    rows: WeightedRows, size: int, seed: Sequence[int], settings: Settings, prior: float, *, n: int
) -> GaussianMixture:
    """Return a Gaussian mixture of rows (c, y), the n targets last; others as they are fitted."""
    turned = rows.at(np.roll(rows.X, -n, axis=1))
    return fit_gaussian_mixture(turned, size, seed, settings, prior)


def _heldout(
    potentials: Potentials,
    whole: ConvexFlow,
    one: Trained,
    mixtures: Sequence[GaussianMixture],
) -> Float[np.ndarray, "M C"]:
    """Return the log-densities of a fold's held-out targets, in data units, under every kind."""
    of_flow, X = potentials.heldout_log_density(one, whole.tail), heldout_of(one.fold.data).X
    log_det, Y = np.asarray(potentials.preprocessing.forward(X)[1]), heldout_of(one.fold.split).X
    of_mixtures = (log_det + conditional_log_density(part, Y, whole.n) for part in mixtures)
    return np.column_stack([of_flow, *of_mixtures])


def _mixture(flow: ConvexFlow, pool: Pool | None, potentials: Potentials) -> ConditionalMixture:
    """Return the flow and the mixtures with their shares, negligible ones left out."""
    d = potentials.table.rows.X.shape[1]
    if pool is None:
        none = ConditionalGaussians.of([], d, flow.n)
        return ConditionalMixture((flow,), flow.preprocessing, none, np.ones(1))
    kept = pool.shares > potentials.settings.negligible_mixture
    shares = np.where(kept, pool.shares, 0.0) / np.sum(pool.shares[kept])
    kinds, n_folds = np.flatnonzero(kept[1:]).tolist(), len(pool.mixtures)
    parts = [of_fold[k] for of_fold in pool.mixtures for k in kinds]
    gaussians = ConditionalGaussians.of(
        [(part.weights, part.gaussians) for part in parts], d, flow.n
    )
    of_mixtures = np.tile(shares[1:][kinds] / n_folds, n_folds)
    flows, raw = ((flow,), shares[:1]) if kept[0] else ((), shares[:0])
    return ConditionalMixture(
        flows, flow.preprocessing, gaussians, np.concatenate([raw, of_mixtures])
    )
