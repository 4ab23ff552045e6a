"""Processes forked from one that has used programs: an error, where they would wait for ever."""

import multiprocessing
import os
import subprocess
import sys

import pytest

from brenier.program.process import Owner

# Fits in the parent, then does what it is told in a forked child.
SCRIPT = """
import multiprocessing, sys, warnings
import numpy as np
from brenier import ConvexPotentialFlow
warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(40, 2))
small = dict(widths=(2,), n_estimators=1, decay=1e-3, n_radial=0, max_iter=2, noise=0.0)
flow = ConvexPotentialFlow(**small)

def child(call):
    try:
        call(X)
    except RuntimeError as error:
        print(error, flush=True)

{before}
for call in ({calls},):
    process = multiprocessing.get_context("fork").Process(target=child, args=(call,))
    process.start()
    process.join(60)
    process.kill()
    print("ended with", process.exitcode)
"""
can_fork = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="This system has no fork."
)


def run(calls, before):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(calls=calls, before=before)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout


@can_fork
def test_a_forked_process_says_what_to_do():
    calls = ("flow.fit", "flow.score_samples", "lambda X: flow.sample(3)")
    said = run(", ".join(calls), "flow.fit(X)").splitlines()
    assert len(said) == 2 * len(calls)
    assert all("multiprocessing.get_context('spawn')" in line for line in said[::2])
    assert said[1::2] == ["ended with 0"] * len(calls)


@can_fork
def test_one_forked_before_the_first_use_fits():
    assert run("flow.fit", "") == "ended with 0\n"


def test_the_first_process_owns_the_programs():
    owner = Owner()
    owner.check()
    owner.check()
    assert owner.pid == os.getpid()
    with pytest.raises(RuntimeError, match="spawn"):
        Owner(owner.pid + 1).check()
