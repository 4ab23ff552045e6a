"""What the tests of training share: how many cores there are."""

import os

import pytest


@pytest.fixture
def one_core():
    """Leave this process one core, as an administrator would: runs are then made in their order."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this platform cannot keep a process on some of its cores")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield
    os.sched_setaffinity(0, cores)
