"""BLAS with one thread while fits go on, and with what it had when the last one ends."""

import os
import subprocess
import sys

import pytest

# In processes of their own, in which nobody else has set anything, with two threads for BLAS.
BEGIN = """
import os, threading, warnings
if hasattr(os, "sched_setaffinity"):
    # pytest's workers have a core each.
    os.sched_setaffinity(0, range(os.cpu_count()))
import numpy as np
from threadpoolctl import threadpool_info
from brenier.training.blas import SharedLimit

def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

def say(*words):
    print(*words, sorted(blas_threads()), flush=True)

say("before")
"""
OVERLAP = """
limit = SharedLimit()
inside, leave = threading.Event(), threading.Event()

def other():
    with limit.held():
        inside.set()
        leave.wait(20)

thread = threading.Thread(target=other)
with limit.held():
    thread.start()
    inside.wait(20)
    say("both")
say("other")
leave.set()
thread.join()
say("none")
try:
    with limit.held():
        say("again")
        raise ValueError
except ValueError:
    say("none")
"""
FITS = """
from brenier import ConvexPotentialFlow
warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(60, 2))
both, found = threading.Barrier(2, timeout=60), []

def fit(max_iter):
    def callback(progress):
        if progress.iteration == 1:
            found.append(blas_threads())
            both.wait()

    small = dict(widths=(4,), n_estimators=1, decay=1e-3, n_radial=0, noise=0.0)
    ConvexPotentialFlow(**small, max_iter=max_iter).fit(X, callback=callback)

threads = [threading.Thread(target=fit, args=(n,)) for n in (10, 200)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("within", *found)
say("after")
"""


several_cores = pytest.mark.skipif(os.cpu_count() == 1, reason="BLAS has one thread anyway.")


def said(script):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    environment |= {"MKL_NUM_THREADS": "2"}
    run = subprocess.run(
        [sys.executable, "-c", BEGIN + script],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return run.stdout.splitlines()


@several_cores
def test_the_last_to_leave_restores_what_there_was():
    before, *rest = said(OVERLAP)
    had = before.removeprefix("before ")
    expected = ["both [1]", "other [1]", f"none {had}", "again [1]", f"none {had}"]
    assert rest == expected


@several_cores
def test_fits_that_overlap_leave_blas_as_it_was():
    before, within, after = said(FITS)
    assert within == "within {1} {1}"
    assert after == before.replace("before", "after")
