r"""Tables of a reproduction, as entries in long form that the page and `tables.csv` both come from.

A run that never saw a target counts as the budget (units) and as its whole time (seconds); runs
that ended badly count in nothing but their own column.
"""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from brenier.reproduce.checks import Checks
from brenier.reproduce.record import PARTS, Run
from brenier.reproduce.setting import Setting, Spread

FORMATS = {
    "nats": ".3f",
    "bits": ".3f",
    "levels": ".2f",
    "levels of a pixel": ".1e",
    "work units": ",.0f",
    "s": ".1f",
    "ms": ".1f",
    "steps": ".1f",
    "share": ".1%",
    "runs": ".0f",
    "solves": ".0f",
    "": "#.3g",
}
CSV_COLUMNS = ("table", "row", "quantity", "unit", "mean", "sd", "n", "note")
SHARES = {"inner": "inner solves", "gradient": "gradients", "heldout": "validation loss"}
STEPS = {
    "cold_newton_steps": "first solve, Newton",
    "cold_chord_steps": "first solve, chord",
    "warm_newton_steps": "warm solves, Newton",
    "warm_chord_steps": "warm solves, chord",
}
WHAT_STEPS_ARE = (
    "Newton steps evaluate the Hessian; chord steps correct that of an earlier step, and are "
    "not among the Newton steps."
)
PAIRS = (
    ("lbfgs-varpro", "lbfgs-full"),
    ("gauss-newton-varpro", "gauss-newton-full"),
    ("adam-varpro", "adam"),
)


@dataclass(frozen=True)
class Entry:
    """One cell: a mean over n seeds with its standard deviation (NaN for n = 1)."""

    row: str
    quantity: str
    unit: str
    mean: float
    sd: float = math.nan
    n: int = 1
    note: str = ""

    @staticmethod
    def of(row: str, quantity: str, unit: str, values: Iterable[float], note: str = "") -> "Entry":
        """Return the entry of values over seeds; NaN for none."""
        spread, n = spread_of(values := list(values)), len(values)
        return Entry(row, quantity, unit, spread.mean, spread.sd, n, note)

    @property
    def text(self) -> str:
        """The cell as people read it."""
        if math.isnan(self.mean):
            return self.note or "\N{EN DASH}"
        form = FORMATS[self.unit]
        text = format(self.mean, form)
        if not math.isnan(self.sd):
            text += f" \N{PLUS-MINUS SIGN} {self.sd:{form}}"
        return f"{text} ({self.note})" if self.note else text


@dataclass(frozen=True)
class Table:
    """A titled table; its rows and columns are those of its entries, in their order."""

    key: str
    title: str
    entries: Sequence[Entry]
    notes: Sequence[str] = ()

    @property
    def rows(self) -> list[str]:
        """Names of the rows."""
        return list(dict.fromkeys(entry.row for entry in self.entries))

    @property
    def columns(self) -> list[tuple[str, str]]:
        """Quantities with their units."""
        return list(dict.fromkeys((entry.quantity, entry.unit) for entry in self.entries))

    def cell(self, row: str, quantity: str) -> str:
        """Return the text of a cell, a dash where there is none."""
        found = (e.text for e in self.entries if (e.row, e.quantity) == (row, quantity))
        return next(found, "\N{EN DASH}")


def spread_of(values: Iterable[float]) -> Spread:
    """Return mean and standard deviation (n - 1) of values over seeds."""
    values = np.asarray(list(values), dtype=float)
    if not len(values):
        return Spread(math.nan, math.nan)
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Spread(float(np.mean(values)), sd)


def good(runs: Iterable[Run], label: str) -> list[Run]:
    """Return the runs of an optimizer that ended with finite losses."""
    return [run for run in runs if run.label == label and run.finished]


def table_4_1(setting: Setting, runs: Sequence[Run]) -> Table:
    """Return train, validation and test J by optimizer, what they cost, and the thesis's column."""
    entries = []
    for label in setting.labels:
        ended = good(runs, label)
        for part in PARTS:
            entries.append(Entry.of(label, f"{part} J", "nats", (r.loss[part] for r in ended)))
        thesis = setting.published.get(label, Spread(math.nan, math.nan))
        entries.append(Entry(label, "thesis: J", "nats", thesis.mean, thesis.sd, 0))
        entries.append(Entry.of(label, "KL gap", "nats", (r.gap for r in ended)))
        entries += _costs(setting, label, ended)
        bad = sum(run.label == label and not run.finished for run in runs)
        entries.append(Entry(label, "ended badly", "runs", float(bad)))
    floor = f"The floor of the expected J, entropy - (n/2) log 2 pi, is {setting.floor:.3f}."
    return Table(
        "4.1",
        "Table 4.1: losses and costs by optimizer",
        entries,
        [
            f"J = -(mean log-density) - (n/2) log 2 pi, nats. {floor}",
            "KL gap: mean of log p_true - log p over the test rows.",
            f"Costs are until the validation J is first seen at or below the target; a miss "
            f"counts as the budget of {setting.budget:,} work units, and as the whole time of the "
            f"run. Times hold no compilation. {_how_often(setting)}",
            f"Mean \N{PLUS-MINUS SIGN} standard deviation over {len(setting.seeds)} seed(s).",
        ],
    )


def _every(setting: Setting) -> int:
    """Return after how many iterates a run looks at the validation rows (`EarlyStopping`)."""
    return 1 + (setting.n_validation - 1) // setting.n_train


def _how_often(setting: Setting) -> str:
    every = _every(setting)
    if every == 1:
        return "The validation loss is looked at in every iteration."
    return (
        f"The validation loss is looked at once in {every} iterations, so that it costs no more "
        "than the training: costs are right to that many."
    )


def _costs(setting: Setting, label: str, ended: Sequence[Run]) -> list[Entry]:
    entries = []
    for i, target in enumerate(setting.targets):
        units = [units_to(setting, run, i) for run in ended]
        seconds = [run.seconds if math.isnan(s := run.seconds_to[i]) else s for run in ended]
        missed = sum(math.isnan(run.units_to[i]) for run in ended)
        note = f"{missed} of {len(ended)} missed" if missed else ""
        entries.append(Entry.of(label, f"to J = {target:g}", "work units", units, note))
        entries.append(Entry.of(label, f"time to J = {target:g}", "s", seconds, note))
    return entries


def units_to(setting: Setting, run: Run, i: int) -> float:
    """Return the work units to a target, the budget where it was never seen."""
    return float(setting.budget) if math.isnan(run.units_to[i]) else run.units_to[i]


def table_sensitivity(setting: Setting, runs: Sequence[Run]) -> Table:
    """Return the spread of the test J over seeds, with and without warm-up, and of full Adam."""
    entries = []
    for label in setting.labels:
        J = [run.loss["test"] for run in good(runs, label)]
        entries.append(Entry.of(label, "test J", "nats", J))
        low, high = (min(J), max(J)) if J else (math.nan, math.nan)
        entries.append(Entry(label, "best seed", "nats", low))
        entries.append(Entry(label, "worst seed", "nats", high))
        entries.append(Entry(label, "range", "nats", high - low))
    return Table(
        "sensitivity",
        "Sensitivity to the initial weights",
        entries,
        [
            "Each seed has its own rows and initial weights, the same for every optimizer; the "
            "spread is of both. Compare lbfgs-varpro with adam-lbfgs-varpro for what the warm-up "
            "does."
        ],
    )


def table_elimination(setting: Setting, runs: Sequence[Run]) -> Table:
    """Return what eliminating w buys, optimizer by optimizer."""
    entries = []
    for label in (label for pair in PAIRS for label in pair if label in setting.optimizers):
        ended = good(runs, label)
        lowest = [float(np.nanmin(run.history["train"])) for run in ended]
        entries.append(Entry.of(label, "lowest train J", "nats", lowest))
        entries.append(Entry.of(label, "test J", "nats", (r.loss["test"] for r in ended)))
        entries += _costs(setting, label, ended)
        entries.append(Entry.of(label, "spent", "work units", (float(r.units) for r in ended)))
        entries.append(Entry.of(label, "time", "s", (r.seconds for r in ended)))
    return Table(
        "elimination",
        "With and without elimination of w",
        entries,
        ["Work units do not count the inner solves; times do."],
    )


def table_inner_share(setting: Setting, runs: Sequence[Run]) -> Table:
    """Return the share of the inner solve in the time of the runs, and its Newton steps."""
    entries = []
    for label in setting.labels:
        ended = [run for run in good(runs, label) if run.eliminates]
        if not ended:
            continue
        for part, name in SHARES.items():
            entries.append(Entry.of(label, name, "share", (r.share(part) for r in ended)))
        for quantity, name in STEPS.items():
            values = (getattr(run, quantity) for run in ended)
            entries.append(Entry.of(label, name, "steps", values))
        failures = (float(r.inner_failures) for r in ended)
        entries.append(Entry.of(label, "failed inner solves", "solves", failures))
    return Table(
        "inner-share",
        "The inner solve's share of the time of a fit",
        entries,
        [f"{WHAT_STEPS_ARE} First solve: of a fit; warm solves: the mean over all others."],
    )


def table_inner(checks: Checks) -> Table:
    """Return the inner solvers compared over the same sequence of networks."""
    entries = []
    for c in checks.inner:
        row = f"{c.solver}, {c.start}"
        entries.append(Entry(row, "Newton", "steps", float(np.mean(c.newton_steps))))
        entries.append(Entry(row, "chord", "steps", float(np.mean(c.chord_steps))))
        entries.append(Entry(row, "most Newton", "steps", float(np.max(c.newton_steps))))
        entries.append(Entry(row, "time", "ms", 1e3 * float(np.mean(c.seconds))))
        entries.append(Entry(row, "failed", "solves", float(c.failures)))
    n = len(checks.inner[0].seconds) if checks.inner else 0
    return Table(
        "inner",
        "Inner solvers compared",
        entries,
        [
            f"Means over {n} solves, at the iterates of L-BFGS from the initial weights, "
            f"{checks.n_rows} rows, final tau = {checks.tau:g}. Cold: from w = 1. Warm: from the "
            "solution at the iterate before.",
            WHAT_STEPS_ARE,
        ],
    )


def table_3_1(checks: Checks) -> Table:
    """Return the Taylor remainders of the reduced gradient."""
    entries = []
    for t in checks.taylor:
        column = f"{t.value}, {t.solver}"
        for row in t.table:
            entries.append(Entry(f"h = {row['h']:.2e}", column, "", float(row["error"])))
        entries.append(Entry("observed order", column, "", t.order))
    orders = [f"{t.value} with {t.solver}: {t.order:.2f}" for t in checks.taylor]
    return Table(
        "3.1",
        "Table 3.1: Taylor remainders of the reduced gradient",
        entries,
        [
            "|F(mu + h d) - F(mu) - h g . d|, d random of norm 1, g = dJ/dmu at the inner "
            "minimiser. F = J is the thesis's check, F = J_tau ours: g is its exact gradient.",
            f"Observed orders over the smaller half of the steps: {'; '.join(orders)}.",
        ],
    )


def to_dict(tables: Iterable[Table]) -> dict[str, dict[str, Any]]:
    """Return the tables by key, unrounded."""
    return {
        table.key: {
            "title": table.title,
            "notes": table.notes,
            "entries": [asdict(entry) for entry in table.entries],
        }
        for table in tables
    }


def to_csv(tables: Iterable[Table]) -> str:
    """Return all entries in long form, unrounded; empty where there is no number."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for table in tables:
        for e in table.entries:
            mean, sd = ("" if math.isnan(v) else repr(float(v)) for v in (e.mean, e.sd))
            writer.writerow([table.key, e.row, e.quantity, e.unit, mean, sd, e.n, e.note])
    return out.getvalue()
