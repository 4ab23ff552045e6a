"""What several test files share: two workers with a core each, and one cache of compiled programs.

Compilation is most of what the tests cost. Every program is compiled once, whichever worker needs
it first, and kept in pytest's own cache folder; and it is compiled without XLA's costly
optimisations and without its newer emitters of fused loops, with which compilation takes more than
three times as long. Their gain in a program's speed is little for programs that run for
milliseconds. (The README's example runs in a process that compiles as users do.)

Neither JAX nor the package is imported here: the process that only hands out the tests starts the
workers seconds earlier without.
"""

import gc
import os

# A worker has one core: of several threads in scikit-learn, all but one only wait. Libraries read
# it when they are loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import subprocess
import sys
from pathlib import Path

import pytest

# Every compiled program takes memory mappings, of which Linux gives a process 65,530: past that
# the compiler crashes; and with every five of them a megabyte of memory. With this many in use, the
# programs of the files done so far are dropped.
MANY_MAPPINGS = 8_000
# Objects made between two collections of garbage.
GARBAGE = 200_000
TESTS = Path(__file__).parent
# Folders whose files share what takes longest to make.
ONE_WORKER = ("plots", "reproduce")
JAX_SETTINGS = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
}
# Giving memory back to the system and asking for it again is some 6 % of what a file of fits takes.
# glibc reads these when a process starts: a worker, or one that a worker starts.
MALLOC_SETTINGS = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
    "MALLOC_TOP_PAD_": str(1 << 24),
}
# XLA reads them when the first program is compiled.
XLA_FLAGS = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"


def pytest_configure(config):
    """Name the cache of compiled programs to this process and to those that it starts."""
    folder = str(config.cache.mkdir("compiled"))
    # Tests change the package's numbers and functions, which a kept program would not know.
    os.environ["BRENIER_CACHE"] = "off"
    for name, value in {"JAX_COMPILATION_CACHE_DIR": folder, **JAX_SETTINGS}.items():
        said = os.environ.setdefault(name, value)
        # It does not read its environment twice.
        if "jax" in sys.modules:
            sys.modules["jax"].config.update(name.lower(), _number(said))
    for name, value in MALLOC_SETTINGS.items():
        os.environ.setdefault(name, value)
    # Workers find the first process's answer in their environment.
    if "XLA_FLAGS" not in os.environ:
        os.environ["XLA_FLAGS"] = XLA_FLAGS if _is_known_to_xla(XLA_FLAGS) else ""
    _keep_to_one_core(os.environ.get("PYTEST_XDIST_WORKER"))
    # Tracing makes objects by the million and hardly any cycles. Looked for as often as by default,
    # these cost some 7 % of a file's time.
    gc.set_threshold(GARBAGE)


# Before xdist reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Keep a file's tests on one worker, and a whole folder's where they look at the same fits."""
    for item in items:
        folder = item.path.parent
        group = folder.name if folder.name in ONE_WORKER else str(item.path.relative_to(TESTS))
        item.add_marker(pytest.mark.xdist_group(group))


def _is_known_to_xla(flags):
    """Return whether this jaxlib has the flags: XLA ends the process at one that it has not."""
    run = subprocess.run(
        [sys.executable, "-c", "import jax; jax.numpy.zeros(1)"],
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        check=False,
    )
    return run.returncode == 0


def _number(text):
    """Return what JAX takes in place of the text of an environment's variable."""
    return int(text) if text.lstrip("-").isdigit() else text


def _keep_to_one_core(worker):
    """Give each worker a core of its own, so that their threads do not wait for each other."""
    if worker is None or not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


@pytest.fixture(scope="module")
def x64():
    """Double precision for a whole file; the library never sets the global flag."""
    import jax

    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def few_mixtures():
    """Gaussian mixtures of few sizes in a whole file's pools."""
    from small_fits import FEW_MIXTURES, other_defaults

    with other_defaults(**FEW_MIXTURES):
        yield


@pytest.fixture(scope="module", autouse=True)
def room_for_programs():
    """Leave the next file room for the programs that it compiles."""
    yield
    if n_mappings() > MANY_MAPPINGS:
        import jax

        from brenier.program.call import HELD

        HELD.programs.clear()
        jax.clear_caches()
        gc.collect()


def n_mappings():
    """Return how many memory mappings this process has; 0 where that is not known."""
    try:
        return Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:
        return 0
