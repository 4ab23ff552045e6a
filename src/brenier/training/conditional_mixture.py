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
from brenier.flow.gaussians import Gaussians
from brenier.optimizers.progress import ProgressCallback
from brenier.potential.gaussian import AbstractGaussian
from brenier.training.build_report import Measured, measure_as_seen
from brenier.training.candidate import Trained
from brenier.training.families import AbstractFamily
from brenier.training.fit import Potentials, begin, train
from brenier.training.gaussian_mixture import GaussianMixture, fit_gaussian_mixture
from brenier.training.likelihood import gaussian_log_density, model_log_density
from brenier.training.mixture import Pool, heldout_of, measured_under, pooled, report_of_pool
from brenier.training.phases import SUMMING, Listener
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
    results = session.results(lambda: _finished(potentials, session), session.limits.report)
    kept, whole = potentials.kept, potentials.whole
    if results:
        mixture, flow, pool, measured = results[0]
    else:
        # What is still at work ends with its next job.
        session.clock.stop.set()
        flow, pool = potentials.flow, None
        mixture = _mixture(flow, None, potentials)
        table, settings = potentials.table, potentials.settings
        measured = measure_as_seen(kept, whole, flow.preprocessing, table, settings)
    report = potentials.report(flow, measured, session, discrete)
    session.phases.close()
    if pool is not None:
        is_flow = len(mixture.gaussians) == 0
        report = report_of_pool(report, pool, mixture.n_components, is_flow=is_flow)
    return ConditionalMixtureModel(mixture, flow, whole.gaussian, report)


def conditional_log_density(
    mixture: GaussianMixture, rows: Float[np.ndarray, "N d"], n: int
) -> Float[np.ndarray, " N"]:
    """Return log p(y | c) of preprocessed rows (y, c) under a mixture of rows (c, y)."""
    whole, q = mixture.gaussians, rows.shape[1] - n
    of_context = Gaussians(whole.means[:, :q], whole.factors[:, :q, :q])
    turned = np.roll(rows, q, axis=1)
    log_joint = whole.log_density_of_sum(turned, mixture.weights)
    return log_joint - of_context.log_density_of_sum(turned[:, :q], mixture.weights)


def _finished(
    potentials: Potentials, session: Session
) -> tuple[ConditionalMixture, ConvexFlow, Pool | None, Measured]:
    """Return the mixture, the flow with its tail, what it is made of, how likely rows are."""
    flow = with_tail(potentials.flow, potentials.kept, potentials.settings)
    of_heldout = partial(_heldout, potentials, flow)
    fit_one = partial(_fit_turned, n=flow.n)
    pool = pooled(potentials, session, fit_one, of_heldout)
    mixture = _mixture(flow, pool, potentials)
    measured = measured_under(mixture.log_density, flow.preprocessing, potentials)
    return mixture, flow, pool, measured


def _fit_turned(
    rows: WeightedRows, size: int, seed: Sequence[int], settings: Settings, *, n: int
) -> GaussianMixture:
    """Return a Gaussian mixture of rows (c, y), the n targets last; others as they are fitted."""
    turned = rows.at(np.roll(rows.X, -n, axis=1))
    return fit_gaussian_mixture(turned, size, seed, settings)


def _heldout(
    potentials: Potentials,
    whole: ConvexFlow,
    one: Trained,
    mixtures: Sequence[GaussianMixture],
) -> Float[np.ndarray, "M C"]:
    """Return the log-densities of a fold's held-out targets, in data units, under every kind."""
    split, rows = one.fold.split, heldout_of(one.fold.data)
    preprocessing = potentials.preprocessing
    if potentials.is_gaussian and whole.tail is None:
        of_flow = gaussian_log_density(one.fold.gaussian, preprocessing, rows.X)
    else:
        flow = ConvexFlow(preprocessing, one.map, whole.tail)
        of_flow = model_log_density(flow, rows, split, potentials.settings)
    log_det, Y = np.asarray(preprocessing.forward(rows.X)[1]), heldout_of(split).X
    of_mixtures = [log_det + conditional_log_density(one, Y, whole.n) for one in mixtures]
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
