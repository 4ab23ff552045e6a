"""A limit of time for what may never end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class TooLong(BaseException):
    """What is raised in what takes too long: no `Exception`, so that nobody handles it as one."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise `TooLong` in what takes longer; in the main thread alone."""

    def end(*_: object) -> NoReturn:
        raise TooLong

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
