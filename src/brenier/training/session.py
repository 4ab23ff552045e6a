"""What all runs of one fit share: a clock, a seed, who is told, and locks for compilation."""

import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from itertools import count
from threading import Event, Lock
from typing import Any, TypeVar

import jax
import numpy as np

from brenier.optimizers.early_stopping import Clock
from brenier.optimizers.progress import ProgressCallback
from brenier.training.background import Patience, Work
from brenier.training.checkpoint import Checkpoint, current_checkpoint
from brenier.training.parallel import one_at_a_time
from brenier.training.phases import Listener
from brenier.training.stream import Stream

# After Ctrl-C the work under way gets so long to end by itself (seconds).
GRACE = 2.0

Result = TypeVar("Result")


@dataclass(frozen=True)
class Limits:
    """The times of a fit that has a limit, each by `time.perf_counter`; None without a limit.

    Attributes
    ----------
    search : float or None
        When no search goes on.
    runs : float or None
        Until when it is waited for runs under way.
    conclusion : float or None
        The same for the final solves and the sum.
    report : float or None
        The same for tails and report: the limit itself.
    """

    search: float | None = None
    runs: float | None = None
    conclusion: float | None = None
    report: float | None = None

    @staticmethod
    def of(began: float, max_seconds: float | None, ending: float) -> "Limits":
        """Return the limits of a fit whose last `ending` seconds are for what follows its search.

        Of these a tenth is for runs that compile or evaluate meanwhile, and a third of what then is
        left for the report.
        """
        if max_seconds is None:
            return Limits()
        end = began + max_seconds
        return Limits(end - ending, end - 0.9 * ending, end - 0.3 * ending, end)


@dataclass
class Programs:
    """The programs for arrays of some shapes.

    Attributes
    ----------
    lock : Lock
        Held while they are compiled: of parallel runs whose arrays have the same shapes one
        compiles, the others wait for it.
    compiled : bool
        Whether they have been.
    """

    lock: Any = field(default_factory=Lock)
    compiled: bool = False


@dataclass(frozen=True)
class Session:
    """One fit.

    Attributes
    ----------
    clock : Clock
        When it began, and when no search goes on.
    seed : int
        Of all that is random in it.
    tell : callable or None
        Who is told of every iterate, one call at a time.
    limits : Limits
        Until when it is waited for what.
    phases : Stream
        What it is doing.
    interrupted : threading.Event
        Set by a Ctrl-C.
    checkpoint : Checkpoint or None
        Where its runs keep what they need to go on.
    in_order : bool
        Whether runs are made one at a time, in one order: processes make them together.
    """

    clock: Clock = field(default_factory=Clock)
    seed: int = 0
    tell: ProgressCallback | None = None
    limits: Limits = Limits()
    phases: Stream = field(default_factory=Stream)
    interrupted: Event = field(default_factory=Event)
    checkpoint: Checkpoint | None = None
    in_order: bool = False
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _programs: dict[Hashable, Programs] = field(default_factory=dict)

    @staticmethod
    def begin(
        max_seconds: float | None,
        seed: int,
        callback: ProgressCallback | None,
        *,
        ending: float = 0.0,
        listener: Listener | None = None,
        began: float | None = None,
        in_order: bool = False,
    ) -> "Session":
        """Return the session of a fit that begins now, or has begun.

        Parameters
        ----------
        max_seconds : float or None
            Its limit.
        seed : int
            Of all that is random in it.
        callback : callable or None
            Who is told of every iterate.
        ending : float
            Seconds of the limit that are kept for what follows the search.
        listener : Listener or None
            Who is told of phases.
        began : float or None
            When it began, by `time.perf_counter`, if not now.
        in_order : bool
            Whether runs are made one at a time.
        """
        began = time.perf_counter() if began is None else began
        limits = Limits.of(began, max_seconds, ending)
        search = None if limits.search is None else limits.search - began
        tell = None if callback is None else one_at_a_time(callback)
        return Session(
            Clock(search, began),
            seed,
            tell,
            limits,
            Stream(listener, began),
            checkpoint=current_checkpoint(),
            in_order=in_order,
        )

    @property
    def cores(self) -> int | None:
        """Cores that runs are made on in parallel; None: all."""
        return 1 if self.in_order else None

    @property
    def is_late(self) -> bool:
        """Whether the time for searching is up."""
        return self.limits.search is not None and time.perf_counter() >= self.limits.search

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be begun: time is up, or Ctrl-C came."""
        return self.is_late or self.clock.stop.is_set() or self.interrupted.is_set()

    def next_run(self) -> int:
        """Return the number of the next run, counted from one."""
        return next(self._numbers)

    def programs(self, arrays: Any) -> Programs:
        """Return the programs for arrays of these shapes."""
        leaves, structure = jax.tree.flatten(arrays)
        shapes = (structure, *(np.shape(leaf) for leaf in leaves))
        return self._programs.setdefault(shapes, Programs())

    def results(
        self, function: Callable[[], Result], until: float | None, stop: Event | None = None
    ) -> list[Result]:
        """Return what a function returns, alone in a list; an empty one where time was too short.

        It is called in a thread of its own, which is left behind where it does not end in time.
        What it raises is raised here.

        Parameters
        ----------
        function : callable
            Of no arguments, called where float64 is enabled.
        until : float or None
            Until when it is waited for, by `time.perf_counter`; one of the limits.
        stop : threading.Event, optional
            After which it gets no more than a little grace. None: only after Ctrl-C from now on.
        """
        own = Event() if stop is None else stop
        seconds_left = Patience(until, own, GRACE)
        if seconds_left() <= 0:
            return []
        work = Work(lambda: _in_float64(function)).start()
        ended = work.wait(seconds_left, own)
        if stop is None and own.is_set():
            self.interrupted.set()
        return [work.result] if ended else []


def _in_float64(function: Callable[[], Result]) -> Result:
    with jax.enable_x64(True):
        return function()
