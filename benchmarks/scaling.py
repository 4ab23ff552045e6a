"""How time and memory grow with rows and columns: `python -m benchmarks.scaling`."""

import argparse
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import counts, report
from benchmarks.clock import interleaved
from benchmarks.memory import peak_mib
from benchmarks.problems import Problem, derivatives, formed, newton_step
from benchmarks.report import Figure
from brenier import ConvexPotentialFlow
from brenier.inner.solution import InnerSolution

WIDTHS = (32, 32)
ROWS = (10_000, 30_000, 100_000, 300_000, 1_000_000)
# Those of which Hessians are found entry by entry, as operations are counted; of more,
# `benchmarks/wide.py`.
COLUMNS = (2, 4, 8, 16)
ROWS_OF_COLUMNS = 2000
GIGABYTE = 1e9
# Blue, vermilion, green: told apart in any colour vision.
COLOURS = {"features": "#0072B2", "Newton step": "#D55E00", "value and gradient": "#009E73"}
MARKERS = {"features": "o", "Newton step": "s", "value and gradient": "^"}


def curved_rows(N: int, n: int) -> np.ndarray:
    """Return rows whose first column bends with the second."""
    X = np.random.default_rng(0).normal(size=(N, n))
    X[:, 0] += 0.5 * X[:, 1] ** 2
    return X


class OuterEvaluation:
    """One outer evaluation near a solved one, as in a run: inner solve and gradient."""

    def __init__(self, problem: Problem):
        theta = np.asarray(problem.theta)
        step = 1e-3 * np.random.default_rng(1).normal(size=theta.shape)
        self.theta = jnp.asarray(theta * (1.0 + step))
        self.problem, self.warm = problem, problem.solution.start

    def __call__(self) -> tuple[InnerSolution, jax.Array]:
        """Return the inner solution and the gradient in mu."""
        reduced, sample = self.problem.reduced, self.problem.sample
        solution = reduced.solve(self.theta, sample, self.warm)
        return solution, reduced.value_and_gradient(self.theta, solution.w, sample)[2]


def rows() -> Iterator[Figure]:
    """Yield the time of an outer evaluation against the number of rows, and its exponent."""
    spent = []
    for N in ROWS:
        with jax.enable_x64(True):
            evaluation = OuterEvaluation(Problem.of(curved_rows(N, 4), WIDTHS))
            steps = int(evaluation()[0].newton_steps)
            kernels = {"evaluation": evaluation}
            spent.append(interleaved(kernels, rounds=5, most_seconds=15.0)["evaluation"])
        detail = f"{steps} Newton steps, n = 4, {len(WIDTHS)} x {WIDTHS[0]}"
        yield Figure(f"outer evaluation, N = {N}: seconds", spent[-1], detail=detail)
    exponent = float(np.polyfit(np.log(ROWS), np.log(spent), 1)[0])
    yield Figure("outer evaluation: exponent of N", exponent, 1.05)


def memory() -> Iterator[Figure]:
    """Yield the peak memory of a process with a million rows, by what it does with them."""
    sized = f"{len(WIDTHS)} x {WIDTHS[0]}, the whole process"
    for job, what, detail in (
        ("evaluation", "outer evaluation", sized),
        ("fit", "fit of 2 iterations", sized),
        ("default-fit", "default fit, 2 iterations", "three runs in parallel, the whole process"),
    ):
        command = [sys.executable, "-m", "benchmarks.scaling", "--job", job]
        root = Path(__file__).parents[1]
        found = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)
        yield Figure(
            f"{what}, N = 1e6, n = 6: peak memory (GB)",
            float(found.stdout.split()[-1]),
            4.0,
            detail,
        )


def _evaluate() -> None:
    with jax.enable_x64(True):
        jax.block_until_ready(OuterEvaluation(Problem.of(curved_rows(1_000_000, 6), WIDTHS))())


def _fit() -> None:
    flow = ConvexPotentialFlow(widths=WIDTHS, max_iter=2, n_estimators=1, decay=1e-4)
    flow.fit(curved_rows(1_000_000, 6))


def _fit_with_defaults() -> None:
    ConvexPotentialFlow(max_iter=2).fit(curved_rows(1_000_000, 6))


JOBS = {"evaluation": _evaluate, "fit": _fit, "default-fit": _fit_with_defaults}


def columns(folder: Path = report.RESULTS) -> Iterator[Figure]:
    """Yield the time of every part against the number of columns, beside its operations."""
    seconds: dict[str, list[float]] = {name: [] for name in COLOURS}
    operations: dict[str, list[int]] = {name: [] for name in COLOURS}
    for n in COLUMNS:
        for name, spent in _parts(n).items():
            seconds[name].append(spent)
        for name, needed in _operations(n).items():
            operations[name].append(needed)
        for name in COLOURS:
            yield Figure(
                _what(name, n),
                seconds[name][-1],
                detail=f"{operations[name][-1]:.3g} operations, "
                f"{1e-9 * operations[name][-1] / seconds[name][-1]:.3g} Gflop/s",
            )
    draw(seconds, operations, folder / "scaling_columns.png")


def _what(part: str, n: int) -> str:
    return f"{part}, n = {n}, N = {ROWS_OF_COLUMNS}: seconds"


def draw_kept(figures: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the figures that a run has left of its columns, if it has."""
    measured = {figure["what"]: figure["measured"] for figure in figures}
    if all(_what(name, n) in measured for name in COLOURS for n in COLUMNS):
        seconds = {name: [measured[_what(name, n)] for n in COLUMNS] for name in COLOURS}
        needed = [_operations(n) for n in COLUMNS]
        draw(seconds, {name: [of_n[name] for of_n in needed] for name in COLOURS}, path)


def _operations(n: int) -> dict[str, int]:
    N = ROWS_OF_COLUMNS
    return {
        "features": counts.feature_operations(N, n, WIDTHS),
        "Newton step": counts.newton_operations(N, n, WIDTHS[-1], n),
        "value and gradient": counts.gradient_operations(N, n, WIDTHS),
    }


def _parts(n: int) -> dict[str, float]:
    """Return the seconds of every part; features and Newton step block by block, as in a solve."""
    with jax.enable_x64(True):
        problem = Problem.of(curved_rows(ROWS_OF_COLUMNS, n), WIDTHS)
        theta, w, sample = problem.theta, problem.cold.w, problem.sample
        block = jax.tree.map(lambda leaf: leaf[:1], sample.tiles(kept=True).flat())
        share = ROWS_OF_COLUMNS / block.omega.size
        objective = formed(problem.reduced, theta, block, exact=True)
        seconds = interleaved(
            {
                "features": lambda: derivatives(problem.reduced, theta, block),
                "Newton step": lambda: newton_step(objective, w),
                "value and gradient": lambda: problem.reduced.value_and_gradient(theta, w, sample),
            },
            rounds=5,
            most_seconds=15.0,
        )
    return {
        "features": share * seconds["features"],
        "Newton step": share * seconds["Newton step"],
        "value and gradient": seconds["value and gradient"],
    }


def draw(seconds: dict[str, list[float]], operations: dict[str, list[int]], path: Path) -> None:
    """Draw time against columns, and dashed what it would be at each part's best rate."""
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(7.0, 5.0), layout="constrained")
    ax = picture.subplots()
    for name, spent in seconds.items():
        needed = np.array(operations[name], dtype=float)
        best = np.max(needed / spent)
        style = {"color": COLOURS[name]}
        ax.loglog(COLUMNS, spent, marker=MARKERS[name], label=name, **style)
        label = f"its operations at {1e-9 * best:.2g} Gflop/s"
        ax.loglog(COLUMNS, needed / best, linestyle="--", linewidth=1, label=label, **style)
    ax.set(xlabel="columns n", ylabel="time (s)")
    ax.set_title(f"N = {ROWS_OF_COLUMNS} rows, hidden layers {len(WIDTHS)} x {WIDTHS[0]}, float64")
    ax.set_xticks(COLUMNS, [str(n) for n in COLUMNS])
    ax.minorticks_off()
    ax.grid(visible=True, which="major", color="0.9")
    ax.legend(frameon=False, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path, dpi=110)


PARTS: dict[str, report.Part] = {"memory": memory, "columns": columns, "rows": rows}


def run(folder: Path = report.RESULTS) -> None:
    """Measure all parts, print their figures and keep them in `folder`, with the picture."""
    report.measure("scaling", PARTS | {"columns": lambda: columns(folder)}, folder)


def main() -> None:
    """Measure the parts that are asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}")
    parser.add_argument("--job", choices=JOBS, help="do this and print the peak memory (GB)")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.job:
        JOBS[arguments.job]()
        report.say(f"{2**20 * peak_mib() / GIGABYTE:.4f}")
        return
    report.measure("scaling", {name: PARTS[name] for name in arguments.parts or PARTS})


if __name__ == "__main__":
    main()
