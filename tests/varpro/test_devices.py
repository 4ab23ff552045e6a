"""Rows shared over devices: each holds its own, and their number changes nothing but rounding."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from brenier import devices

TESTS = Path(__file__).parents[1]
# Of J, its gradient and its Hessian, relative; of held-out rows after some iterations, in nats.
AGREEMENT, AFTER_ITERATIONS = 1e-12, 1e-6
COUNTS, N, N_ITER = (1, 2, 8), 900, 30
SCRIPT = f"""
import sys
import jax
import numpy as np
import small_problem
from dataclasses import replace
import brenier
from brenier.inner.solution import WarmStart
from brenier.varpro.parameters import to_vector
from brenier.varpro.sample import SharedSample

def held(sample):
    # Rows that count of every device, in the order of devices.
    shards = sorted(sample.omega.addressable_shards, key=lambda shard: shard.device.id)
    return [int(np.count_nonzero(shard.data)) for shard in shards]

rng = np.random.default_rng(0)
X, weights = rng.normal(size=({N}, 2)) @ [[1.0, 0.3], [0.0, 0.8]], rng.uniform(0.5, 2.0, size={N})
theta = to_vector(small_problem.network("bounds"))
w = np.array([0.1, 0.1, 0.1, 1.0, 1.0, 0.0, 0.0])
found = {{}}
for n in {COUNTS}:
    with jax.enable_x64(True):
        problem = replace(small_problem.problem(), n_devices=n)
        whole = problem.sample(X, weights)
        # In two chunks a segment, whose features are formed anew.
        chunked = SharedSample.of(np.tile(X, (2, 1)), np.tile(weights, 2), 1024, n)
        found[f"held {{n}}"] = held(whole)
        found[f"shape {{n}}"] = chunked.X.shape
        found[f"rows {{n}}"] = whole.rows()[0]
        for name, sample in (("whole", whole), ("chunked", chunked)):
            slope = problem.value_and_gradient(theta, w, sample)
            found[f"J {{n}} {{name}}"] = [slope.loss, slope.value, problem.loss(theta, w, sample)]
            found[f"gradient {{n}} {{name}}"] = slope.gradient
            found[f"Hessian {{n}} {{name}}"] = problem.inner_factor(theta, w, sample)
            # The inner solve stops at a tolerance: its last point is where rounding shows most.
            solution = problem.solve(theta, sample, WarmStart.cold(w))
            found[f"w {{n}} {{name}}"] = solution.w
    settings = dict(widths=(3,), n_radial=0, noise=0.0, decay=1e-3, n_estimators=1, tol=0.0)
    flow = brenier.ConvexPotentialFlow(**settings, judge_fraction=0.0, max_iter={N_ITER})
    with brenier.devices(n):
        flow.fit(X**3, validation_data=X[:200] ** 3 + 0.01)
    found[f"iterations {{n}}"] = flow.n_iter_
    found[f"score {{n}}"] = flow.score(X[:200] ** 3 + 0.01)
np.savez(sys.argv[1], **found)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return what 1, 2 and 8 devices make of the same rows, in a process that has eight."""
    path = tmp_path_factory.mktemp("devices") / "found.npz"
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(path)],
        check=True,
        timeout=300,
        env={**os.environ, "XLA_FLAGS": flags},
        cwd=TESTS,
    )
    with np.load(path) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("n", COUNTS)
def test_each_device_holds_its_own_rows_only(found, n):
    own = found[f"held {n}"]
    assert len(own) == n
    assert own.sum() == N
    assert own.max() - own.min() <= 8 // n
    # The process has all of them; elsewhere nothing is held.
    assert found[f"rows {n}"].shape == (N, 2)


@pytest.mark.parametrize("chunks", ["whole", "chunked"])
@pytest.mark.parametrize("n", COUNTS[1:])
def test_value_gradient_and_hessian_do_not_depend_on_the_number_of_devices(found, n, chunks):
    assert found["shape 1"].tolist() == [8, 2, 128, 2]
    for name in ("J", "gradient", "Hessian", "w"):
        of_one, of_several = found[f"{name} 1 {chunks}"], found[f"{name} {n} {chunks}"]
        assert np.max(np.abs(of_several - of_one)) <= AGREEMENT * np.max(np.abs(of_one)), name


@pytest.mark.parametrize("n", COUNTS[1:])
def test_nor_does_a_fit(found, n):
    assert found["iterations 1"] == found[f"iterations {n}"] == N_ITER
    assert abs(found[f"score {n}"] - found["score 1"]) <= AFTER_ITERATIONS


@pytest.mark.parametrize(("asked", "message"), [(3, "one of 1, 2, 4, 8; got 3"), (8, "at most 1,")])
def test_devices_that_there_are_not_are_refused(asked, message):
    with pytest.raises(ValueError, match=message), devices(asked):
        pass
