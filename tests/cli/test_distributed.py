"""Several processes make one fit: the one that a single process makes; all end together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest
import small_problem
from terminal import TIMEOUT, done

import brenier
from brenier.varpro.parameters import to_vector

TESTS = Path(__file__).parents[1]
# Of J, its gradient and its Hessian, relative; of held-out rows after some iterations, in nats.
AGREEMENT, AFTER_ITERATIONS = 1e-12, 1e-6
# So long after one of them the others have ended (seconds).
TOGETHER = 120
FEW = "--widths 3 --n-radial 0 --noise 0 --decay 0.001 --n-estimators 1 --max-iter 30 --quiet"
# Values at a point, of which processes hold a part of the rows each; then one of them is killed.
SCRIPT = """
import os, signal, sys
import jax
import numpy as np
from cli.test_distributed import values
from brenier.program.processes import Place, join, native_output_dropped

port, number, path, dies = sys.argv[1:]
processes = join(Place("127.0.0.1", int(port), int(number), 2), {})
with native_output_dropped(["stdout", "stderr"]), jax.enable_x64(True):
    processes.begin()
    np.savez(path, **values(jax.device_count()))
    while True:
        # What the other process has its part in, so it has written its file.
        values(jax.device_count())
        if number == dies:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def values(n_devices):
    """Return J, its gradient and its Hessian at a point, and how many rows are held here."""
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(900, 2)), rng.uniform(0.5, 2.0, size=900)
    problem = replace(small_problem.problem(), n_devices=n_devices)
    theta = to_vector(small_problem.network("bounds"))
    w = np.array([0.1, 0.1, 0.1, 1.0, 1.0, 0.0, 0.0])
    sample = problem.sample(X, weights)
    slope = problem.value_and_gradient(theta, w, sample)
    return {
        "held": sum(np.count_nonzero(shard.data) for shard in sample.omega.addressable_shards),
        "J": slope.loss,
        "gradient": slope.gradient,
        "hessian": problem.inner_factor(theta, w, sample),
    }


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def start(command, devices=1):
    """Begin a process that has so many devices."""
    others = [
        flag for flag in os.environ.get("XLA_FLAGS", "").split() if "device_count" not in flag
    ]
    flags = " ".join([*others, f"--xla_force_host_platform_device_count={devices}"])
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "XLA_FLAGS": flags, "PYTHONUNBUFFERED": "1"},
        cwd=TESTS,
    )


def ended(commands, devices=1, timeout=TIMEOUT):
    """Return what processes end with that begin together: codes, outputs, errors."""
    begun = [start(command, devices) for command in commands]
    try:
        said = [one.communicate(timeout=timeout) for one in begun]
    finally:
        for one in begun:
            one.kill()
    return [(one.returncode, *texts) for one, texts in zip(begun, said, strict=True)]


def fit_commands(data, output, count, *more):
    port = free_port()
    where = ["--distributed", "--coordinator", f"127.0.0.1:{port}", "--num-processes", count]
    common = ["-m", "brenier", "fit", data, "-o", output, *FEW.split(), *where, *more]
    return [[*common, "--process-id", number] for number in range(count)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    X = np.random.default_rng(0).normal(size=(400, 2))
    X[:, 1] += X[:, 0] ** 2
    path = tmp_path_factory.mktemp("distributed") / "rows.parquet"
    pl.DataFrame(X, schema=["a", "b"]).write_parquet(path, row_group_size=50)
    return path


def test_two_processes_make_the_model_that_one_makes(data, tmp_path):
    several, one = tmp_path / "several.brenier", tmp_path / "one.brenier"
    few = ("--max-rows", 300, "--json")
    (code, out, _), (other, *said) = ended(fit_commands(data, several, 2, *few))
    assert (code, other) == (0, 0)
    # The others are quiet.
    assert said == ["", ""]
    alone = json.loads(done("fit", data, "-o", one, *FEW.split(), "--devices", 1, *few).stdout)
    report = json.loads(out)
    assert (report["rows"], report["rows_read"]) == (300, 400)
    names = ("heldout_log_likelihood", "train_log_likelihood")
    for name in names:
        assert abs(report[name] - alone[name]) <= AFTER_ITERATIONS
    X = pl.read_parquet(data)
    difference = brenier.load(several).score(X) - brenier.load(one).score(X)
    assert abs(difference) <= AFTER_ITERATIONS


def test_each_holds_its_part_and_none_outlives_the_first(tmp_path):
    dies = 0
    port, paths = free_port(), [tmp_path / f"{number}.npz" for number in range(2)]
    commands = [["-c", SCRIPT, port, number, paths[number], dies] for number in range(2)]
    found = ended(commands, devices=2, timeout=TOGETHER)
    assert found[dies][0] == -signal.SIGKILL
    code, _, error = found[1 - dies]
    assert code not in (0, -signal.SIGKILL)
    assert f"Error: process {dies} of 2 is gone" in error
    with jax.enable_x64(True):
        one = values(1)
    with np.load(paths[0]) as a, np.load(paths[1]) as b:
        assert a["held"] + b["held"] == one["held"] == 900
        for name in ("J", "gradient", "hessian"):
            np.testing.assert_array_equal(a[name], b[name])
            assert np.max(np.abs(a[name] - one[name])) <= AGREEMENT * np.max(np.abs(one[name]))


def test_after_one_was_killed_they_go_on_from_the_checkpoint_of_the_first(data, tmp_path):
    path, model, whole = tmp_path / "fit.checkpoint", tmp_path / "a", tmp_path / "b"
    commands = fit_commands(data, model, 2, "--checkpoint", path, "--json")
    first, second = (start(command) for command in commands)
    while not path.exists() or path.stat().st_size < 20_000:
        assert first.poll() is None
        time.sleep(0.005)
    second.kill()
    _, error = first.communicate(timeout=TOGETHER)
    second.communicate()
    assert first.returncode not in (0, -signal.SIGKILL)
    assert "Error: process 1 of 2 is gone" in error
    assert not model.exists()
    killed = path.stat().st_size
    (code, out, _), _ = ended(fit_commands(data, model, 2, "--from", path, "--json"))
    assert code == 0
    assert path.stat().st_size > killed
    undisturbed = done("fit", data, "-o", whole, *FEW.split(), "--devices", 1, "--json").stdout
    name = "heldout_log_likelihood"
    assert abs(json.loads(out)[name] - json.loads(undisturbed)[name]) <= AFTER_ITERATIONS


def test_what_is_wrong_is_said_once_by_each(data, tmp_path):
    model = tmp_path / "model.brenier"
    single = tmp_path / "single.parquet"
    pl.read_parquet(data).write_parquet(single)
    commands = fit_commands(single, model, 2)
    for code, out, error in ended(commands):
        assert (code, out) == (1, "")
        assert error.count("Error: ") == 1
        assert "Expected 2 row groups or more" in error
    assert not model.exists()
