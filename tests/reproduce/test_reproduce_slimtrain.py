"""The experiment with slimTrain, of a tiny problem: what is run, measured, written, used again."""

import csv
import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from reproduction import stamps
from test_reproduce_page import Parts
from typer.testing import CliRunner

from brenier.cli import app
from brenier.reproduce import catalogue
from brenier.reproduce.claims import Verdict
from brenier.reproduce.gnvpro.surface import peaks_regression
from brenier.reproduce.picture import Picture
from brenier.reproduce.runs import Teller
from brenier.reproduce.slimtrain.claims import claims
from brenier.reproduce.slimtrain.measured import Measured
from brenier.reproduce.slimtrain.problems import PROBLEMS, Problem
from brenier.reproduce.slimtrain.reproduce import reproduce_slimtrain
from brenier.reproduce.slimtrain.runs import Drawn
from brenier.reproduce.slimtrain.setting import SlimtrainSetting, Start

PICTURES = ("figure-rates", "figure-units", "figure-lambdas")
TINY = SlimtrainSetting(
    problems=(Problem("tiny", "Tiny peaks", peaks_regression, (3, 3), (24, 12, 16)),),
    seeds=(0, 1),
    epochs=3,
    rates=(1e-3, 1e-1),
    fewer_rates=(1e-3, 1e-1),
    batch_rows=8,
    small_batch=8,
    depths=(0, 5),
    changes=(1e-2,),
)
# Adam three times and slimTrain twice; three with small batches; no memory; a fixed lambda.
N_RUNS = 2 * 2 * 10


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("slimtrain")


@pytest.fixture(scope="module")
def result(home):
    return reproduce_slimtrain(TINY, home, Teller())


@pytest.fixture
def pictures_as_before(result, home, monkeypatch):
    monkeypatch.setattr(
        Picture, "encoded", lambda self, form: (home / f"{self.name}.{form}").read_bytes()
    )


def test_everything_is_run_and_written(result, home):
    names = {path.name for path in home.iterdir()}
    pictures = {f"{name}.{form}" for name in PICTURES for form in ("png", "svg")}
    assert names == pictures | {"runs", "report.html", "tables.csv", "results.json"}
    assert len(result.runs) == len(stamps(home)) == N_RUNS
    for run in result.runs:
        # The first is before any work.
        assert run.history["work_units"] == [0.0, 24.0, 48.0, 72.0]
        assert np.isfinite(run.validation).all()
        assert run.best == min(run.history["validation"][1:])
        assert run.last == run.history["validation"][-1]


def test_all_begin_with_the_same_network_and_but_one_with_the_same_W(result):
    first = {(run.label, run.seed): run.validation[0] for run in result.runs}
    for seed in TINY.seeds:
        own = {label: loss for (label, of), loss in first.items() if of == seed}
        optimal = own.pop("adam-optimal")
        assert len({*own.values()}) == 1
        assert optimal not in own.values()


def test_the_optimal_W_is_the_least_squares_one():
    with jax.enable_x64(True):
        drawn = Drawn.of(TINY, TINY.problems[0], 0)
        train, separable = drawn.parts["train"], drawn.separable
        F = np.asarray(separable.template.values(train.X)) / np.sqrt(len(train.X))
    Y = train.Y / np.sqrt(len(train.X))
    W = np.linalg.solve(F.T @ F + TINY.ridge * np.eye(F.shape[1]), F.T @ Y)
    np.testing.assert_allclose(drawn.w[Start.OPTIMAL], W.ravel(), rtol=1e-6, atol=1e-8)


def test_lambdas_are_kept_of_the_runs_that_are_shown(result):
    shown = [run for run in result.runs if run.changes]
    assert [(run.label, run.rate, run.seed) for run in shown] == [("slimtrain", 1e-3, 0)]
    assert len(shown[0].changes) == 3 * 3


def test_the_tables_have_means_over_seeds(result, home):
    with open(home / "tables.csv", newline="") as file:
        found = {(e["table"], e["row"], e["quantity"]): e for e in csv.DictReader(file)}
    own = [[r for r in result.runs if (r.label, r.seed) == ("slimtrain", s)] for s in (0, 1)]
    worst = [max(run.best for run in runs) for runs in own]
    cell = found["tiny-rates", "slimtrain", "worst"]
    assert float(cell["mean"]) == pytest.approx(np.mean(worst), rel=1e-12)
    assert float(cell["sd"]) == pytest.approx(np.std(worst, ddof=1), rel=1e-9)
    assert ("tiny-memory", "r = 0", "0.1") in found
    assert ("tiny-lambda", "lambda = 0.01", "0.001") in found
    assert ("tiny-lambda", "by cross-validation", "lowest") in found
    assert ("tiny-batch", "adam, 8 rows", "worst") in found
    test = found["tiny-rates", "slimtrain, test rows", "0.1"]
    assert float(test["mean"]) == pytest.approx(np.mean([runs[1].test for runs in own]))


def with_worst(result, adam, slimtrain, label="slimtrain"):
    """Return claims of runs whose losses are one at most, but for these at the last rate."""
    worst = {"adam": adam, label: slimtrain}
    runs = [
        replace(
            run,
            history=run.history
            | {"validation": [worst.get(run.label, 1.0) if run.rate == 1e-1 else 1.0] * 4},
        )
        for run in result.runs
    ]
    return claims(Measured(TINY, runs))


@pytest.mark.parametrize(("place", "label"), [(0, "slimtrain"), (1, "slimtrain-mechanic")])
def test_half_of_adams_worst_is_reproduced_and_more_is_not(result, place, label):
    for slimtrain, verdict in ((4.0, Verdict.YES), (4.1, Verdict.NO)):
        claim = with_worst(result, 8.0, slimtrain, label)[place]
        assert claim.verdict is verdict
        assert "8.00" in claim.numbers
        assert f"{slimtrain:.2f}" in claim.numbers
        assert ("Mechanic" in claim.what) == (label == "slimtrain-mechanic")


def test_a_loss_that_is_no_number_is_infinite(result):
    assert with_worst(result, float("nan"), 4.0)[0].verdict is Verdict.YES
    assert with_worst(result, 8.0, float("nan"))[0].verdict is Verdict.NO


def test_the_page_holds_all_by_itself(result, home):
    text = result.report.read_text()
    parts = Parts()
    parts.feed(text)
    assert len(parts.loaded) == len(PICTURES)
    assert all(source.startswith("data:image/png;base64,") for source in parts.loaded)
    for claim in result.claims:
        assert claim.verdict.value in text
    assert "Quick variant" not in text
    results = json.loads((home / "results.json").read_text())
    assert len(results["runs"]) == N_RUNS
    assert results["setting"]["problems"] == ["tiny"]


@pytest.mark.usefixtures("pictures_as_before")
def test_the_command_goes_on_from_kept_runs(home, monkeypatch):
    before = stamps(home)
    monkeypatch.setattr(catalogue, "experiments", lambda: {"slimtrain": TINY})
    answer = CliRunner().invoke(app, ["reproduce", "slimtrain", "-o", str(home)])
    assert answer.exit_code == 0, answer.output
    assert answer.stderr.count("(kept)") == N_RUNS
    assert stamps(home) == before
    assert f"Report written to {home / 'report.html'}" in answer.stdout


@pytest.mark.usefixtures("pictures_as_before")
def test_a_run_that_is_not_whole_is_made_again(result, home):
    path, lines = home / "runs" / "tiny-slimtrain-r0-rate0.1-seed1.json", []
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    again = reproduce_slimtrain(TINY, home, Teller(lines.append))
    assert sum("(kept)" in line for line in lines) == N_RUNS - 1
    assert [run.history for run in again.runs] == [run.history for run in result.runs]


@pytest.mark.parametrize("name", ["peaks", "digits"])
def test_rows_of_a_seed_are_scaled_by_the_training_rows(name):
    problem = replace(PROBLEMS[name], sizes=(50, 20, 10))
    parts = problem.rows(0)
    assert [len(parts[part].X) for part in ("train", "validation", "test")] == [50, 20, 10]
    for table in (parts["train"].X, parts["train"].Y):
        np.testing.assert_allclose(table.mean(axis=0), 0.0, atol=1e-12)
        assert np.mean(table.var(axis=0)) == pytest.approx(1.0)
    other = problem.rows(1)["train"]
    assert not np.array_equal(other.Y, parts["train"].Y)
    np.testing.assert_array_equal(problem.rows(0)["train"].X, parts["train"].X)


def test_the_quick_variant_is_small():
    quick = SlimtrainSetting().shortened()
    assert quick.quick
    assert [problem.name for problem in quick.problems] == ["peaks"]
    assert quick.seeds == (0,)
    assert quick.with_seeds(3) == replace(quick, seeds=(0, 1, 2))
