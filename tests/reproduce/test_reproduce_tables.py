"""Tables have the right numbers, of the tiny reproduction and of made-up runs."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from reproduction import ROUNDING, TINY, entries, with_losses

from brenier import load
from brenier.data.datasets import Moons
from brenier.reproduce import tables
from brenier.reproduce.checks import Checks, InnerComparison
from brenier.reproduce.record import Outcome

LOG_2_PI = math.log(2 * math.pi)


@pytest.mark.parametrize("label", TINY.labels)
def test_table_4_1_has_the_losses_of_the_kept_models(made, folder, label):
    model = load(folder / "runs" / f"{label}-seed0.brenier")
    found = entries(folder)
    for i, (part, N) in enumerate((("train", 96), ("validation", 80), ("test", 64))):
        X = Moons(noise=0.1).sample(N, random_state=i)
        J = -model.score_samples(X).mean() - LOG_2_PI
        assert float(found["4.1", label, f"{part} J"]["mean"]) == pytest.approx(J, **ROUNDING)
    gap = np.mean(Moons(noise=0.1).log_density(X) - model.score_samples(X))
    assert float(found["4.1", label, "KL gap"]["mean"]) == pytest.approx(gap, **ROUNDING)


def test_costs_are_those_of_the_first_iterate_at_the_target(made, folder):
    found = entries(folder)
    for label in TINY.labels:
        history = json.loads((folder / "runs" / f"{label}-seed0.json").read_text())["history"]
        pairs = zip(history["work_units"], history["validation"], strict=True)
        reached = [units for units, J in pairs if J is not None and J <= 0.2]
        cost = float(found["4.1", label, "to J = 0.2"]["mean"])
        assert cost == (reached[0] if reached else TINY.budget)
        missed = found["4.1", label, "to J = -5"]
        assert float(missed["mean"]) == TINY.budget
        assert missed["note"] == "1 of 1 missed"
    assert float(found["4.1", "adam", "thesis: J"]["mean"]) == -1.13
    assert found["4.1", "lbfgs-varpro", "thesis: J"]["mean"] == ""


def test_tables_have_mean_and_deviation_over_seeds(made):
    adam, lbfgs, _ = made.runs
    runs = [*with_losses(adam, [-1.0, -1.4]), *with_losses(lbfgs, [-1.3, -1.5, -1.4])]
    runs.append(replace(lbfgs, seed=3, outcome=Outcome.NOT_FINITE))
    table = tables.table_4_1(replace(TINY, seeds=(0, 1, 2, 3)), runs)
    found = {(e.row, e.quantity): e for e in table.entries}
    assert found["adam", "test J"].mean == pytest.approx(-1.2)
    assert found["adam", "test J"].sd == pytest.approx(0.2 * math.sqrt(2))
    assert found["lbfgs-varpro", "test J"].n == 3
    assert found["lbfgs-varpro", "ended badly"].mean == 1
    assert table.cell("lbfgs-varpro", "test J") == "-1.400 ± 0.100"
    spread = tables.table_sensitivity(TINY, runs)
    assert spread.cell("adam", "range") == "0.400"


def test_a_miss_counts_as_the_budget(made):
    adam = made.runs[0]
    runs = [
        replace(adam, units_to=[100.0, math.nan], seconds_to=[1.0, math.nan], seconds=9.0),
        replace(adam, seed=1, units_to=[math.nan] * 2, seconds_to=[math.nan] * 2, seconds=5.0),
    ]
    found = {(e.row, e.quantity): e for e in tables.table_4_1(TINY, runs).entries}
    assert found["adam", "to J = 0.2"].mean == (100 + TINY.budget) / 2
    assert found["adam", "to J = 0.2"].note == "1 of 2 missed"
    assert found["adam", "time to J = 0.2"].mean == (1.0 + 5.0) / 2


def test_no_cell_has_two_numbers(made):
    for table in made.tables:
        cells = [(entry.row, entry.quantity) for entry in table.entries]
        assert len(set(cells)) == len(cells)


def test_newton_and_chord_steps_are_apart_in_both_tables(made):
    _, _, default = made.runs
    steps = {"cold_newton_steps": 9.0, "cold_chord_steps": 1.0}
    run = replace(default, **steps, warm_newton_steps=3.5, warm_chord_steps=2.0)
    share = tables.table_inner_share(TINY, [run])
    shown = ["first solve, Newton", "first solve, chord", "warm solves, Newton"]
    shown = [share.cell("default", name) for name in [*shown, "warm solves, chord"]]
    assert shown == ["9.0", "1.0", "3.5", "2.0"]
    solves = InnerComparison("primal-dual", "warm", [2, 5], [0, 3], [0.1, 0.2])
    inner = tables.table_inner(Checks([], [solves], 96, 1e-5))
    shown = [inner.cell("primal-dual, warm", name) for name in ("Newton", "chord", "most Newton")]
    assert shown == ["3.5", "1.5", "5.0"]
    for table in (share, inner):
        assert any("not among the Newton steps" in note for note in table.notes)
