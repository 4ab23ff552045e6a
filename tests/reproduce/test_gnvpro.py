"""The reproduction of GNvpro: problems, a tiny run from end to end, page, resuming, claims."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from reproduction import stamps
from test_reproduce_page import Parts
from typer.testing import CliRunner

from brenier.cli import app
from brenier.reproduce import catalogue
from brenier.reproduce.claims import Verdict
from brenier.reproduce.gnvpro import convection
from brenier.reproduce.gnvpro.claims import CHOSEN, IN_WORDS, claims
from brenier.reproduce.gnvpro.methods import (
    ADAM,
    GAUSS_NEWTON,
    GNVPRO,
    GNVPRO_PLAIN,
    LBFGS_VARPRO,
)
from brenier.reproduce.gnvpro.problems import PARTS, PROBLEMS, parts_without_fold
from brenier.reproduce.gnvpro.record import HISTORY, Run
from brenier.reproduce.gnvpro.reproduce import reproduce_gnvpro
from brenier.reproduce.gnvpro.results import Results, choose, losses_of_folds, plan_of_longer
from brenier.reproduce.gnvpro.setting import CLAIMED, SHOWN, GnvproSetting
from brenier.reproduce.gnvpro.surface import N_CLASSES, level, peaks
from brenier.reproduce.picture import Picture
from brenier.reproduce.runs import Teller

PICTURES = ("figure-2-1", "losses", "losses-longer", "accuracies")
FEW = {"widths": (3, 3), "n_train": 60, "n_validation": 40, "n_test": 40}
TINY = replace(
    GnvproSetting(),
    problems=tuple(replace(PROBLEMS[name], **FEW) for name in (CLAIMED[0], SHOWN)),
    seeds=(0,),
    passes=20,
    folds=2,
    long_passes=40,
    long_of_grid=1,
    adam_rates=(1e-2, 3e-2),
    sgd_rates=(1e-2,),
    batches=(20,),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("gnvpro")


@pytest.fixture(scope="module")
def result(home):
    return reproduce_gnvpro(TINY, home, Teller())


@pytest.fixture
def pictures_as_before(result, home, monkeypatch):
    monkeypatch.setattr(
        Picture, "encoded", lambda self, form: (home / f"{self.name}.{form}").read_bytes()
    )


def test_the_surface_is_that_of_peaks():
    # What MATLAB's `peaks` gives at these points, by its formula term by term.
    points = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 0.0]])
    e = math.exp
    expected = [
        3 * e(-1) - e(-1) / 3,
        -10 * (0.2 - 1 - 1) * e(-2) - e(-5) / 3,
        3 * e(-4) + 10 * e(-1) - e(-2) / 3,
        12 * e(-2) - 10 * (-0.2 + 1) * e(-1) - 1 / 3,
    ]
    np.testing.assert_allclose(peaks(points), expected, rtol=1e-12)


def test_the_surface_has_its_known_summit_and_hollow():
    line = np.linspace(-3, 3, 601)
    heights = peaks(np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2))
    assert heights.max() == pytest.approx(8.106, abs=1e-3)
    assert heights.min() == pytest.approx(-6.551, abs=1e-3)
    edges = np.linspace(heights.min(), heights.max(), N_CLASSES + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    np.testing.assert_array_equal(level(middles), np.arange(N_CLASSES))


@pytest.mark.parametrize("name", PROBLEMS)
def test_parts_have_their_rows_and_classes_are_balanced(name):
    problem = PROBLEMS[name]
    if name == "convection":
        problem = replace(problem, n_train=8, n_validation=4, n_test=4)
    parts = problem.rows(0)
    assert tuple(len(parts[part].X) for part in PARTS) == problem.sizes
    np.testing.assert_allclose(parts["train"].X.mean(axis=0), 0, atol=1e-9)
    for part in parts.values():
        if problem.classifies:
            counts = part.Y.sum(axis=0)
            # The digits' own classes differ by a few rows of a hundred.
            assert counts.max() - counts.min() <= (4 if name == "digits" else 1)
            np.testing.assert_array_equal(np.sort(part.Y, axis=1)[:, :-1], 0)
    again, other = problem.rows(0), problem.rows(1)
    np.testing.assert_array_equal(parts["test"].X, again["test"].X)
    assert not np.array_equal(parts["test"].X, other["test"].X)
    np.testing.assert_allclose(problem.rows(0)["train"].Y, parts["train"].Y)


def test_rows_of_a_class_are_where_the_surface_is_as_high():
    X, Y = PROBLEMS["peaks-classes"].draw(100, np.random.default_rng(0))
    np.testing.assert_array_equal(level(peaks(X)), np.argmax(Y, axis=1))


def manufactured(n_cells):
    """Return the greatest error against u = sin(pi x) sin(2 pi y), on a grid."""
    line = convection.nodes(n_cells)
    x, y = np.meshgrid(line, line, indexing="ij")
    d, (a, b), r, pi = 0.3, (1.5, -0.7), 1 + x * y, np.pi
    u = np.sin(pi * x) * np.sin(2 * pi * y)
    f = 5 * pi**2 * d * u + r * u
    f += a * pi * np.cos(pi * x) * np.sin(2 * pi * y)
    f += b * 2 * pi * np.sin(pi * x) * np.cos(2 * pi * y)
    return np.max(np.abs(convection.solve(d, np.array([a, b]), r, f) - u))


def test_the_equation_is_solved_to_second_order():
    coarse, fine = manufactured(16), manufactured(32)
    assert fine < 4e-3
    assert math.log2(coarse / fine) == pytest.approx(2, abs=0.1)


def test_observations_depend_on_every_parameter():
    at_zero = convection.observed(np.zeros(convection.N_PARAMETERS))
    assert at_zero.shape == (36,)
    assert (at_zero > 0).all()
    for k in range(convection.N_PARAMETERS):
        moved = convection.observed(np.eye(convection.N_PARAMETERS)[k])
        assert np.max(np.abs(moved - at_zero)) > 1e-3


def test_everything_is_written(result, home):
    names = {path.name for path in home.iterdir()}
    pictures = {f"{name}.{form}" for name in PICTURES for form in ("png", "svg")}
    assert names == pictures | {"runs", "report.html", "tables.csv", "results.json"}
    assert len(result.runs) == len(TINY.problems) * len(TINY.methods)
    assert len(result.folds) == len(TINY.of_family(ADAM)) * TINY.folds
    # GNvpro, L-BFGS with elimination, the lowest Adam, and the chosen one where that is another.
    assert len(result.longer) in {3, 4}


def test_folds_are_of_training_rows_and_each_row_is_left_out_once():
    problem = TINY.problems[0]
    train = problem.rows(0)["train"]
    folds = [parts_without_fold(train, fold, TINY.folds) for fold in range(TINY.folds)]
    left_out = np.concatenate([parts["validation"].X for parts in folds])
    np.testing.assert_array_equal(np.sort(left_out, axis=0), np.sort(train.X, axis=0))
    for fold, parts in enumerate(folds):
        sizes = problem.without_fold(fold, TINY.folds).sizes
        assert tuple(len(parts[part].X) for part in PARTS) == sizes
        both = np.concatenate([parts["train"].X, parts["validation"].X])
        np.testing.assert_array_equal(np.sort(both, axis=0), np.sort(train.X, axis=0))


def test_folds_choose_the_lowest_of_the_grid(result):
    (problem,) = TINY.claimed
    losses = {
        method.label: np.mean(losses_of_folds(TINY, result.folds, problem, method))
        for method in TINY.of_family(ADAM)
    }
    assert all(math.isfinite(value) for value in losses.values())
    chosen = choose(TINY, result.folds)[problem.name].label
    assert chosen == min(losses, key=losses.__getitem__)


def test_longer_runs_go_on_where_the_shorter_ones_ended(result):
    (problem,) = TINY.claimed
    for one in result.longer:
        assert one.settings["passes"] == TINY.long_passes
        (shorter,) = (
            run for run in result.runs if (run.problem, run.label) == (one.problem, one.label)
        )
        n = len(shorter.history["validation"])
        assert one.history["validation"][:n] == pytest.approx(shorter.history["validation"])
        assert one.best_at(TINY.longer.budget(problem)) <= shorter.best_at(TINY.budget(problem))


def test_runs_begin_alike_spend_their_work_and_descend(result):
    for problem in TINY.problems:
        own = [run for run in result.runs if run.problem == problem.name]
        firsts = {run.history["validation"][0] for run in own if "random" not in run.label}
        assert max(firsts) == pytest.approx(min(firsts), rel=1e-6)
        for run in own:
            units = run.history["work_units"]
            assert units[0] == 0
            assert (np.diff(units) > 0).all()
            assert units[-1] >= TINY.budget(problem) or run.ended.startswith("converged")
            assert run.history["train"][-1] < run.history["train"][0]
            assert run.inner_failures == 0


def test_the_table_has_the_best_of_the_grid(result, home):
    with open(home / "tables.csv", newline="") as file:
        found = [*csv.DictReader(file)]
    for problem in TINY.problems:
        method = Results(TINY, result.runs, {}).best(problem, ADAM)
        losses = {
            run.label: run.best_at(TINY.budget(problem))
            for run in result.runs
            if run.problem == problem.name and run.label.startswith("adam")
        }
        assert method.label == min(losses, key=losses.__getitem__)
        row = f"best adam ({method.words})"
        (cell,) = (
            e
            for e in found
            if (e["table"], e["row"]) == (problem.name, row) and "100%" in e["quantity"]
        )
        assert float(cell["mean"]) == pytest.approx(min(losses.values()))


def test_the_page_holds_all_by_itself(result):
    text = result.report.read_text()
    parts = Parts()
    parts.feed(text)
    assert len(parts.loaded) == len(PICTURES)
    assert all(source.startswith("data:image/png;base64,") for source in parts.loaded)
    for claim in result.claims:
        assert claim.verdict.value in text
    for needed in (
        "2007.13171",
        "in hindsight",
        "cross-validation",
        "Longer runs",
        "random W",
        "Krylov",
        "not tuned",
    ):
        assert needed in text
    assert "Quick variant" not in text


@pytest.mark.usefixtures("pictures_as_before")
def test_the_command_goes_on_from_kept_runs(result, home, monkeypatch):
    before = stamps(home)
    monkeypatch.setattr(catalogue, "experiments", lambda: {"gnvpro": TINY})
    answer = CliRunner().invoke(app, ["reproduce", "gnvpro", "-o", str(home)])
    assert answer.exit_code == 0, answer.output
    n_runs = len(result.runs) + len(result.folds) + len(result.longer)
    assert answer.stderr.count("(kept)") == n_runs
    assert stamps(home) == before
    assert answer.stdout.count("cannot be said") >= 1


@pytest.mark.parametrize("ending", ["json", "npz"])
@pytest.mark.usefixtures("pictures_as_before")
def test_a_run_that_is_not_whole_is_made_again(result, home, ending):
    path, lines = home / "runs" / f"{SHOWN}-{GNVPRO}-seed0.{ending}", []
    path.write_bytes(path.read_bytes()[:100])
    again = reproduce_gnvpro(TINY, home, Teller(lines.append))
    n_runs = len(result.runs) + len(result.folds) + len(result.longer)
    assert sum("(kept)" in line for line in lines) == n_runs - 1
    assert [one.history for one in again.runs] == [one.history for one in result.runs]


def run(problem, label, seed, losses, setting=None):
    """Return a run that spends its work evenly and sees these validation losses."""
    units = np.linspace(0, (setting or GnvproSetting()).budget(problem), len(losses)).tolist()
    history = dict.fromkeys((*HISTORY, "test accuracy"), list(map(float, losses)))
    return Run(problem.name, label, seed, {}, "ended", 0.0, 0, {**history, "work_units": units})


def made_up(ours, theirs, setting=None):
    """Return results in which GNvpro and all others have these losses, apart by a little noise."""
    setting = setting or GnvproSetting()
    runs = [
        run(problem, method.label, seed, np.asarray(losses) + 0.01 * seed, setting)
        for problem in setting.problems
        for method in setting.methods
        for losses in (ours if method.label == GNVPRO else theirs,)
        for seed in setting.seeds
    ]
    chosen = setting.of_family(ADAM)[0]
    return Results(setting, runs, {problem.name: chosen for problem in setting.claimed})


def test_claims_are_judged_by_the_runs():
    # A fifth of the work is the second of six values.
    short = made_up([9, 1, 1, 1, 1, 1], [9, 3, 3, 3, 3, 2])
    long = made_up([9, 3, 1, 1, 1, 1], [9, 3, 3, 3, 3, 2], GnvproSetting().longer)
    judged = {claim.what: claim.verdict for claim in claims(short, long, [])}
    for opponent in (ADAM, CHOSEN):
        for passes, verdict in (("500 passes", Verdict.YES), ("2,500 passes", Verdict.NO)):
            (at_a_fifth,) = (
                judged[what]
                for what in judged
                if what.startswith("GNvpro")
                and IN_WORDS[opponent] in what
                and f"20% of its work units ({passes})" in what
            )
            assert at_a_fifth is verdict
    assert {v for what, v in judged.items() if what.startswith("L-BFGS with e")} == {Verdict.NO}
    assert "validation loss than the best Adam" in "".join(judged)
    short = made_up([9, 3, 3, 3, 3, 1.99], [9, 3, 3, 3, 3, 2])
    close = [claim.verdict for claim in claims(short, long, [])]
    # Lower with all of the work, but not clearly, and not after a fifth of it.
    assert close[:3] == [Verdict.YES, Verdict.NO, Verdict.NO]


def test_of_the_grid_the_lowest_and_the_chosen_are_run_longer():
    short = made_up([9, 1], [9, 2])
    setting = replace(short.setting, long_of_grid=2)
    first, second, third = setting.of_family(ADAM)[:3]
    # All are as low: the first two are taken, and what is chosen beside them.
    for chosen, adam in ((first, (first, second)), (third, (first, second, third))):
        choice = {problem.name: chosen for problem in setting.claimed}
        plan = plan_of_longer(Results(setting, short.runs, choice))
        labels = {GNVPRO, GNVPRO_PLAIN, LBFGS_VARPRO, *(method.label for method in adam)}
        assert {one.label for one in plan} == labels
        assert len(plan) == len(labels) * len(CLAIMED) * len(setting.seeds)


def test_losses_are_the_lowest_so_far():
    one = run(PROBLEMS["peaks"], GAUSS_NEWTON, 0, [5, math.nan, 2, 4, 1, 3])
    budget = GnvproSetting().budget(PROBLEMS["peaks"])
    assert [one.best_at(share * budget) for share in (0, 0.2, 0.4, 0.7, 1)] == [5, 5, 2, 2, 1]
    assert one.units_to(2.0) == pytest.approx(0.4 * budget)
    assert math.isnan(one.units_to(0.5))


def test_the_quick_variant_is_small():
    quick = GnvproSetting().shortened()
    assert quick.quick
    assert {problem.name for problem in quick.problems} == {CLAIMED[0], SHOWN}
    assert quick.seeds == (0,)
    assert len(quick.of_family(ADAM)) == 2
    assert len(GnvproSetting().of_family(ADAM)) == 12


def test_results_hold_what_was_set(result, home):
    results = json.loads((home / "results.json").read_text())
    assert results["setting"]["regularisation"]["squared error"] == {"ridge": 1e-6, "decay": 1e-6}
    assert len(results["claims"]) == len(result.claims)
    assert len(results["runs"]) == len(result.runs)
