"""What the paper claims, and whether the numbers bear it out.

Nothing here is known beforehand: every verdict is computed from the runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from brenier.reproduce.claims import Claim, Verdict
from brenier.reproduce.gnvpro.methods import (
    ADAM,
    DESCENT,
    GAUSS_NEWTON,
    GAUSS_NEWTON_RANDOM,
    GNVPRO,
    LBFGS_FULL,
    LBFGS_VARPRO,
)
from brenier.reproduce.gnvpro.problems import Problem
from brenier.reproduce.gnvpro.record import Run
from brenier.reproduce.gnvpro.setting import CLAIMED, GnvproSetting
from brenier.reproduce.gnvpro.tables import best_of, of_method
from brenier.reproduce.setting import Spread
from brenier.reproduce.tables import spread_of

# Of the problems claimed, on how many the difference must be beyond a standard deviation, and on
# how many Adam must be beaten.
MOST = 2


IN_WORDS = {
    GNVPRO: "GNvpro",
    LBFGS_VARPRO: "L-BFGS with elimination",
    GAUSS_NEWTON: "Gauss-Newton on all weights from the optimal W of the first network",
    GAUSS_NEWTON_RANDOM: "Gauss-Newton on all weights from a random W",
    LBFGS_FULL: "L-BFGS on all weights from the optimal W of the first network",
    ADAM: "the best Adam of the grid",
    DESCENT: "the best SGD of the grid",
}


@dataclass(frozen=True)
class Comparison:
    """Mean validation losses of two methods on one problem.

    Attributes
    ----------
    problem : Problem
        Which.
    ours, theirs, apart : Spread
        Of the first, of the second, and of the second less the first seed by seed.
    n_lower : int
        Seeds from which the first is the lower.
    n_seeds : int
        All of them.
    """

    problem: Problem
    ours: Spread
    theirs: Spread
    apart: Spread
    n_lower: int
    n_seeds: int

    @property
    def lower(self) -> bool:
        """Whether the first mean is the lower."""
        return self.ours.mean < self.theirs.mean

    @property
    def clearly(self) -> bool:
        """Whether it is lower by more than the larger of both standard deviations."""
        return self.theirs.mean - self.ours.mean > max(self.ours.sd, self.theirs.sd)

    @property
    def text(self) -> str:
        """The numbers."""
        spreads = (self.ours, self.theirs, self.apart)
        ours, theirs, apart = (f"{s.mean:.3g} \N{PLUS-MINUS SIGN} {s.sd:.2g}" for s in spreads)
        return (
            f"{self.problem.name} {ours} against {theirs}, apart {apart} (lower from "
            f"{self.n_lower} of {self.n_seeds} seeds)"
        )


def compare(
    setting: GnvproSetting,
    runs: Sequence[Run],
    problem: Problem,
    labels: tuple[str, str],
    shares: tuple[float, float] = (1.0, 1.0),
) -> Comparison:
    """Return two methods compared, each at a share of the work units."""
    budget = setting.budget(problem)
    first, second = (
        {run.seed: run.best_at(share * budget) for run in of_method(runs, problem, label)}
        for label, share in zip(labels, shares, strict=True)
    )
    return Comparison(
        problem,
        spread_of(first.values()),
        spread_of(second.values()),
        spread_of(second[seed] - first[seed] for seed in first),
        sum(first[seed] < second[seed] for seed in first),
        len(first),
    )


def claims(setting: GnvproSetting, runs: Sequence[Run]) -> list[Claim]:
    """Return every claim with its verdict."""
    whole, part = "all", f"{setting.share:.0%}"
    return [
        _eliminates(setting, runs, (GNVPRO, GAUSS_NEWTON), 1.0, whole),
        _clearly(setting, runs, (GNVPRO, GAUSS_NEWTON), 1.0, whole),
        _eliminates(setting, runs, (GNVPRO, GAUSS_NEWTON), setting.share, part),
        _clearly(setting, runs, (GNVPRO, GAUSS_NEWTON), setting.share, part),
        _eliminates(setting, runs, (GNVPRO, GAUSS_NEWTON_RANDOM), 1.0, whole),
        _eliminates(setting, runs, (LBFGS_VARPRO, LBFGS_FULL), 1.0, whole),
        _beats_grid(setting, runs, GNVPRO, ADAM, setting.share),
        _beats_grid(setting, runs, GNVPRO, ADAM, 1.0),
        _beats_grid(setting, runs, LBFGS_VARPRO, ADAM, setting.share),
        _beats_grid(setting, runs, GNVPRO, DESCENT, setting.share),
        _inner_solves(runs),
    ]


def _problems(setting: GnvproSetting) -> list[Problem]:
    """Return the problems claimed, those that are run."""
    return [problem for problem in setting.problems if problem.name in CLAIMED]


def _judged(
    setting: GnvproSetting,
    what: str,
    compared: Sequence[Comparison],
    *,
    holds: bool,
    note: str = "",
) -> Claim:
    numbers = "; ".join(one.text for one in compared) + note
    if len(compared) < len(CLAIMED) or len(setting.seeds) < MOST:
        return Claim(what, Verdict.OPEN, numbers + " (too few problems or seeds to say)")
    return Claim(what, Verdict.YES if holds else Verdict.NO, numbers)


def _eliminates(
    setting: GnvproSetting,
    runs: Sequence[Run],
    labels: tuple[str, str],
    share: float,
    word: str,
) -> Claim:
    compared = [
        compare(setting, runs, problem, labels, (share, share)) for problem in _problems(setting)
    ]
    return _judged(
        setting,
        f"{IN_WORDS[labels[0]]} has a lower mean validation loss than {IN_WORDS[labels[1]]} at "
        f"equal work units ({word} of them), on all three problems",
        compared,
        holds=all(one.lower for one in compared),
    )


def _clearly(
    setting: GnvproSetting,
    runs: Sequence[Run],
    labels: tuple[str, str],
    share: float,
    word: str,
) -> Claim:
    compared = [
        compare(setting, runs, problem, labels, (share, share)) for problem in _problems(setting)
    ]
    found = [one.problem.name for one in compared if one.clearly]
    return _judged(
        setting,
        f"... ({word} of them), by more than a standard deviation, the larger of both, on {MOST} "
        "or more",
        compared,
        holds=len(found) >= MOST,
        note=f"; beyond it on: {', '.join(found) or 'none'}",
    )


def _beats_grid(
    setting: GnvproSetting, runs: Sequence[Run], label: str, family: str, share: float
) -> Claim:
    compared = [
        compare(
            setting,
            runs,
            problem,
            (label, best_of(setting, runs, problem, family).label),
            (share, 1.0),
        )
        for problem in _problems(setting)
    ]
    at = f"{share:.0%} of its work units" if share < 1 else "the same work units"
    n = len(setting.of_family(family))
    return _judged(
        setting,
        f"{IN_WORDS[label]} has a lower mean validation loss than {IN_WORDS[family]} of {n}, at "
        f"{at}, on {MOST} of three problems",
        compared,
        holds=sum(one.lower for one in compared) >= MOST,
    )


def _inner_solves(runs: Sequence[Run]) -> Claim:
    failures = sum(run.inner_failures for run in runs)
    return Claim(
        "Ours: every inner solve converges",
        Verdict.YES if not failures else Verdict.NO,
        f"{failures} did not, from a warm and then a cold start, in {len(runs)} runs",
    )
