"""The speed of brenier's parts, and of a fit: `python -m benchmarks.kernels`.

Float64, N = 1024 moons and hidden layers 4 x 32 unless said. What is compared runs alternately;
figures are medians, without compilation.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from benchmarks import counts, data, report
from benchmarks.clock import interleaved
from benchmarks.problems import Problem, chord_step, formed, newton_step
from benchmarks.report import Figure
from benchmarks.rivals import HessQuik, Nested, assert_close, missing_package
from brenier import ConvexPotentialFlow
from brenier.linalg import outer_products, pack
from brenier.program import program
from brenier.varpro.function import ReducedFunction

N = 1024
WIDTHS = (32,) * 4
# Seconds after which threads that PyTorch left spinning are asleep.
IDLE_THREADS = 0.3
LOG_2_PI = float(np.log(2 * np.pi))
# The thesis's best J on moons.
J_THESIS = -1.32
EXAMPLE = Path(__file__).parents[1] / "examples" / "garch11.csv"


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.4g} ms"


def _speedup(what: str, seconds: dict[str, float], rival: str, target: float | None) -> Figure:
    ours, theirs = seconds["brenier"], seconds[rival]
    detail = f"{_milliseconds(theirs)} against {_milliseconds(ours)}"
    return Figure(f"{what}: times faster than {rival}", theirs / ours, target, detail, least=True)


def _thesis_problem() -> Problem:
    """Return the problem that all rivals can compute."""
    X = data.moons(N, 0).train
    return Problem.of(X, WIDTHS, "softplus", "softplus", normalised=False)


def features() -> Iterator[Figure]:
    """Yield how much faster all features' gradients and Hessians are than by other means."""
    with jax.enable_x64(True):
        problem = _thesis_problem()
        X, theta = jnp.asarray(problem.X), problem.theta
        derivatives = program(lambda theta: problem.reduced.features(theta).derivatives(X))
        nested = Nested(problem.features.network, X)
        ours = derivatives(theta)
        G, H = nested.features(theta)
        width, k = problem.features.network.width, problem.features.n_constrained
        assert_close(ours.gradients, jnp.transpose(G, (1, 2, 0)))
        packed_H = jnp.stack([pack(H[:, i]) for i in range(k)])
        assert_close(ours.hessians, packed_H[:width])
        of_axes = ours.shares[:, None] * outer_products(ours.axes[:, :, None])
        assert_close(of_axes, packed_H[width:])
        kernels = {
            "brenier": lambda: derivatives(theta),
            "nested AD": lambda: nested.features(theta),
        }
        missing = missing_package()
        if missing:
            report.say(f"skipped hessQuik: the package {missing} is not installed")
        else:
            rival = HessQuik(problem.features.network, problem.X)
            gradients, hessians = (part.numpy() for part in rival.features())
            assert_close(ours.gradients[:width], np.transpose(gradients[..., :width], (2, 1, 0)))
            full = np.moveaxis(hessians[..., :width], 3, 1)
            assert_close(
                ours.hessians,
                jnp.stack([pack(full[:, i]) for i in range(width)]),
            )
            kernels["hessQuik"] = rival.features
        seconds = interleaved(kernels, pause=IDLE_THREADS)
    what = "features' derivatives"
    if "hessQuik" in seconds:
        yield _speedup(what, seconds, "hessQuik", 300)
    yield _speedup(what, seconds, "nested AD", None)


def gradient() -> Iterator[Figure]:
    """Yield how much faster value and gradient of J in mu are than by other means."""
    with jax.enable_x64(True):
        problem = _thesis_problem()
        theta, sample, w = problem.theta, problem.sample, problem.solution.w
        nested = Nested(problem.features.network, problem.X)
        J, _, gradient, _ = problem.reduced.value_and_gradient(theta, w, sample)
        for ours, theirs in zip((J, gradient), nested.loss_and_gradient(theta, w), strict=True):
            assert_close(ours, theirs)
        kernels = {
            "brenier": lambda: problem.reduced.value_and_gradient(theta, w, sample),
            "nested AD": lambda: nested.loss_and_gradient(theta, w),
        }
        missing = missing_package()
        if missing:
            report.say(f"skipped hessQuik: the package {missing} is not installed")
        else:
            rival = HessQuik(problem.features.network, problem.X)
            for ours, theirs in zip((J, gradient), rival.loss_and_gradient(w), strict=True):
                assert_close(ours, theirs)
            kernels["hessQuik"] = lambda: rival.loss_and_gradient(w)
        seconds = interleaved(kernels, pause=IDLE_THREADS)
    what = "value and gradient"
    if "hessQuik" in seconds:
        yield _speedup(what, seconds, "hessQuik", 300)
    yield _speedup(what, seconds, "nested AD", 3)


def limit() -> Iterator[Figure]:
    """Yield the time of value and gradient over that of their arithmetic at the machine's rates.

    The limit is that of matrix products and activations alone; the rate of the former is measured
    at the kernel's own shapes, all N rows at once, and at a large square one for comparison.
    """
    with jax.enable_x64(True):
        problem = Problem.of(data.moons(N, 0).train, WIDTHS)
        theta, sample, w = problem.theta, problem.sample, problem.solution.w
        rng = np.random.default_rng(0)
        n, width, side = 2, WIDTHS[0], 1024
        tall = jnp.asarray(rng.normal(size=((n + 2) * N, width)))
        small = jnp.asarray(rng.normal(size=(width, width)))
        square = jnp.asarray(rng.normal(size=(side, side)))
        units = jnp.asarray(rng.normal(size=(N, sum(WIDTHS))))
        product = jax.jit(jnp.matmul)
        activation = jax.jit(problem.features.network.activation.jet)
        seconds = interleaved(
            {
                "gradient": lambda: problem.reduced.value_and_gradient(theta, w, sample),
                "at these shapes": lambda: product(tall, small),
                "square": lambda: product(square, square),
                "activations": lambda: activation(units),
            }
        )
    rates = {
        "at these shapes": 2 * tall.size * width / seconds["at these shapes"],
        "square": 2 * side**3 / seconds["square"],
    }
    evaluations = counts.activations(N, WIDTHS)
    transcendental = evaluations * seconds["activations"] / units.size
    for shape, target in (("at these shapes", 3.0), ("square", None)):
        products = counts.gradient_products(N, n, WIDTHS) / rates[shape]
        yield Figure(
            f"value and gradient / arithmetic limit ({shape})",
            seconds["gradient"] / (products + transcendental),
            target,
            f"{_milliseconds(seconds['gradient'])}; products {_milliseconds(products)} at "
            f"{1e-9 * rates[shape]:.3g} Gflop/s, {evaluations} activations "
            f"{_milliseconds(transcendental)}",
        )


def _trajectory(problem: Problem, iterations: int) -> list[np.ndarray]:
    """Return every point at which L-BFGS evaluates the reduced objective."""
    function, points = _reduced(problem), []

    def value_and_gradient(x):
        points.append(x.copy())
        return function(x)

    bounds = [(low, np.inf) for low in function.lower]
    minimize(
        value_and_gradient,
        np.asarray(problem.theta),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": iterations, "maxcor": 20},
    )
    return points


def _reduced(problem: Problem) -> ReducedFunction:
    return ReducedFunction(problem.reduced, problem.sample, problem.cold, len(problem.X))


def outer() -> Iterator[Figure]:
    """Yield the time of outer evaluations along a run over that of their parts.

    The parts: features with their second moment; the steps with a Hessian of their own, each with
    its derivatives and its factorisation; the steps without one; the gradient.
    """
    with jax.enable_x64(True):
        problem = Problem.of(data.moons(N, 0).train, WIDTHS)
        points = _trajectory(problem, iterations=40)
        function = _reduced(problem)
        function.evaluate(points[0])
        sample = problem.sample
        whole, parts = [], []
        for x in points[1:]:
            start = time.perf_counter()
            w = jnp.asarray(function.evaluate(x).w)
            whole.append(time.perf_counter() - start)
            theta, counters = jnp.asarray(x), function.counters
            newton_steps, chord_steps = counters.newton_steps[-1], counters.chord_steps[-1]
            objective = formed(problem.reduced, theta, sample)
            seconds = interleaved(
                {
                    "features": lambda theta=theta: formed(problem.reduced, theta, sample),
                    "step": lambda objective=objective, w=w: newton_step(objective, w),
                    "chord": lambda objective=objective, w=w: chord_step(objective, w),
                    "gradient": lambda theta=theta, w=w: problem.reduced.value_and_gradient(
                        theta, w, sample
                    ),
                },
                rounds=1,
            )
            parts.append(
                [
                    seconds["features"],
                    newton_steps * seconds["step"],
                    chord_steps * seconds["chord"],
                    seconds["gradient"],
                ]
            )
    shares = np.median(parts, axis=0)
    names = ("features", "Newton steps", "chord steps", "gradient")
    yield Figure(
        "outer evaluation over the sum of its parts",
        float(np.median(whole) / np.median(np.sum(parts, axis=1))),
        1.15,
        f"{_milliseconds(np.median(whole))}, {len(whole)} evaluations; "
        + ", ".join(f"{name} {_milliseconds(t)}" for name, t in zip(names, shares, strict=True)),
    )


def moons() -> Iterator[Figure]:
    """Yield the inner steps of a default fit, and when it passes the thesis's J.

    The second of two fits in one process is timed: nothing is left to compile.
    """
    rows = data.moons(N, 0)
    _, first = _fit(rows)
    flow, passed = _fit(rows)
    hessians = np.array(flow.report_.newton_steps)
    steps = hessians + np.array(flow.report_.chord_steps)
    yield Figure(
        "default fit to moons: warm inner steps per evaluation",
        float(steps[1:].mean()),
        3,
        f"{hessians[1:].mean():.2f} with a Hessian of their own; {len(steps)} evaluations, best "
        f"run, at most {steps[1:].max()}",
    )
    yield Figure(
        f"default fit to moons: seconds to J = {J_THESIS} on validation",
        passed,
        2,
        f"second fit, all runs counted; first fit {first:.3g} s with compilation",
    )


def _fit(rows: data.Split) -> tuple[ConvexPotentialFlow, float]:
    """Return a default fit and after how many seconds it passed the thesis's J."""
    passed = []

    def watch(progress):
        if -progress.heldout_log_likelihood - LOG_2_PI <= J_THESIS:
            passed.append(progress.seconds)

    flow = ConvexPotentialFlow().fit(rows.train, validation_data=rows.valid, callback=watch)
    return flow, passed[0] if passed else float("inf")


def command() -> Iterator[Figure]:
    """Yield the wall time of `brenier fit` on 2000 rows of 4 columns, twice over.

    The first run has an empty cache of compiled programs, as after an install.
    """
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.csv"
        table.write_text("".join(EXAMPLE.read_text().splitlines(keepends=True)[:2001]))
        seconds = command_seconds(table, Path(folder), runs=2)
    yield Figure("`brenier fit`, 2000 x 4, empty cache: seconds", seconds[0])
    yield Figure("`brenier fit`, 2000 x 4, second run: seconds", seconds[1], 10.0)


def command_seconds(table: Path, folder: Path, runs: int) -> list[float]:
    """Return the wall times of `brenier fit TABLE`, the first with an empty cache of programs."""
    environment = {**os.environ, "BRENIER_CACHE": str(folder / "programs")}
    fit = [sys.executable, "-m", "brenier", "fit", table, "-o", folder / "table.brenier"]
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(fit, check=True, capture_output=True, env=environment)
        seconds.append(time.perf_counter() - start)
    return seconds


PARTS: dict[str, report.Part] = {
    "features": features,
    "gradient": gradient,
    "limit": limit,
    "outer": outer,
    "moons": moons,
    "command": command,
}


def run(folder: Path = report.RESULTS) -> None:
    """Measure all parts, print their figures and keep them in `folder`."""
    report.measure("kernels", PARTS, folder)


def main() -> None:
    """Measure the parts that are asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}")
    wanted = parser.parse_args().parts or PARTS
    warnings.simplefilter("ignore")
    report.measure("kernels", {name: PARTS[name] for name in wanted})


if __name__ == "__main__":
    main()
