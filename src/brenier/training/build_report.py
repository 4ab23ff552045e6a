"""The one builder of reports: from what was trained on every fold to `FitReport`."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float

from brenier.data.rows import WeightedRows
from brenier.flow.evaluation import in_batches, log_density
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import AbstractPreprocessing
from brenier.optimizers.progress import Progress
from brenier.potential.features import AbstractPotential
from brenier.status import FitStatus
from brenier.training.as_seen import SeenLoss
from brenier.training.candidate import Trained
from brenier.training.likelihood import (
    gaussian_log_density,
    log_density_of_losses,
    mean_log_density,
)
from brenier.training.report import FitReport, MeanAndError, gaussian_reason, remedy
from brenier.training.run import PARTS, Run, heldout_sample
from brenier.training.session import Session
from brenier.training.settings import Settings
from brenier.training.stacking import heldout_losses


def build_report(
    kept: Sequence[Trained],
    everyone: Sequence[Trained],
    flow: ConvexFlow,
    measured: "Measured",
    session: Session,
    discrete: Sequence[str] = (),
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
    measured : Measured
        How likely rows are under it.
    session : Session
        The fit's, at its end.
    discrete : sequence of str
        Names of the columns whose values repeat.
    """
    leader = max(kept, key=lambda trained: trained.train_log_likelihood)
    cut_off = [trained for trained in everyone if trained.out_of_time]
    ended = cut_off[0] if cut_off else leader
    status = FitStatus.INTERRUPTED if session.interrupted.is_set() else ended.status
    winner, fold = leader.winner, leader.fold
    runs = [run for trained in kept for run in trained.runs]
    model, gaussian, weights = measured.model, measured.gaussian, measured.weights
    is_judged = len(weights) > 0
    hyperparameters = [run.job.hyperparameters for run in runs]
    seconds = _seconds(runs, session)
    is_gaussian = all(trained.chosen.is_gaussian for trained in kept)
    return FitReport(
        status=status,
        message=_message(ended, status, seconds, searched=any(run.iterations for run in runs)),
        is_gaussian=is_gaussian,
        n_maps=len(flow.map.potentials),
        n_members=sum(trained.chosen.n_members for trained in kept),
        n_train=measured.n_train,
        n_heldout=measured.n_heldout,
        train_log_likelihood=measured.train_log_likelihood,
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
        seconds=seconds,
        certificate=leader.certificate,
        discrete=tuple(discrete),
    )


@dataclass(frozen=True)
class Measured:
    """How likely rows are under what is returned.

    Attributes
    ----------
    n_train, n_heldout : int
        How many rows there are.
    train_log_likelihood : float
        Of the training rows.
    model, gaussian : (M,)
        Log p of held-out rows, or means over groups of them, under the map that held them out and
        under its Gaussian.
    weights : (M,)
        Their weights.
    """

    n_train: int
    n_heldout: int
    train_log_likelihood: float
    model: Float[np.ndarray, " M"]
    gaussian: Float[np.ndarray, " M"]
    weights: Float[np.ndarray, " M"]


def measure(
    kept: Sequence[Trained], flow: ConvexFlow, rows: WeightedRows, settings: Settings
) -> Measured:
    """Return the log-likelihoods of what is returned, every row evaluated.

    Parameters
    ----------
    kept : sequence of Trained
        What the flow's map is the average of.
    flow : ConvexFlow
        What is returned.
    rows : WeightedRows
        All rows, in data units.
    settings : Settings
        Of the fit.
    """
    training = _training(kept, rows)
    if len(kept) == 1 and flow.tail is None:
        # Known already.
        train = kept[0].train_log_likelihood
    else:
        train = mean_log_density(flow, training)
    parts = [_of_rows(trained, flow, settings) for trained in kept]
    return _together(kept, len(training.X), train, parts)


def measure_as_seen(
    kept: Sequence[Trained],
    preprocessing: AbstractPreprocessing,
    rows: WeightedRows,
    settings: Settings,
) -> Measured:
    """Return the same as far as it is known without compiling anything.

    Means over groups of held-out rows, under the run that each map is made of, stand for rows; they
    are shifted so that the mean of all is the map's. Of an average no more is said than what its
    members have: it is no worse.

    Parameters
    ----------
    kept : sequence of Trained
        What the flow's map is the average of; it has no tail.
    preprocessing : AbstractPreprocessing
        The flow's.
    rows : WeightedRows
        All rows, in data units.
    settings : Settings
        Of the fit.
    """
    train = float(np.mean([trained.train_log_likelihood for trained in kept]))
    parts = [_of_groups(trained, preprocessing, settings) for trained in kept]
    return _together(kept, len(_training(kept, rows).X), train, parts)


Part = tuple[Float[np.ndarray, " _"], Float[np.ndarray, " _"], Float[np.ndarray, " _"]]
"""Log p under a map and under its Gaussian, and weights."""


def _together(
    kept: Sequence[Trained], n_train: int, train_log_likelihood: float, parts: Sequence[Part]
) -> Measured:
    heldout = [trained.fold.data.heldout for trained in kept]
    n_heldout = sum(0 if rows is None else len(rows.X) for rows in heldout)
    joined = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Measured(n_train, n_heldout, train_log_likelihood, *joined)


def _training(kept: Sequence[Trained], rows: WeightedRows) -> WeightedRows:
    """Return what was trained on: of an average, all rows."""
    return rows if len(kept) > 1 else kept[0].fold.data.train


def _of_rows(trained: Trained, flow: ConvexFlow, settings: Settings) -> Part:
    """Return what a map says of the rows that it held out."""
    fold, heldout = trained.fold, trained.fold.data.heldout
    if heldout is None:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    gaussian = gaussian_log_density(fold.gaussian, flow.preprocessing, heldout.X)
    if flow.tail is None and trained.chosen.is_gaussian:
        model = gaussian
    elif flow.tail is None and isinstance(trained.map, AbstractPotential):
        # The density's own program would be compiled for these rows alone.
        losses = heldout_losses(trained.map, fold.split, settings)
        model = log_density_of_losses(losses, flow.preprocessing, heldout.X)
    else:
        own = ConvexFlow(flow.preprocessing, trained.map, flow.tail)
        model = in_batches(log_density, own, heldout.X)
    return model, gaussian, heldout.weights


def _of_groups(trained: Trained, preprocessing: AbstractPreprocessing, settings: Settings) -> Part:
    """Return what the run that a map is made of says of groups of rows that it held out."""
    fold, run, data = trained.fold, trained.chosen.run, trained.fold.data.heldout
    if data is None:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    gaussian = gaussian_log_density(fold.gaussian, preprocessing, data.X)
    seen = None if run is None else run.job.fold.split.heldout
    if run is None or seen is None:
        model = gaussian if trained.chosen.is_gaussian else np.full(len(gaussian), np.nan)
        return model, gaussian, data.weights
    program = SeenLoss(run, heldout_sample(run.job, settings))
    groups = np.array_split(np.arange(len(data.X)), min(settings.as_seen_groups, len(data.X)))

    def means(values: np.ndarray) -> np.ndarray:
        return np.array([data[group].mean(values[group]) for group in groups])

    log_det = means(np.asarray(preprocessing.forward(data.X)[1]))
    model = log_det - np.array([program.mean(seen[group]) for group in groups])
    weights = np.array([np.sum(data.weights[group]) for group in groups])
    known = fold.offsets.heldout - trained.chosen.heldout_loss
    return model + known - np.average(model, weights=weights), means(gaussian), weights


def _seconds(runs: Sequence[Run], session: Session) -> dict[str, float]:
    """Return the wall time, phase by phase, and what the runs took, summed over them."""
    of_phases = session.phases.seconds
    of_runs = {part: sum(run.seconds[part] for run in runs) for part in PARTS}
    return {"total": sum(of_phases.values()), **of_phases, **of_runs}


def _message(
    trained: Trained, status: FitStatus, seconds: dict[str, float], *, searched: bool
) -> str:
    """Return one sentence on how the fit ended, with numbers and the remedy."""
    text = f"The fit ended with status '{status.value}' after {len(trained.winner.iterations)} "
    text += f"iterations and {seconds['total']:.1f} s; {_returned(trained, status, seconds)}"
    if trained.certificate is not None:
        text += f" (projected gradient {trained.certificate.projected_gradient:.1e} nats)"
    cure = remedy(status, searched=searched)
    return f"{text}: {cure}." if cure else f"{text}."


def _returned(trained: Trained, status: FitStatus, seconds: dict[str, float]) -> str:
    if trained.found_nothing:
        searched = any(run.best is not None for run in trained.runs)
        reason = gaussian_reason(status, seconds, searched=searched)
        return f"the Gaussian was returned, for {reason}"
    return f"the iterate returned is number {trained.best_iteration}{_made_of(trained)}"


def _made_of(trained: Trained) -> str:
    n_maps, n_members = len(trained.map.potentials), trained.chosen.n_members
    if n_maps > 1:
        return f" (of the best run; the model is a composition of {n_maps} maps)"
    return f" (of the best run; the model is the sum of {n_members})" * (n_members > 1)
