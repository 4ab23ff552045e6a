"""The one builder of reports: from what was trained on every fold to `FitReport`."""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from jaxtyping import Float

from brenier.data.rows import WeightedRows
from brenier.flow.evaluation import in_batches, log_density
from brenier.flow.flow import ConvexFlow
from brenier.optimizers.progress import Progress
from brenier.status import FitStatus
from brenier.training.candidate import Trained
from brenier.training.likelihood import gaussian_log_density, mean_log_density
from brenier.training.report import FitReport, MeanAndError
from brenier.training.run import PARTS

REMEDIES = {
    FitStatus.ITERATION_LIMIT: "raise max_iter if the log-likelihood was still rising",
    FitStatus.TIME_LIMIT: "raise max_seconds if the log-likelihood was still rising",
    FitStatus.NO_PROGRESS: "try another random_state, n_init > 1, or a larger decay",
    FitStatus.NUMERICAL_FAILURE: "try whiten='full', quadratic terms, or a larger decay",
    FitStatus.INTERRUPTED: "fit again to go on",
}


def build_report(
    kept: Sequence[Trained], everyone: Sequence[Trained], flow: ConvexFlow, rows: WeightedRows
) -> FitReport:
    """Return the report of the average of what was trained on every fold.

    Parameters
    ----------
    kept : sequence of Trained
        What the flow's map is the average of.
    everyone : sequence of Trained
        These, and those that time left out.
    flow : ConvexFlow
        What is returned.
    rows : WeightedRows
        All rows, in data units.
    """
    leader = max(kept, key=lambda trained: trained.train_log_likelihood)
    cut_off = [trained for trained in everyone if trained.out_of_time]
    ended = cut_off[0] if cut_off else leader
    winner, fold = leader.winner, leader.fold
    runs = [run for trained in kept for run in trained.runs]
    training = rows if len(kept) > 1 else fold.data.train
    model, gaussian, weights = _on_heldout(kept, flow)
    is_judged = len(weights) > 0
    seconds = {part: sum(run.seconds[part] for run in runs) for part in PARTS}
    hyperparameters = [run.job.hyperparameters for run in runs]
    return FitReport(
        status=ended.status,
        message=_message(ended),
        is_gaussian=all(trained.chosen.is_gaussian for trained in kept),
        n_maps=len(flow.map.potentials),
        n_members=sum(trained.chosen.n_members for trained in kept),
        n_train=len(training.X),
        n_heldout=len(weights),
        train_log_likelihood=_train_log_likelihood(kept, flow, training),
        heldout_log_likelihood=MeanAndError.of(model, weights) if is_judged else None,
        heldout_gain=MeanAndError.of(model - gaussian, weights) if is_judged else None,
        gaussian_train_log_likelihood=fold.offsets.train - fold.gaussian_losses[0],
        gaussian_heldout_log_likelihood=(
            float(np.average(gaussian, weights=weights)) if is_judged else float("nan")
        ),
        history={
            field.name: tuple(getattr(record, field.name) for record in winner.iterations)
            for field in fields(Progress)
        },
        best_iteration=leader.best_iteration,
        n_evaluations=sum(run.counters.evaluations for run in runs),
        newton_steps=tuple(winner.counters.newton_steps),
        chord_steps=tuple(winner.counters.chord_steps),
        inner_failures=sum(trained.winner.counters.failures for trained in kept),
        work_units=winner.iterations[-1].work_units if winner.iterations else 0,
        decay=winner.job.hyperparameters.decay,
        n_radial=winner.job.hyperparameters.n_radial,
        run_decay=tuple(h.decay for h in hyperparameters),
        run_n_radial=tuple(h.n_radial for h in hyperparameters),
        run_log_likelihood=tuple(run.log_likelihood for run in runs),
        noise=fold.noise,
        tail=0.0 if flow.tail is None else float(flow.tail.h),
        seconds={"total": max(trained.seconds for trained in kept), **seconds},
        certificate=leader.certificate,
    )


def _train_log_likelihood(
    kept: Sequence[Trained], flow: ConvexFlow, training: WeightedRows
) -> float:
    """Return that of the returned model; of a single map without a tail it is known already."""
    if len(kept) == 1 and flow.tail is None:
        return kept[0].train_log_likelihood
    return mean_log_density(flow, training)


def _on_heldout(
    kept: Sequence[Trained], flow: ConvexFlow
) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """Return log p of each map and its Gaussian on the rows that it held out, and their weights."""
    parts = [(np.zeros(0),) * 3]
    for trained in kept:
        heldout = trained.fold.data.heldout
        if heldout is None:
            continue
        own = ConvexFlow(flow.preprocessing, trained.map, flow.tail)
        model = in_batches(log_density, own, heldout.X)
        gaussian = gaussian_log_density(trained.fold.gaussian, flow.preprocessing, heldout.X)
        parts.append((model, gaussian, heldout.weights))
    model, gaussian, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
    return model, gaussian, weights


def _message(trained: Trained) -> str:
    """Return one sentence on how the fit ended, with numbers and the remedy."""
    where = (
        "the Gaussian was returned, no iterate being better"
        if trained.found_nothing
        else f"the iterate returned is number {trained.best_iteration}{_made_of(trained)}"
    )
    text = f"The fit ended with status '{trained.status.value}' after "
    text += f"{len(trained.winner.iterations)} iterations and {trained.seconds:.1f} s; {where}"
    if trained.certificate is not None:
        text += f" (projected gradient {trained.certificate.projected_gradient:.1e} nats)"
    remedy = REMEDIES.get(trained.status)
    return f"{text}: {remedy}." if remedy else f"{text}."


def _made_of(trained: Trained) -> str:
    n_maps, n_members = len(trained.map.potentials), trained.chosen.n_members
    if n_maps > 1:
        return f" (of the best run; the model is a composition of {n_maps} maps)"
    return f" (of the best run; the model is the sum of {n_members})" * (n_members > 1)
