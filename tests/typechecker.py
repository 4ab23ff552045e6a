"""What checks the annotations of the package's functions while the tests run."""

from threading import RLock

import beartype

_LOCK = RLock()


def one_at_a_time(decorated):
    """Return the function or class with beartype's checks, made by one thread at a time.

    Beartype makes them inside `warnings.catch_warnings`, and of functions within functions while
    the program runs. Two threads that leave it in the wrong order bring back filters that are not
    theirs: a warning that a test waits for is lost.
    """
    with _LOCK:
        return beartype.beartype(decorated)
