"""What the tests of training share: how many cores there are."""

import os

import pytest


@pytest.fixture
def own_affinity():
    """Give back at the end what cores this process had."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this platform cannot keep a process on some of its cores")
    cores = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture
def one_core(own_affinity):
    """Leave this process one core, as an administrator would: runs are then made in their order."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


@pytest.fixture
def all_cores(own_affinity):
    """Return all cores that this process could have, at least two."""
    os.sched_setaffinity(0, range(os.cpu_count()))
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("this machine has one core for tests")
    return cores
