"""The stream of events of a fit, made of what its recipe and its runs say.

The recipe says when a phase begins; the runs say when they compile, iterate and end. Of these, of
which there may be several at once, one calm line is made: *compiling* until the first iterate of a
phase, then how many of its runs have ended.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import RLock

from brenier.optimizers.early_stopping import StoppingCriteria
from brenier.optimizers.progress import Progress
from brenier.training.phases import COMPILING, PHASES, READING, Event, Listener


@dataclass
class Runs:
    """The runs of a phase, as far as they are: what their share and the time left are made of.

    Attributes
    ----------
    criteria : dict
        When each of them must end, by its number.
    ended : set
        Those that did.
    reached : dict
        The latest iterate of each.
    best : dict
        The best log-likelihood of each, and at which iterate.
    """

    criteria: dict[int, StoppingCriteria] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    reached: dict[int, int] = field(default_factory=dict)
    best: dict[int, tuple[float, int]] = field(default_factory=dict)

    def see(self, progress: Progress) -> None:
        """Record an iterate."""
        run = progress.run
        self.reached[run] = progress.iteration
        value = likelihood(progress)
        if value > self.best.get(run, (-math.inf, 0))[0]:
            self.best[run] = (value, progress.iteration)

    @property
    def of(self) -> int:
        """How many they are."""
        return len(self.criteria)

    @property
    def n_ended(self) -> int:
        """How many of them have ended."""
        return len(self.ended & self.criteria.keys())

    @property
    def share(self) -> float:
        """How much of the work is likely done; NaN before the first iterate."""
        if not self.reached.keys() & self.criteria.keys():
            return math.nan
        return sum(self._share(run) for run in self.criteria) / self.of

    def _share(self, run: int) -> float:
        """Return a run's own share: of its limit, or of where it would stop with no better."""
        if run in self.ended:
            return 1.0
        criteria, reached = self.criteria[run], self.reached.get(run, 0)
        best = self.best.get(run, (0.0, 0))[1]
        would_stop = best + max(criteria.patience, criteria.patience_share * reached)
        return min(1.0, reached / max(1.0, min(criteria.max_iter, would_stop)))


def likelihood(progress: Progress) -> float:
    """Return what runs are compared by: held out where there are such rows, else training."""
    heldout = progress.heldout_log_likelihood
    return progress.train_log_likelihood if math.isnan(heldout) else heldout


class Stream:
    """Makes the stream of events, and knows how long every phase took (wall time).

    Parameters
    ----------
    listener : Listener or None
        Who is told.
    began : float
        When the fit began, by `time.perf_counter`.
    """

    def __init__(self, listener: Listener | None = None, began: float | None = None):
        self.began = time.perf_counter() if began is None else began
        self._listener = listener
        self._seconds: dict[str, float] = {phase: 0.0 for phase in PHASES}
        self._phase, self._since = READING, self.began
        self._main = READING
        self._runs = Runs()
        self._share_before = math.nan
        self._programs: dict[str, int] = {"done": 0, "of": 0}
        self._active: set[int] = set()
        self._compiling: set[int] = set()
        self._best = math.nan
        self._part = ""
        self._closed = False
        self._lock = RLock()
        self._tell()

    def begin(self, phase: str, runs: Mapping[int, StoppingCriteria] | None = None) -> None:
        """Begin a phase that makes runs, each with its number and when it must end, or none."""
        with self._lock:
            self._main = phase
            # Runs of the phase may have begun in the one before.
            self._runs = replace(self._runs, criteria=dict(runs or {}))
            self._share_before = self._runs.share
            self._programs = {"done": 0, "of": 0}
            self._active, self._compiling = set(), set()
            # Runs begin by compiling, or with their first iterate.
            if runs is None:
                self._enter(phase)

    def part(self, name: str) -> None:
        """Say which part of the model the following is about; nothing for all of it."""
        with self._lock:
            self._part = name

    @contextmanager
    def compiling(self, run: int) -> Iterator[None]:
        """Take note that a run compiles within, or waits for another that does."""
        with self._lock:
            self._active.add(run)
            self._compiling.add(run)
            self._enter_what_goes_on()
        try:
            yield
        finally:
            with self._lock:
                self._compiling.discard(run)
                self._enter_what_goes_on()

    def programs(self, *, more: int = 0, done: int = 0) -> None:
        """Take note that so many more programs are to be compiled, or have been."""
        with self._lock:
            self._programs["of"] += more
            self._programs["done"] += done
            self._tell()

    def iterate(self, progress: Progress) -> None:
        """Take note of an iterate of any run."""
        with self._lock:
            self._active.add(progress.run)
            self._runs.see(progress)
            self._best = _larger(self._best, likelihood(progress))
            self._enter_what_goes_on()

    def ended(self, run: int) -> None:
        """Take note that a run has ended."""
        with self._lock:
            self._runs.ended.add(run)
            self._active.discard(run)
            self._compiling.discard(run)
            self._tell()

    def close(self) -> None:
        """End the last phase; nobody is told anything any more."""
        with self._lock:
            self._count()
            self._closed = True

    @property
    def seconds(self) -> dict[str, float]:
        """Wall time of every phase so far; together they are that of the fit."""
        with self._lock:
            self._count()
            return dict(self._seconds)

    def _enter_what_goes_on(self) -> None:
        """Enter the phase of the runs; compiling, if none of them does anything else."""
        if self._active:
            searching = self._active - self._compiling
            self._enter(self._main if searching else COMPILING)

    def _enter(self, phase: str) -> None:
        if phase != self._phase:
            self._count()
            self._phase = phase
        self._tell()

    def _count(self) -> None:
        now = time.perf_counter()
        if not self._closed:
            self._seconds[self._phase] += now - self._since
            self._since = now

    def _tell(self) -> None:
        if self._listener is not None and not self._closed:
            self._listener.on_event(self._event())

    def _event(self) -> Event:
        compiles, runs = self._phase == COMPILING, self._runs
        share = math.nan if compiles else runs.share
        return Event(
            phase=self._phase,
            done=self._programs["done"] if compiles else runs.n_ended,
            of=self._programs["of"] if compiles else runs.of,
            share=share,
            log_likelihood=self._best,
            elapsed=time.perf_counter() - self.began,
            remaining=self._remaining(share),
            part=self._part,
        )

    def _remaining(self, share: float) -> float:
        """Return what is left of the phase if it goes on as it did; NaN where that is unknown."""
        spent = self._seconds[self._phase] + time.perf_counter() - self._since
        before = 0.0 if math.isnan(self._share_before) else self._share_before
        return spent * (1.0 - share) / (share - before) if share > before else math.nan


def _larger(one: float, other: float) -> float:
    return other if math.isnan(one) or other > one else one
