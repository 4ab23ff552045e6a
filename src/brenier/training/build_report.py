"""The one builder of reports: from what was trained on every fold to `FitReport`."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from brenier.data.rows import WeightedRows
from brenier.data.split import Table
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import AbstractPreprocessing
from brenier.optimizers.progress import Progress
from brenier.status import FitStatus
from brenier.training.candidate import Trained
from brenier.training.folds import Fold
from brenier.training.judge import Judgement, judge_as_seen, judge_model
from brenier.training.likelihood import model_log_density
from brenier.training.report import FitReport, gaussian_reason, remedy
from brenier.training.run import PARTS, Run
from brenier.training.session import Session
from brenier.training.settings import Settings


def build_report(
    kept: Sequence[Trained],
    everyone: Sequence[Trained],
    whole: Fold,
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
    whole : Fold
        The one fold; of several, all rows, none held out.
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
    hyperparameters = [run.job.hyperparameters for run in runs]
    seconds = _seconds(runs, session)
    heldout = [trained.fold.data.heldout for trained in kept]
    return FitReport(
        status=status,
        message=_message(ended, status, seconds, searched=any(run.iterations for run in runs)),
        is_gaussian=all(trained.chosen.is_gaussian for trained in kept),
        n_maps=len(flow.map.potentials),
        n_members=sum(trained.chosen.n_members for trained in kept),
        n_train=measured.n_train,
        n_heldout=sum(0 if rows is None else len(rows.X) for rows in heldout),
        n_judge=measured.n_judge,
        n_rows=measured.n_rows,
        effective_size=measured.effective_size,
        train_log_likelihood=measured.train_log_likelihood,
        heldout_log_likelihood=float(
            np.mean([one.fold.offsets.heldout - one.chosen.heldout_loss for one in kept])
        ),
        log_likelihood=measured.judgement.log_likelihood,
        gain=measured.judgement.gain,
        not_judged=measured.judgement.why_not,
        gaussian_train_log_likelihood=whole.offsets.train - whole.gaussian_losses[0],
        gaussian_heldout_log_likelihood=float(
            np.mean([one.fold.offsets.heldout - one.fold.gaussian_losses[1] for one in kept])
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
        n_far=0,
        far_rows=(),
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
    n_train, n_judge, n_rows : int
        How many rows there are.
    effective_size : float
        Of all rows.
    train_log_likelihood : float
        Of the training rows.
    judgement : Judgement
        What the judge rows say.
    """

    n_train: int
    n_judge: int
    n_rows: int
    effective_size: float
    train_log_likelihood: float
    judgement: Judgement

    @staticmethod
    def of(kept: Sequence[Trained], table: Table, train: float, judgement: Judgement) -> "Measured":
        """Return what is known, with the table's numbers of rows."""
        n_train, n_judge = len(training_rows(kept, table.rows).X), table.n_judge
        n_rows = len(table.rows.X) + n_judge
        return Measured(n_train, n_judge, n_rows, table.effective_size, train, judgement)


def measure(
    kept: Sequence[Trained], whole: Fold, flow: ConvexFlow, table: Table, settings: Settings
) -> Measured:
    """Return the log-likelihoods of what is returned, every row evaluated.

    Parameters
    ----------
    kept : sequence of Trained
        What the flow's map is the average of.
    whole : Fold
        Whose Gaussian is the baseline.
    flow : ConvexFlow
        What is returned.
    table : Table
        All rows, in data units.
    settings : Settings
        Of the fit.
    """
    if len(kept) == 1 and flow.tail is None:
        # Known already.
        train = kept[0].train_log_likelihood
    else:
        rows = training_rows(kept, table.rows)
        train = rows.mean(model_log_density(flow, rows, kept[0].fold.split, settings))
    judgement = Judgement(why_not=table.why_not)
    if table.judge is not None:
        judgement = judge_model(kept, whole, flow, table.judge, settings)
    return Measured.of(kept, table, train, judgement)


def measure_as_seen(
    kept: Sequence[Trained],
    whole: Fold,
    preprocessing: AbstractPreprocessing,
    table: Table,
    settings: Settings,
) -> Measured:
    """Return the same as far as it is known without compiling anything.

    Parameters
    ----------
    kept : sequence of Trained
        What the flow's map is the average of; it has no tail.
    whole : Fold
        Whose Gaussian is the baseline.
    preprocessing : AbstractPreprocessing
        The flow's.
    table : Table
        All rows, in data units.
    settings : Settings
        Of the fit.
    """
    train = float(np.mean([trained.train_log_likelihood for trained in kept]))
    judgement = Judgement(why_not=table.why_not)
    if table.judge is not None:
        judgement = judge_as_seen(kept, whole, preprocessing, table.judge, settings)
    return Measured.of(kept, table, train, judgement)


def training_rows(kept: Sequence[Trained], rows: WeightedRows) -> WeightedRows:
    """Return what was trained on: of an average, all rows."""
    return rows if len(kept) > 1 else kept[0].fold.data.train


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
