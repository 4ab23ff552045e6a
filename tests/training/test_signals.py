"""Signals that end a fit: held back, seen where it waits, never lost."""

import gc
import signal
import threading
import time
import weakref

import pytest
from small_fits import rows

from brenier import ConvexPotentialFlow
from brenier.status import FitStatus
from brenier.training.signals import UNSEEN, check, held_back, watched


@pytest.fixture(autouse=True)
def default_handlers():
    """Let Ctrl-C raise KeyboardInterrupt, which pytest-xdist's workers ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    signal.signal(signal.SIGINT, before)


def control_c():
    signal.raise_signal(signal.SIGINT)


class Garbage:
    """Something whose end is told of by a weak reference: what that raises is forgotten."""


def control_c_in_a_callback():
    garbage = Garbage()
    reference = weakref.ref(garbage, lambda _: control_c())
    del garbage
    gc.collect()
    return reference


@held_back()
def body(*steps):
    return [step() for step in steps]


def seen():
    """Whether there is one to be seen."""
    try:
        check()
    except KeyboardInterrupt:
        return True
    return False


def test_one_in_a_callback_is_seen_later_and_once():
    found = []
    with pytest.raises(KeyboardInterrupt):
        body(control_c_in_a_callback, lambda: found.extend([seen(), seen()]))
    assert found == [True, False]


def test_what_nobody_saw_is_raised_at_the_end():
    reached = []
    with pytest.raises(KeyboardInterrupt):
        body(control_c, control_c, lambda: reached.append("the end"))
    assert reached == ["the end"]


def test_one_within_is_raised_at_the_end_of_all():
    inner = []

    def within():
        with pytest.raises(KeyboardInterrupt):
            body(control_c)
        inner.append(seen())

    with pytest.raises(KeyboardInterrupt):
        body(within)
    assert inner == [True]


def test_an_error_is_not_replaced():
    def fail():
        raise ValueError("an error")

    with pytest.raises(ValueError, match="an error"):
        body(control_c, fail)


def test_one_that_is_not_seen_for_a_while_lets_the_next_raise_at_once():
    reached = []
    with pytest.raises(KeyboardInterrupt):
        body(control_c, lambda: time.sleep(1.1 * UNSEEN), control_c, lambda: reached.append(1))
    assert reached == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watched_signals_raise_at_once_where_nobody_holds_them_back(number):
    with watched() as watch:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert watch.number == number
        # Raised, and perhaps forgotten: what begins now ends.
        with pytest.raises(KeyboardInterrupt), held_back():
            pytest.fail("It began.")


def test_handlers_of_others_are_left_alone():
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append("theirs"))
    with watched(), held_back():
        control_c()
        check()
    signal.signal(signal.SIGINT, before)
    assert seen == ["theirs"]


def test_other_threads_hold_nothing_back():
    found = []

    def look():
        with watched(), held_back():
            check()
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]


def test_a_fit_ends_with_what_it_has():
    told = []

    def callback(progress):
        # In a thread of a run; the signal's handler runs in the main thread.
        told.append(progress)
        if len(told) == 3:
            control_c()

    flow = ConvexPotentialFlow(
        widths=(4,), n_estimators=1, decay=1e-3, n_radial=0, max_iter=10**6, tol=0.0, noise=0.0
    )
    flow.set_params(n_iter_no_change=10**6)
    with pytest.raises(KeyboardInterrupt):
        flow.fit(rows(), callback=callback)
    assert flow.report_.status is FitStatus.INTERRUPTED
    assert flow.report_.searched
