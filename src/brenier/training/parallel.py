"""Runs in parallel, each in a thread of its own.

Compiled programs run outside Python's lock, and those of a run are too small to keep several cores
busy by themselves. BLAS gets one thread meanwhile: its matrices are small, and between two calls
its others would spin on a core that a run could use.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from threading import Condition, Event, Lock
from typing import ParamSpec, TypeVar

import jax

from brenier.program import n_cores
from brenier.training.background import POLL
from brenier.training.blas import ONE_THREAD
from brenier.training.signals import check

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


def run_parallel(
    jobs: Sequence[Callable[[], Result]],
    stop: Event,
    cores: int | None = None,
    *,
    meeting: bool = False,
) -> list[Result]:
    """Return the jobs' results in their order, without jobs that had not begun by the stop.

    Call it where float64 is enabled: so it is in the threads.

    Parameters
    ----------
    jobs : sequence of callable
        None of them depends on another, unless they meet.
    stop : threading.Event
        Set by a job after which no other is to begin, and here on Ctrl-C; the jobs watch it.
    cores : int, optional
        Cores to keep busy; None: all that this process may use.
    meeting : bool
        Whether jobs wait for each other, so that all are begun at once, however few the cores.

    Raises
    ------
    Exception
        A job's own, once the others have ended.
    """
    with ONE_THREAD.held():
        cores = n_cores() if cores is None else cores
        if len(jobs) < 2 or (cores == 1 and not meeting):
            return [result for job in jobs for result in _run(job, stop)]
        # More threads than cores, so that no core is idle while the last ones run.
        workers = len(jobs) if meeting else min(len(jobs), 2 * cores)
        return _in_threads(jobs, stop, workers)


def _run(job: Callable[[], Result], stop: Event) -> list[Result]:
    """Return the job's result; nothing where it is too late to begin."""
    return [] if stop.is_set() else [job()]


def _in_threads(jobs: Sequence[Callable[[], Result]], stop: Event, workers: int) -> list[Result]:
    def run(job: Callable[[], Result]) -> list[Result]:
        with jax.enable_x64(True):
            return _run(job, stop)

    futures: list[Future[list[Result]]] = []
    with ThreadPoolExecutor(workers, thread_name_prefix="brenier") as pool:
        try:
            for job in jobs:
                futures.append(pool.submit(run, job))
            pending = set(futures)
            while pending:
                check()
                done, pending = wait(pending, POLL, FIRST_EXCEPTION)
                if any(future.exception() for future in done):
                    stop.set()
        except KeyboardInterrupt:
            stop.set()
    return [result for future in futures for result in future.result()]


class Turns:
    """Whose turn it is of jobs that run one at a time, each until it gives way or ends.

    So what they do comes in one order, whatever the threads that they are in do: processes that
    compute together must do the same in the same order.

    Parameters
    ----------
    n : int
        How many jobs; the first begins.
    """

    def __init__(self, n: int):
        self._left, self._turn = list(range(n)), 0
        self._changed = Condition()

    def in_turn(self, k: int, job: Callable[[], Result]) -> Callable[[], Result]:
        """Return the k-th job as it is run: from its turn on."""

        def run() -> Result:
            self._wait(k)
            try:
                return job()
            finally:
                self._pass_on(k, leaves=True)

        return run

    def give_way(self, k: int) -> None:
        """Let the others go on, and return when it is the k-th's turn again."""
        self._pass_on(k, leaves=False)
        self._wait(k)

    def _wait(self, k: int) -> None:
        with self._changed:
            while self._turn != k:
                self._changed.wait(POLL)

    def _pass_on(self, k: int, *, leaves: bool) -> None:
        with self._changed:
            place = self._left.index(k)
            after = self._left[(place + 1) % len(self._left)]
            if leaves:
                self._left.remove(k)
            self._turn = after
            self._changed.notify_all()


def one_at_a_time(function: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Return the function with a lock around it."""
    lock = Lock()

    def locked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        with lock:
            function(*args, **kwargs)

    return locked
