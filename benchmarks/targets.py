"""The numbers that the main job must reach, measured: `python -m benchmarks.targets`.

Prints what was asked, what was measured, and whether it is enough; keeps all of it as JSON, and
there the figures of parts that are not measured this time.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import cvxpy as cp
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import data, report
from benchmarks.kernels import EXAMPLE, command_seconds
from benchmarks.report import Figure
from brenier import ConvexPotentialFlow
from brenier.arrays import FeatureDerivatives
from brenier.data.datasets import Moons
from brenier.inner.objective import DenseObjective
from brenier.inner.primal_dual import PrimalDual
from brenier.inner.solution import WarmStart
from brenier.linalg import outer_products
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.head import SeparableFeatures
from brenier.potential.initialise import initial_network
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.training.settings import Settings

LOG_2_PI = float(np.log(2 * np.pi))
# Highest test NLL (nats, 2 pi included) in coordinates whitened by the training rows.
NLL_TARGETS = {"garch11": 5.45, "lotka_volterra": 10.74, "gp_regr": 4.17}
NEAR_GAUSSIAN = ("low_dim_gauss_mix", "arma11")


def moons(seeds: int) -> Iterator[Figure]:
    """Yield J, KL gap and seconds on moons, with and without rows to stop on."""
    for told, J_target, gap_target in ((True, -1.42, 0.13), (False, None, None)):
        J, gap, seconds = np.array([_moons_fit(seed, told=told) for seed in range(seeds)]).T
        how = "5000 validation rows" if told else "rows split off"
        spread = f"+- {J.std():.3f} over {seeds} seeds"
        yield Figure(f"moons N = 1024, {how}: test J", float(J.mean()), J_target, spread)
        yield Figure(f"moons N = 1024, {how}: KL gap", float(gap.mean()), gap_target)
        yield Figure(
            f"moons N = 1024, {how}: seconds a fit (median)",
            float(np.median(seconds)),
            30.0 if told else None,
            f"first, with compilation: {seconds[0]:.1f}",
        )


def _moons_fit(seed: int, *, told: bool) -> tuple[float, float, float]:
    rows = data.moons(1024, seed)
    flow = ConvexPotentialFlow(random_state=seed)
    start = time.perf_counter()
    flow.fit(rows.train, validation_data=rows.valid if told else None)
    seconds = time.perf_counter() - start
    log_density = flow.score_samples(rows.test)
    gap = float(np.mean(Moons().log_density(rows.test) - log_density))
    return -float(log_density.mean()) - LOG_2_PI, gap, seconds


def posteriors() -> Iterator[Figure]:
    """Yield the test NLL on posterior draws, in whitened coordinates."""
    for name, target in NLL_TARGETS.items():
        nll, gaussian, flow = _posterior_fit(name)
        yield Figure(f"{name}: test NLL", nll, target, f"Gaussian {gaussian:.3f}, {_time(flow)}")
    for name in NEAR_GAUSSIAN:
        nll, gaussian, flow = _posterior_fit(name)
        yield Figure(f"{name}: test NLL above the Gaussian's", nll - gaussian, 0.01, _time(flow))


def _posterior_fit(name: str) -> tuple[float, float, ConvexPotentialFlow]:
    rows = data.posterior(name)
    flow = ConvexPotentialFlow().fit(rows.train, validation_data=rows.valid)
    return -flow.score(rows.test), -float(flow.baseline_score_samples(rows.test).mean()), flow


def _time(flow: ConvexPotentialFlow) -> str:
    return f"{flow.report_.seconds['total']:.1f} s"


def inner() -> Iterator[Figure]:
    """Yield Newton steps from cold at the thesis's size, and the distance to a conic solver."""
    tau = 1e-4
    with jax.enable_x64(True):
        X = data.moons(1024, 0).train
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        network = initial_network(
            X,
            (32,) * 4,
            ACTIVATIONS["softplus"],
            NONNEGATIVITY["bounds"],
            np.random.default_rng(0),
            spread=Settings().kink_spread,
        )
        derivatives = SeparableFeatures(network, np.eye(2)).derivatives(jnp.asarray(X))
        omega = jnp.full(len(X), 1.0 / len(X))
        lower = np.concatenate([np.zeros(32), np.full(2, 1e-2), np.full(2, -np.inf)])
        start = np.concatenate([np.full(32, 0.1 / 32), np.ones(2), np.zeros(2)])
        objective = DenseObjective.of_rows(derivatives, omega, jnp.zeros(len(lower)))
        solver = PrimalDual(tau=tau)
        solution = solver.solve(objective, jnp.asarray(lower), WarmStart.cold(start))
        w = np.asarray(solution.w)
        constrained = np.isfinite(lower)
        barrier = -tau * np.sum(np.log(w - np.where(constrained, lower, 0.0))[constrained])
        ours = float(objective.evaluate(solution.w, with_hessian=False).value) + barrier
        M, H = np.asarray(objective.M), _hessians(derivatives)
    conic = _conic(M, H, lower, tau)
    yield Figure("inner solver from cold, 4 x 32, N = 1024: steps", int(solution.newton_steps), 12)
    yield Figure("... |J_tau - conic solver's|", abs(ours - conic), 1e-6, f"J_tau = {ours:.9f}")


def _hessians(features: FeatureDerivatives) -> np.ndarray:
    """Return the packed Hessians of all features that have any."""
    of_axes = features.shares[:, None] * outer_products(features.axes[:, :, None])
    return np.transpose(np.concatenate([features.hessians, of_axes]), (1, 2, 0))


def _conic(M: np.ndarray, H: np.ndarray, lower: np.ndarray, tau: float) -> float:
    """Return min J_tau for n = 2 by a conic solver: det A = u c with u <= a - b^2 / c."""
    N, k = H.shape[1:]
    w, u = cp.Variable(len(lower)), cp.Variable(N)
    a, b, c = (H[entry] @ w[:k] for entry in range(3))
    rotated = cp.SOC(a - u + c, cp.vstack([2 * b, a - u - c]), axis=0)
    slack = w[:k] - lower[:k]
    root = np.linalg.cholesky(M + 1e-15 * np.eye(len(M))).T
    J = 0.5 * cp.sum_squares(root @ w) - cp.sum(cp.log(u) + cp.log(c)) / N
    problem = cp.Problem(cp.Minimize(J - tau * cp.sum(cp.log(slack))), [rotated])
    accurate = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-10)
    return float(problem.solve(solver=cp.CLARABEL, **accurate))


def flow_laws() -> Iterator[Figure]:
    """Yield the round trip's error and the density's integral, on a fit to moons."""
    flow = ConvexPotentialFlow().fit(data.moons(1024, 0).train)
    Z = np.random.default_rng(0).normal(size=(10_000, 2))
    X, inversion = flow.invert(Z)
    error = float(np.max(np.abs(flow.transform(X) - Z)))
    yield Figure("round trip of 10,000 points: largest error", error, 1e-8)
    unconverged = 100.0 * float(np.mean(~inversion.converged))
    yield Figure("... rows not converged (%)", unconverged, 0.0)
    x, y = np.linspace(-3.5, 4.5, 1600), np.linspace(-3.5, 3.5, 1400)
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    mass = np.sum(np.exp(flow.score_samples(points))) * (x[1] - x[0]) * (y[1] - y[0])
    yield Figure("density on a fine grid: |integral - 1|", abs(float(mass) - 1.0), 1e-3)


def start_up() -> Iterator[Figure]:
    """Yield the wall time of `brenier --help`."""
    command, seconds = [sys.executable, "-m", "brenier", "--help"], []
    for _ in range(6):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    yield Figure(
        "import and `brenier --help`: seconds (median of 5)", float(np.median(seconds[1:])), 1.0
    )


def command() -> Iterator[Figure]:
    """Yield the wall time of the README's first command, with an empty cache and again."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = command_seconds(EXAMPLE, Path(folder), runs=2)
    yield Figure("`brenier fit examples/garch11.csv`, empty cache: seconds", first)
    yield Figure("... second run: seconds", second)


PARTS: dict[str, Callable[..., Iterator[Figure]]] = {
    "start-up": start_up,
    "command": command,
    "inner": inner,
    "flow": flow_laws,
    "moons": moons,
    "posteriors": posteriors,
}


def main() -> None:
    """Measure the parts that are asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    report.say(" ".join(f"{key}={value}" for key, value in report.machine().items()))
    figures = []
    for name in arguments.parts or PARTS:
        if name == "posteriors" and not data.POSTERIORS.is_dir():
            report.say(f"skipped posteriors: no data at {data.POSTERIORS}")
            continue
        for figure in PARTS[name](arguments.seeds) if name == "moons" else PARTS[name]():
            figures.append(figure)
            report.say(str(figure))
    report.say(f"Figures written to {report.keep('targets', figures)}")


if __name__ == "__main__":
    main()
