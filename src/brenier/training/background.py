"""Work that need not be waited for: threads that are left behind when time is up.

XLA compiles in C++, where nothing can interrupt it. So whatever compiles is done by a thread of its
own, and who wants its result waits no longer than there is time. A thread that is left behind goes
on until its call returns, and its result is dropped. It is no daemon: Python waits for it at the
end of the process, for to end in the midst of a compilation is to crash. A process that shall not
wait must leave by `os._exit`.
"""

import threading
import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Generic, TypeVar

from brenier.training.signals import check

# Where a thread that waits cannot be interrupted, Ctrl-C is seen after so long (seconds).
POLL = 0.2
NAME = "brenier-work"

Result = TypeVar("Result")


class Work(Generic[Result]):
    """A function of no arguments, called in a thread of its own.

    Parameters
    ----------
    function : callable
        What to call.
    """

    def __init__(self, function: Callable[[], Result]):
        self._function = function
        self._ended = Event()
        self._results: list[Result] = []
        self._error: BaseException | None = None

    def start(self) -> "Work[Result]":
        """Begin, and return this."""
        Thread(target=self._run, name=NAME).start()
        return self

    def wait(self, seconds_left: Callable[[], float], stop: Event) -> bool:
        """Return whether it has ended, after waiting for it as long as there is time.

        Parameters
        ----------
        seconds_left : callable
            How long it may still be waited for.
        stop : threading.Event
            Set here on Ctrl-C, after which the waiting goes on.
        """
        while not self._ended.is_set() and seconds_left() > 0:
            try:
                check()
                self._ended.wait(min(POLL, max(seconds_left(), 0.0)))
            except KeyboardInterrupt:
                stop.set()
        return self._ended.is_set()

    @property
    def result(self) -> Result:
        """What the function returned, once it has ended; what it raised is raised here."""
        if self._error is not None:
            raise self._error
        return self._results[0]

    def _run(self) -> None:
        try:
            self._results.append(self._function())
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            self._error = error
        finally:
            self._ended.set()


class Patience:
    """How long work may be waited for: until a time, and after a stop no longer than a grace.

    Parameters
    ----------
    ends : float or None
        The time, by `time.perf_counter`; None for none.
    stop : threading.Event
        After which only the grace is left.
    grace : float
        Seconds.
    """

    def __init__(self, ends: float | None, stop: Event, grace: float):
        self._ends, self._stop, self._grace = ends, stop, grace
        self._stopped: float | None = None

    def __call__(self) -> float:
        """Return the seconds left."""
        now = time.perf_counter()
        if self._stopped is None and self._stop.is_set():
            self._stopped = now
        ends = float("inf") if self._ends is None else self._ends
        if self._stopped is not None:
            ends = min(ends, self._stopped + self._grace)
        return ends - now


def left_behind() -> bool:
    """Return whether work still goes on: after a fit, what it did not wait for."""
    return any(thread.name == NAME for thread in threading.enumerate())
