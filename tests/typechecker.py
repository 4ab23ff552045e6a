"""What checks the annotations of the package's functions while the tests run."""

from threading import RLock

import beartype

_LOCK = RLock()
_CHECKED = {}


def one_at_a_time(decorated):
    """Return the function or class with beartype's checks, made by one thread at a time.

    Beartype makes them inside `warnings.catch_warnings`, and of functions within functions while
    the program runs. Two threads that leave it in the wrong order bring back filters that are not
    theirs: a warning that a test waits for is lost.

    jaxtyping hands over functions that it makes of a signature, to check arguments and results by.
    Those of one signature are the same: of a function within a function, which is made again at
    every call, the checks are made once. They take a millisecond.
    """
    with _LOCK:
        key = _key(decorated)
        if key is None:
            return beartype.beartype(decorated)
        if key not in _CHECKED:
            _CHECKED[key] = beartype.beartype(decorated)
        return _CHECKED[key]


def _key(decorated):
    """Return what tells the checks of functions within functions apart; None: keep none."""
    code = getattr(decorated, "__code__", None)
    is_within = "<locals>" in getattr(decorated, "__qualname__", "")
    # jaxtyping's own code is of no file; it has nothing but the signature in it.
    if code is None or not is_within or code.co_filename != "<string>":
        return None
    if decorated.__closure__ or decorated.__defaults__ or decorated.__kwdefaults__:
        return None
    # Of the same text at one place, whose objects are made anew too.
    annotations = repr(decorated.__annotations__)
    return decorated.__module__, decorated.__qualname__, code, annotations
