"""Signals that end a fit early, held back until they can be seen: no model is lost to them.

Python raises KeyboardInterrupt in the main thread, wherever that happens to be. Raised in a
callback of another library (of garbage collection, of a weak reference) it is printed and
forgotten, and the fit goes on; raised between two steps of a fit it throws away what there is. So
while a fit is under way a signal is only noted, and raised where the main thread waits for the
fit's work. A second one, when the first was not seen for a while, is raised at once.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# After a signal was not seen for so long the next is raised at once (seconds).
UNSEEN = 1.0


class Watch:
    """A handler of signals that raises KeyboardInterrupt: at once, or where `check` is called.

    Attributes
    ----------
    number : int or None
        The signal that came first.
    arrived : int
        How many have come.
    holds : int
        How many ask that signals be held back.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.arrived = self.holds = 0
        self._unseen_since: float | None = None

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Note a signal; raise KeyboardInterrupt unless it is held back."""
        now, since = time.perf_counter(), self._unseen_since
        self.number = number if self.number is None else self.number
        self.arrived += 1
        self._unseen_since = now if since is None else since
        if self.holds == 0 or (since is not None and now - since > UNSEEN):
            self.see()

    def see(self) -> None:
        """Raise KeyboardInterrupt if a signal has come that was not raised."""
        if self._unseen_since is not None:
            self._unseen_since = None
            raise KeyboardInterrupt

    @contextmanager
    def on(self, *numbers: int) -> Iterator["Watch"]:
        """Handle these signals meanwhile."""
        before = {number: signal.signal(number, self) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def watched() -> Iterator[Watch]:
    """Handle Ctrl-C and SIGTERM alike meanwhile, each where nobody has said what it shall do."""
    watch, usual = Watch(), (signal.default_int_handler, signal.SIG_DFL)
    numbers = (signal.SIGINT, signal.SIGTERM) if _is_main() else ()
    with watch.on(*(number for number in numbers if signal.getsignal(number) in usual)):
        yield watch


@contextmanager
def held_back() -> Iterator[None]:
    """Hold signals back meanwhile; one that came, and ended nothing, is raised at the end."""
    watch = _current()
    if watch is None and _is_main() and _raises_at_once():
        with Watch().on(signal.SIGINT) as watch, _held_by(watch):
            yield
    elif watch is None:
        yield
    else:
        with _held_by(watch):
            yield


@contextmanager
def _held_by(watch: Watch) -> Iterator[None]:
    before = watch.arrived
    if before and not watch.holds:
        # It was raised, and forgotten by whatever called back.
        raise KeyboardInterrupt
    watch.holds += 1
    try:
        yield
    finally:
        watch.holds -= 1
    if watch.arrived > before:
        raise KeyboardInterrupt


def check() -> None:
    """Raise KeyboardInterrupt if a signal was held back; in the main thread alone."""
    watch = _current()
    if watch is not None:
        watch.see()


def _current() -> Watch | None:
    """Return what handles signals, in the main thread and where it is ours."""
    if not _is_main():
        return None
    handlers = (signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM))
    return next((handler for handler in handlers if isinstance(handler, Watch)), None)


def _raises_at_once() -> bool:
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()
