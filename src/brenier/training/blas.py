"""One thread for BLAS while fits run in parallel, however many fits there are.

The limit is the process's. Each fit that set and restored it by itself would, where two overlap,
restore the other's one thread in the end. And only the thread that has set it may restore it
(threadpoolctl 3.8): so a thread of its own holds it, from the first fit's begin to the last's end.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread

from threadpoolctl import threadpool_limits


class SharedLimit:
    """BLAS with one thread as long as anyone is within."""

    def __init__(self) -> None:
        self._lock, self._within = Lock(), 0
        self._holder: _Holder | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Limit BLAS to one thread meanwhile; the last to leave gives it back what it had."""
        with self._lock:
            if self._holder is None:
                self._holder = _Holder()
            self._within += 1
        try:
            yield
        finally:
            with self._lock:
                self._within -= 1
                if self._within == 0:
                    self._holder.release()
                    self._holder = None


class _Holder:
    """A thread that limits BLAS from now on until it is released."""

    def __init__(self) -> None:
        self._limited, self._released = Event(), Event()
        self._thread = Thread(target=self._hold, name="brenier-blas", daemon=True)
        self._thread.start()
        self._limited.wait()

    def release(self) -> None:
        """Give BLAS back what it had."""
        self._released.set()
        self._thread.join()

    def _hold(self) -> None:
        try:
            with threadpool_limits(1, user_api="blas"):
                self._limited.set()
                self._released.wait()
        finally:
            # Whatever happened: BLAS with more threads is slower, and no reason to wait.
            self._limited.set()


ONE_THREAD = SharedLimit()
