"""What several test files share."""

import gc
from pathlib import Path

import jax
import pytest

# Every compiled program takes memory mappings, of which Linux gives a process 65,530: past that
# the compiler crashes. With this many in use, the programs of the files done so far are dropped.
MANY_MAPPINGS = 20_000


@pytest.fixture(scope="module")
def x64():
    """Double precision for a whole file; the library never sets the global flag."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def programs_for_once():
    """For a file that runs its programs a few times: they are compiled without optimisation."""
    jax.config.update("jax_disable_most_optimizations", val=True)
    yield
    jax.config.update("jax_disable_most_optimizations", val=False)


@pytest.fixture(scope="module", autouse=True)
def room_for_programs():
    """Leave the next file room for the programs that it compiles."""
    yield
    if n_mappings() > MANY_MAPPINGS:
        jax.clear_caches()
        gc.collect()


def n_mappings():
    """Return how many memory mappings this process has; 0 where that is not known."""
    try:
        return Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:
        return 0
