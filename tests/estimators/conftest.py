"""What the tests of estimators share: rows, a fit, and how many cores there are."""

import os

import pytest
from small_fits import rows, small


@pytest.fixture(scope="session")
def X():
    X = rows()
    X.flags.writeable = False
    return X


@pytest.fixture(scope="session")
def flow(X):
    return small().fit(X)


@pytest.fixture
def use_cores():
    """Return what leaves this process so many cores, as an administrator would, until the end."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this platform cannot keep a process on some of its cores")
    before = os.sched_getaffinity(0)
    # Parallel tests have a core each, and may take others back.
    os.sched_setaffinity(0, range(os.cpu_count()))
    cores = sorted(os.sched_getaffinity(0))

    def use(number):
        if number > len(cores):
            pytest.skip(f"this machine has {len(cores)} core(s) for the tests")
        os.sched_setaffinity(0, cores[:number])

    yield use
    os.sched_setaffinity(0, before)
