"""What the thesis claims, and whether the numbers of a reproduction bear it out.

Nothing here is known beforehand: every verdict is computed from runs and checks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from brenier.reproduce.checks import Checks
from brenier.reproduce.record import Run
from brenier.reproduce.setting import BASELINE, DEFAULT, THESIS_BEST, Setting, Spread
from brenier.reproduce.tables import good, spread_of, units_to

# A share of the time that one may call negligible.
NEGLIGIBLE = 0.1
# VarPro should need at most this share of full Adam's work units.
FEWER = 0.2
# What was asked of the default estimator on moons, full size.
DEFAULT_J, DEFAULT_STEPS = -1.42, 5.0


class Verdict(Enum):
    """Whether a claim is borne out."""

    YES = "reproduced"
    NO = "NOT reproduced"
    OPEN = "cannot be said"


@dataclass(frozen=True)
class Claim:
    """A claim, whether it is borne out, and the numbers that say so."""

    what: str
    verdict: Verdict
    numbers: str


def claims(setting: Setting, runs: Sequence[Run], checks: Checks) -> list[Claim]:
    """Return every claim with its verdict."""
    made = [
        _gradient(checks),
        _all_end_well(runs),
        *(_published(setting, runs, label) for label in setting.published),
        _thesis_best(setting, runs),
        _beats_baseline(setting, runs),
        _fewer_units(setting, runs),
        _elimination(setting, runs, "lbfgs-varpro", "lbfgs-full", "L-BFGS"),
        _elimination(setting, runs, "gauss-newton-varpro", "gauss-newton-full", "Gauss-Newton"),
        _warm_up(runs),
        _negligible(setting, runs),
        _inner_steps(runs),
        _default(setting, runs),
    ]
    return [claim for claim in made if claim is not None]


def _judge(*, holds: bool | None) -> Verdict:
    return {None: Verdict.OPEN, True: Verdict.YES, False: Verdict.NO}[holds]


def _test(runs: Sequence[Run], label: str) -> Spread:
    return spread_of(run.loss["test"] for run in good(runs, label))


def _seen(*values: float) -> bool:
    return not any(math.isnan(value) for value in values)


def _gradient(checks: Checks) -> Claim:
    orders = {(t.value, t.solver): t.order for t in checks.taylor}
    exact = [order for (value, _), order in orders.items() if value == "J_tau"]
    shown = ", ".join(
        f"{value} ({solver}) {order:.2f}" for (value, solver), order in orders.items()
    )
    return Claim(
        "The reduced gradient may leave out dw/dmu: the Taylor remainder of J_tau has order 2 "
        "with both inner solvers (3.4, Table 3.1)",
        _judge(holds=bool(np.all(np.abs(np.array(exact) - 2) < 0.1))),
        f"observed orders: {shown}",
    )


def _all_end_well(runs: Sequence[Run]) -> Claim:
    bad = [f"{run.label} seed {run.seed}: {run.outcome.value}" for run in runs if not run.finished]
    return Claim(
        "No run ends with NaN or a crash",
        _judge(holds=not bad),
        f"{len(bad)} of {len(runs)} runs did" + (f" ({'; '.join(bad)})" if bad else ""),
    )


def _published(setting: Setting, runs: Sequence[Run], label: str) -> Claim | None:
    """Return whether the thesis's J comes out: within two standard deviations of both."""
    if label not in setting.optimizers:
        return None
    ours, thesis = _test(runs, label), setting.published[label]
    distance = ours.mean - thesis.mean
    tolerance = 2 * math.hypot(thesis.sd, 0.0 if math.isnan(ours.sd) else ours.sd)
    word = "lower, better" if distance < 0 else "higher, worse"
    return Claim(
        f"{label}: test J of {thesis}",
        _judge(holds=abs(distance) <= tolerance if _seen(distance) else None),
        f"test J {ours} over {len(good(runs, label))} seed(s): {abs(distance):.3f} {word}; up to "
        f"{tolerance:.3f} (two standard deviations of both) counts as reproduced",
    )


def _thesis_best(setting: Setting, runs: Sequence[Run]) -> Claim | None:
    if THESIS_BEST not in setting.published:
        return None
    ours, thesis = _test(runs, THESIS_BEST), setting.published[THESIS_BEST]
    return Claim(
        f"{THESIS_BEST}, mean test J: at most the thesis's {thesis.mean:.2f}",
        _judge(holds=ours.mean <= thesis.mean if _seen(ours.mean) else None),
        f"test J {ours}",
    )


def _beats_baseline(setting: Setting, runs: Sequence[Run]) -> Claim:
    ours, baseline = _test(runs, THESIS_BEST), _test(runs, BASELINE)
    holds = ours.mean < baseline.mean if _seen(ours.mean, baseline.mean) else None
    J = {run.seed: run.loss["test"] for run in good(runs, BASELINE)}
    pairs = [run.loss["test"] < J[run.seed] for run in good(runs, THESIS_BEST) if run.seed in J]
    spread = f" (from {min(J.values()):.2f} to {max(J.values()):.2f})" if len(J) > 1 else ""
    return Claim(
        f"{THESIS_BEST} ends lower than full Adam with the same work units",
        _judge(holds=holds),
        f"test J {ours} against {baseline}{spread}, {setting.budget:,} work units; lower in "
        f"{sum(pairs)} of {len(pairs)} seed(s)",
    )


def _fewer_units(setting: Setting, runs: Sequence[Run]) -> Claim:
    mean: dict[str, float] = {}
    for label in setting.optimizers:
        mean[label] = spread_of(units_to(setting, r, 0) for r in good(runs, label)).mean
    reduced = {k: v for k, v in mean.items() if k.endswith("-varpro") and _seen(v)}
    adam = mean.get(BASELINE, math.nan)
    target = setting.targets[0]
    what = (
        f"{THESIS_BEST} needs at most {FEWER:.0%} of full Adam's work units to validation "
        f"J = {target:g}"
    )
    if THESIS_BEST not in reduced or not _seen(adam):
        return Claim(what, Verdict.OPEN, "there are no such runs")
    missed = sum(math.isnan(r.units_to[0]) for r in good(runs, BASELINE))
    holds: bool | None = reduced[THESIS_BEST] <= FEWER * adam
    if not holds and missed:
        # Full Adam needs more than what it counts for: the share is smaller, one cannot say by how
        # much.
        holds = None
    shares = ", ".join(f"{label} {v:,.0f} ({v / adam:.0%})" for label, v in reduced.items())
    return Claim(
        what,
        _judge(holds=holds),
        f"{shares}; full Adam {adam:,.0f}, of whose {len(good(runs, BASELINE))} run(s) {missed} "
        "never got there and count as the budget",
    )


def _elimination(
    setting: Setting, runs: Sequence[Run], reduced: str, full: str, name: str
) -> Claim | None:
    """Return whether eliminating w gives a lower training loss at every common budget."""
    if reduced not in setting.optimizers or full not in setting.optimizers:
        return None
    what = f"{name} converges faster with w eliminated (Figure 2.1)"
    pairs = [(r, f) for r in good(runs, reduced) for f in good(runs, full) if r.seed == f.seed]
    if not pairs:
        return Claim(what, Verdict.OPEN, "there are no such runs")
    won, shown = [], []
    for share in (0.01, 0.1, 1.0):
        budget = share * setting.budget
        ours = float(np.mean([train_at(r, budget) for r, _ in pairs]))
        theirs = float(np.mean([train_at(f, budget) for _, f in pairs]))
        if _seen(ours, theirs):
            won.append(ours < theirs)
            shown.append(f"{budget:,.0f}: {ours:.3f} against {theirs:.3f}")
    return Claim(
        what,
        _judge(holds=all(won) if won else None),
        f"mean train J with and without elimination after work units {'; '.join(shown)}",
    )


def train_at(run: Run, units: float) -> float:
    """Return the training J of the last iterate within so many work units; NaN before the first."""
    done = np.asarray(run.history["work_units"]) <= units
    return float(np.asarray(run.history["train"])[done][-1]) if done.any() else math.nan


def _warm_up(runs: Sequence[Run]) -> Claim:
    without, warmed = _test(runs, "lbfgs-varpro"), _test(runs, THESIS_BEST)
    seen = _seen(without.sd, warmed.sd)
    return Claim(
        "L-BFGS is sensitive to the initial weights, and the Adam warm-up makes it less so",
        _judge(holds=warmed.sd < without.sd if seen else None),
        f"standard deviation of the test J {without.sd:.3f} without, {warmed.sd:.3f} with warm-up "
        f"(means {without.mean:.3f}, {warmed.mean:.3f})"
        if seen
        else "a spread needs two seeds or more",
    )


def _negligible(setting: Setting, runs: Sequence[Run]) -> Claim:
    shares: dict[str, float] = {}
    for label in setting.optimizers:
        values = [run.share("inner") for run in good(runs, label) if run.eliminates]
        if values:
            shares[label] = float(np.mean(values))
    shown = ", ".join(f"{label} {share:.0%}" for label, share in shares.items())
    return Claim(
        f"The cost of the inner solve is negligible (here: below {NEGLIGIBLE:.0%} of the time)",
        _judge(holds=max(shares.values()) < NEGLIGIBLE if shares else None),
        shown or "there are no such runs",
    )


def _inner_steps(runs: Sequence[Run]) -> Claim:
    newton = spread_of(run.warm_newton_steps for run in good(runs, DEFAULT)).mean
    chord = spread_of(run.warm_chord_steps for run in good(runs, DEFAULT)).mean
    steps = newton + chord
    return Claim(
        f"Ours: at most {DEFAULT_STEPS:g} inner steps an evaluation, warm, default estimator",
        _judge(holds=steps <= DEFAULT_STEPS if _seen(steps) else None),
        f"{steps:.1f} on average: {newton:.1f} Newton steps, {chord:.1f} chord steps",
    )


def _default(setting: Setting, runs: Sequence[Run]) -> Claim:
    ours, best = _test(runs, DEFAULT), _test(runs, THESIS_BEST)
    if not setting.published:
        holds = ours.mean <= best.mean if _seen(ours.mean, best.mean) else None
        what = f"Ours: the default estimator's test J is no worse than that of {THESIS_BEST}"
        return Claim(what, _judge(holds=holds), f"test J {ours} against {best}")
    return Claim(
        f"Ours: the default estimator's test J is at most {DEFAULT_J:g}",
        _judge(holds=ours.mean <= DEFAULT_J if _seen(ours.mean) else None),
        f"test J {ours}; the floor is {setting.floor:.3f}",
    )
