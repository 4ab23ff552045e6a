"""Model selection: a run with each of the candidate hyperparameters, all but the best ended early.

All candidates begin with the same initial weights, and meet after a few iterations
(`brenier.training.meeting`): the best goes on. Runs from the other initial weights are made beside
it, with its hyperparameters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import numpy as np

from brenier.inner.solution import WarmStart
from brenier.optimizers.early_stopping import StoppingCriteria
from brenier.training.families import AbstractFamily, AbstractStart
from brenier.training.folds import Fold
from brenier.training.meeting import Meeting, Standing
from brenier.training.parallel import Turns, run_parallel
from brenier.training.phases import FITTING, SELECTING
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
        cold = WarmStart.cold(np.where(problem.pinned, 0.0, w))
        return Job(self.fold, problem, cold, hyperparameters, criteria, number, self.member)


@dataclass(frozen=True)
class Selection:
    """Runs with all candidates from one start, and with the best of them from the other starts.

    Attributes
    ----------
    first : Start
        Where the candidates' runs begin.
    others : sequence of Start
        Where the candidate that leads begins too, once it is known.
    family : AbstractFamily
        What kind of density.
    settings : Settings
        Of the fit.
    session : Session
        The fit's.
    runner : callable
        What makes a run of a job.
    """

    first: Start
    others: Sequence[Start]
    family: AbstractFamily
    settings: Settings
    session: Session
    runner: Runner

    def runs(self) -> list[Run]:
        """Return all runs, those of the candidates first; one candidate is taken unseen."""
        candidates = self.first.fold.candidates
        if len(candidates) == 1:
            return self._of_one(candidates[0])
        n, after = len(candidates), min(self.settings.rung, self.settings.max_iter)
        turns = Turns(n + 1) if self.session.in_order else None
        meeting = Meeting(n, after, self.session.clock, turns)
        jobs = [self._job(self.first, candidate) for candidate in candidates]
        self.session.phases.begin(SELECTING, _criteria(jobs))
        of_candidates = [partial(self._of_candidate, k, job, meeting) for k, job in enumerate(jobs)]
        made = [*of_candidates, partial(self._of_others, jobs, meeting)]
        if turns is not None:
            made = [turns.in_turn(k, make) for k, make in enumerate(made)]
        return [*chain.from_iterable(run_parallel(made, self.session.clock.stop, meeting=True))]

    def _of_candidate(self, k: int, job: Job, meeting: Meeting) -> list[Run]:
        """Return the run of the k-th candidate, which waits for the others at the meeting."""
        standing = Standing()
        try:
            made = self.runner(replace(job, pause=meeting.pause(k)), self.settings, self.session)
            standing = Standing.of(made)
        finally:
            meeting.arrive(k, standing)
        return [made]

    def _of_others(self, jobs: list[Job], meeting: Meeting) -> list[Run]:
        """Return the other starts' runs, beside which the best candidate's goes on."""
        winner = meeting.winner()
        if winner is None:
            return []
        best = jobs[winner]
        of_others = [self._job(start, best.hyperparameters) for start in self.others]
        self.session.phases.begin(FITTING, _criteria([best, *of_others]))
        return make_runs(of_others, self.settings, self.session, self.runner)

    def _of_one(self, candidate: Hyperparameters) -> list[Run]:
        """Return the runs from all starts with the one candidate there is."""
        jobs = [self._job(start, candidate) for start in (self.first, *self.others)]
        self.session.phases.begin(FITTING, _criteria(jobs))
        return make_runs(jobs, self.settings, self.session, self.runner)

    def _job(self, start: Start, hyperparameters: Hyperparameters) -> Job:
        number = self.session.next_run()
        return start.job(
            self.family, self.settings, hyperparameters, self.settings.criteria, number
        )


def _criteria(jobs: Sequence[Job]) -> dict[int, StoppingCriteria]:
    return {job.number: job.criteria for job in jobs}


def make_runs(jobs: list[Job], settings: Settings, session: Session, runner: Runner) -> list[Run]:
    """Return the runs of jobs that do not depend on each other, made in parallel."""
    made = [partial(runner, job, settings, session) for job in jobs]
    return run_parallel(made, session.clock.stop, session.cores)
