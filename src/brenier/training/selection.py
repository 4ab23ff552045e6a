r"""Model selection by successive halving, with one rung ([1]_).

A short run with each of the candidate hyperparameters from the same initial weights; the one with
the least extrapolated validation loss is what all potentials are trained with. The loss J(k) on the
held-out rows after k iterations is extrapolated to 2 k as if it went on falling as in the second
half of the run,

    J(2 k) ~ J(k) - max(0, J(k / 2) - J(k)),

for a slower form of the model may still overtake.

References
----------
.. [1] K. Jamieson, A. Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
       Optimization", 2016, arXiv 1502.07943.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import jax.numpy as jnp
import numpy as np

from brenier.inner.solution import WarmStart
from brenier.optimizers.early_stopping import StoppingCriteria
from brenier.status import FitStatus
from brenier.training.families import AbstractFamily, AbstractStart
from brenier.training.folds import Fold
from brenier.training.parallel import run_parallel
from brenier.training.phases import SELECTING
from brenier.training.run import Job, Run
from brenier.training.session import Session
from brenier.training.settings import Hyperparameters, Settings

Runner = Callable[[Job, Settings, Session], Run]
"""What makes a run of a job: `brenier.training.run.run`."""


@dataclass(frozen=True)
class Start:
    """Initial weights of one run.

    Attributes
    ----------
    fold : Fold
        The rows.
    weights : AbstractStart
        Placed by them.
    member : int
        Which of the fold's potentials they are for.
    """

    fold: Fold
    weights: AbstractStart
    member: int

    def job(
        self,
        family: AbstractFamily,
        settings: Settings,
        hyperparameters: Hyperparameters,
        criteria: StoppingCriteria,
        number: int,
    ) -> Job:
        """Return the run from here."""
        gaussian = self.fold.gaussian
        features = self.weights.features(hyperparameters, settings, gaussian)
        problem = family.problem(features, hyperparameters, settings, gaussian)
        w = family.cold_weights(features, settings, gaussian)
        cold = WarmStart.cold(jnp.asarray(w))
        return Job(self.fold, problem, cold, hyperparameters, criteria, number, self.member)


@dataclass(frozen=True)
class Selection:
    """What the candidates' short runs say.

    Attributes
    ----------
    hyperparameters : Hyperparameters
        The best; the first where nothing was run.
    runs : list of Run
        The short runs.
    finished : bool
        Whether the best of them ended by itself, and need not be made again.
    """

    hyperparameters: Hyperparameters
    runs: list[Run]
    finished: bool


def successive_halving(
    start: Start, family: AbstractFamily, settings: Settings, session: Session, runner: Runner
) -> Selection:
    """Return the selected hyperparameters; where there is one candidate it is taken unseen."""
    candidates = start.fold.candidates
    first, *others = candidates
    if not others:
        return Selection(first, [], finished=False)
    rung = min(settings.selection_iterations, settings.max_iter)
    criteria = replace(settings.criteria, max_iter=rung)
    jobs = [start.job(family, settings, c, criteria, session.next_run()) for c in candidates]
    session.phases.begin(SELECTING, {job.number: job.criteria for job in jobs})
    runs = make_runs(jobs, settings, session, runner)
    best = min(runs, key=extrapolated_validation_loss, default=None)
    if best is None:
        return Selection(first, runs, finished=False)
    cut_short = (
        best.status is FitStatus.ITERATION_LIMIT
        and len(best.iterations) == rung < settings.max_iter
    )
    return Selection(best.job.hyperparameters, runs, finished=not cut_short)


def extrapolated_validation_loss(run: Run) -> float:
    """Return the loss that a run would reach in as many iterations again (nats)."""
    if run.best is None:
        return np.inf
    judged = [i.heldout_log_likelihood for i in run.iterations if i.judged]
    reached = run.log_likelihood
    earlier = max(judged[: len(judged) // 2], default=reached)
    return run.criterion - max(0.0, reached - earlier)


def make_runs(jobs: list[Job], settings: Settings, session: Session, runner: Runner) -> list[Run]:
    """Return the runs of jobs that do not depend on each other, made in parallel."""
    made = [partial(runner, job, settings, session) for job in jobs]
    return run_parallel(made, session.clock.stop)
