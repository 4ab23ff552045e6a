"""Model selection: a run with each of the candidate hyperparameters, all but the best ended early.

All candidates begin with the same initial weights, by successive halving
(`brenier.training.halving`): the run that is left goes on, and from the last rung on runs from the
other initial weights are made beside it, with its hyperparameters.
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
from brenier.training.halving import Halving, Standing
from brenier.training.lead import is_ahead
from brenier.training.parallel import run_parallel
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
        Where the best candidate begins too, once it is known.
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
            return self._complete([self.first, *self.others], candidates[0])
        wanted = self.settings.rungs_of(self.first.fold.n_rows)
        rungs = dict.fromkeys(min(rung, self.settings.max_iter) for rung in wanted)
        halving = Halving(len(candidates), tuple(rungs), self.session.clock)
        jobs = [self._job(self.first, candidate) for candidate in candidates]
        self.session.phases.begin(SELECTING, _criteria(jobs))
        meeting = [partial(self._of_candidate, k, job, halving) for k, job in enumerate(jobs)]
        made = [*meeting, partial(self._of_others, jobs, halving)]
        return [*chain.from_iterable(run_parallel(made, self.session.clock.stop, meeting=True))]

    def _of_candidate(self, k: int, job: Job, halving: Halving) -> list[Run]:
        """Return the run of the k-th candidate, which waits for the others at the rungs."""
        standing = Standing()
        try:
            made = self.runner(replace(job, pause=halving.pause(k)), self.settings, self.session)
            standing = Standing.of(made)
        finally:
            halving.end(k, standing)
        return [made]

    def _of_others(self, jobs: list[Job], halving: Halving) -> list[Run]:
        """Return the other starts' runs, which begin after the last rung.

        More potentials of the same fold are left out where the best is not ahead of the Gaussian.
        """
        selected = halving.winner()
        if selected is None:
            return []
        k, standing = selected
        others = [start for start in self.others if not self._is_one_more(start)]
        if len(others) < len(self.others) and is_ahead(jobs[k], standing, self.settings):
            others = self.others
        return self._complete(others, jobs[k].hyperparameters, beside=[jobs[k]])

    def _is_one_more(self, start: Start) -> bool:
        """Whether a start is for one more potential in the sum of the same fold."""
        return start.fold is self.first.fold and start.member != self.first.member

    def _complete(
        self,
        starts: Sequence[Start],
        hyperparameters: Hyperparameters,
        beside: Sequence[Job] = (),
    ) -> list[Run]:
        """Return the runs from some starts, made beside others that go on."""
        jobs = [self._job(start, hyperparameters) for start in starts]
        self.session.phases.begin(FITTING, _criteria([*beside, *jobs]))
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
    return run_parallel(made, session.clock.stop)
