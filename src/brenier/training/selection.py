"""Model selection: a run with each of the candidate hyperparameters, all but the best ended early.

All candidates begin with the same initial weights, by successive halving
(`brenier.training.halving`): the run that is left goes on. Runs from the other initial weights are
made beside them, with the hyperparameters of the run that leads at the first rung at which it is
ahead of the Gaussian.
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
        """Return the other starts' runs, beside which those of the candidates go on."""
        led = self._leader(jobs, halving)
        if led is None:
            return []
        k, others = led
        of_others = [self._job(start, jobs[k].hyperparameters) for start in others]

        def fitting() -> list[Run]:
            """Say when nothing is left to be selected."""
            selected = halving.winner()
            if selected is not None:
                runs = _criteria([jobs[selected[0]], *of_others])
                self.session.phases.begin(FITTING, runs)
            return []

        made = [fitting, partial(make_runs, of_others, self.settings, self.session, self.runner)]
        return [*chain.from_iterable(run_parallel(made, self.session.clock.stop, meeting=True))]

    def _leader(self, jobs: list[Job], halving: Halving) -> tuple[int, Sequence[Start]] | None:
        """Wait for who leads; return which candidate, and the starts that follow it.

        The leader of the first rung at which it is ahead of the Gaussian has them all. Where none
        is to the end, the winner has what is left without more potentials of the same fold.
        """
        anyway = [start for start in self.others if not self._is_one_more(start)]
        for rung in range(1, len(halving.rungs) + 1):
            led = halving.leader(rung)
            if led is None:
                return None
            k, standing = led
            # Before the last rung, what it has reached counts, not what it may reach yet.
            if rung < len(halving.rungs):
                standing = Standing(standing.best)
            if len(anyway) < len(self.others) and is_ahead(jobs[k], standing, self.settings):
                return k, self.others
        return k, anyway

    def _is_one_more(self, start: Start) -> bool:
        """Whether a start is for one more potential in the sum of the same fold."""
        return start.fold is self.first.fold and start.member != self.first.member

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
    return run_parallel(made, session.clock.stop)
