"""The thesis, reproduced: what is written, and which runs are used again."""

import json
import math
import shutil
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest
from reproduction import FIGURES, ROUNDING, TINY, failing, stamps

from brenier import ConvexPotentialFlow, load
from brenier.data.datasets import Moons
from brenier.reproduce.picture import DPI
from brenier.reproduce.record import Outcome, Store
from brenier.reproduce.reproduce import reproduce
from brenier.reproduce.runs import Teller

SHOWN = {
    "figure-2-1": ["L-BFGS", "without elimination", "with elimination", "outer iterations"],
    "figure-4-1": [*TINY.labels, "returned", "floor"],
    "figure-spread": [*TINY.labels, "thesis", "floor"],
}


def test_everything_is_written(made, folder):
    names = {path.name for path in folder.iterdir()}
    pictures = {f"{name}.{form}" for name in FIGURES for form in ("png", "svg")}
    assert names == pictures | {"runs", "report.html", "tables.csv", "results.json"}
    assert made.report == folder / "report.html"


@pytest.mark.parametrize("name", FIGURES)
def test_figures_say_what_they_show(made, folder, name):
    size = ElementTree.parse(folder / f"{name}.svg").getroot().get("width")
    pixels = matplotlib.image.imread(folder / f"{name}.png").shape[1]
    # An SVG is measured in points, of which there are 72 an inch.
    assert pixels == pytest.approx(DPI * float(size.removesuffix("pt")) / 72, abs=1)
    text = (folder / f"{name}.svg").read_text()
    for shown in SHOWN.get(name, ["map of the data", "reference samples", "density (1 / data"]):
        assert f"<!-- {shown}" in text


def test_results_hold_settings_seeds_versions_and_figures(made, folder):
    results = json.loads((folder / "results.json").read_text())
    assert results["setting"]["seeds"] == [0]
    assert results["setting"]["floor"] == pytest.approx(Moons(noise=0.1).best_loss())
    assert set(results["figures"]) == set(FIGURES)
    assert {"brenier", "jax", "numpy", "python", "machine"} <= set(results["versions"])
    assert [run["label"] for run in results["runs"]] == ["adam", "lbfgs-varpro", "default"]
    assert all(run["settings"]["estimator"]["random_state"] == 0 for run in results["runs"])
    assert results["tables"].keys() == {table.key for table in made.tables}
    assert len(results["claims"]) == len(made.claims)


def test_progress_is_told_run_by_run(made, told):
    for i, label in enumerate(TINY.labels, 1):
        assert any(line.startswith(f"[{i}/3] {label}, seed 0: test J") for line in told)


def test_history_is_in_the_units_of_the_table(made):
    run = next(run for run in made.runs if run.label == "lbfgs-varpro")
    validation = [J for J in run.history["validation"] if not math.isnan(J)]
    assert run.loss["validation"] == pytest.approx(min(validation), **ROUNDING)
    assert run.units == run.history["work_units"][-1] >= TINY.budget
    assert 0 < run.share("inner") < 1
    # The barrier method has no chord steps.
    assert run.cold_newton_steps > run.warm_newton_steps > 0
    assert run.cold_chord_steps == run.warm_chord_steps == 0


def test_steps_are_those_of_the_report(made, folder):
    run = next(run for run in made.runs if run.label == "default")
    report = load(folder / "runs" / "default-seed0.brenier").report_
    assert run.cold_newton_steps == report.newton_steps[0]
    assert run.warm_newton_steps == pytest.approx(np.mean(report.newton_steps[1:]))
    assert run.warm_chord_steps == pytest.approx(np.mean(report.chord_steps[1:]))
    assert run.warm_chord_steps > 0
    assert not next(run for run in made.runs if run.label == "adam").eliminates


@pytest.mark.usefixtures("drawn_before")
def test_finished_runs_are_used_again(made, folder):
    before, lines = stamps(folder), []
    again = reproduce(TINY, folder, Teller(lines.append))
    assert stamps(folder) == before
    assert [run.loss for run in again.runs] == [run.loss for run in made.runs]
    assert sum("(kept)" in line for line in lines) == 3


def test_other_settings_are_run_anew(made, folder):
    store = Store(folder / "runs")
    kept = made.runs[0].settings
    assert store.find("adam", 0, kept) is not None
    assert store.find("adam", 0, {**kept, "budget": 1}) is None
    assert store.find("adam", 7, kept) is None
    (folder / "runs" / "half-seed0.json").write_text('{"settings": ')
    assert store.find("half", 0, kept) is None
    (folder / "runs" / "half-seed0.json").unlink()


@pytest.mark.usefixtures("drawn_before")
def test_a_run_that_raises_is_reported_and_tried_again(made, folder, tmp_path, monkeypatch):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    (tmp_path / "runs" / "adam-seed0.json").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(ConvexPotentialFlow, "fit", failing(FloatingPointError("<boom>"), "adam"))
        result = reproduce(TINY, tmp_path, Teller())
    assert [run.outcome for run in result.bad] == [Outcome.RAISED]
    assert "FloatingPointError: <boom>" in result.bad[0].message
    text = (tmp_path / "report.html").read_text()
    assert "adam, seed 0: raised an exception" in text
    assert "&lt;boom&gt;" in text
    assert not (tmp_path / "figure-4-2-adam.png").exists()
    again = reproduce(TINY, tmp_path, Teller())
    assert again.bad == []
    # Deterministic: the same seed gives the same model, to the last digit.
    assert again.runs[0].loss == made.runs[0].loss


def test_an_interrupt_keeps_finished_runs(made, folder, tmp_path, monkeypatch):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    (tmp_path / "runs" / "lbfgs-varpro-seed0.json").unlink()
    before = stamps(tmp_path)
    monkeypatch.setattr(ConvexPotentialFlow, "fit", failing(KeyboardInterrupt(), "lbfgs-varpro"))
    with pytest.raises(KeyboardInterrupt):
        reproduce(TINY, tmp_path, Teller())
    assert stamps(tmp_path) == before
