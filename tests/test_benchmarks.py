"""The benchmark against peers: its bookkeeping, its page, and the peers that need no more."""

import json
import math
import sys
from pathlib import Path

import jax.random as jr
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from brenier.datasets import CorrelatedGaussian

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks import accuracy, chart, data, page, summary
    from benchmarks.fit import FITTED, NOT_FINITE, Task
    from benchmarks.peers import PEERS, Peer
    from benchmarks.peers.protocol import Fitted, check_found
    from benchmarks.suites import MOONS, REAL, SUITES, TOYS
    from benchmarks.whitening import Whitening
finally:
    sys.path.remove(str(ROOT))

TRUTH = CorrelatedGaussian(3)
ROWS = data.drawn(TRUTH, (300, 200, 400), 0)
MACHINE = {"system": "one", "cores": 2, "processor": "some", "jax": "1"}


def record(**changes):
    """Return the record of a fit."""
    fitted = {
        **{"suite": "toys", "data": "rings", "peer": "kde", "seed": 0, "status": FITTED},
        **{"nll": 1.0, "nll_error": 0.1, "J": 0.5, "gap": 0.2, "gap_error": 0.01},
        **{"best_at": 2.0, "seconds": 3.0, "peak_mib": 100.0, "chosen": {}},
    }
    return {**fitted, **changes}


def failure(**changes):
    """Return the record of a fit that crashed."""
    what = {"suite": "toys", "data": "rings", "peer": "kde", "seed": 0, "seconds": 3.0}
    return {**what, "status": accuracy.FAILED, "message": "MemoryError", **changes}


def test_the_committed_page_is_the_generated_one():
    assert page.PAGE.read_text() == page.text()


def test_the_page_leaves_out_what_was_not_measured(tmp_path):
    text = page.text(tmp_path)
    assert all(suite.title not in text for suite in SUITES.values())
    assert all(f"**{name}**" in text for name in PEERS)


def test_the_page_has_tables_machine_and_failures(tmp_path):
    records = [record(), record(peer="brenier", gap=0.1), failure(data="maf-moon")]
    kept = {"machine": {**MACHINE, "python": "3"}, "figures": records}
    (tmp_path / "toys.json").write_text(json.dumps(kept))
    text = page.text(tmp_path)
    assert "| rings | 0.2000 | **0.1000** |" in text
    assert "2 cores of some; python 3, jax 1." in text
    assert "maf-moon, seed 0, kde: failed, `MemoryError`" in text


def test_every_peer_has_a_style_of_its_own():
    assert set(chart.STYLES) == set(PEERS)
    assert len(set(chart.STYLES.values())) == len(PEERS)


def test_a_chart_is_drawn_with_failures_in_it(tmp_path):
    records = [record(), record(seed=1), failure(peer="mixture"), record(data="maf-moon")]
    chart.draw(TOYS, records, tmp_path / "toys.png")
    assert (tmp_path / "toys.png").stat().st_size > 0


def test_tables_show_mean_and_deviation_and_mark_the_best():
    records = [record(nll=1.0), record(nll=2.0, seed=1), record(nll=1.2, peer="gaussian")]
    (line,) = summary.lines(records, summary.LOSSES[0])
    assert line.cells == {"kde": "1.500 ± 0.707", "gaussian": "1.200"}
    assert line.best == {"gaussian"}


def test_equal_figures_are_all_marked_and_failures_never():
    records = [record(nll=1.00001), record(nll=1.0, peer="gaussian"), record(nll=0.0, peer="maf")]
    records.append(failure(peer="maf", seed=1))
    (line,) = summary.lines(records, summary.LOSSES[0])
    assert line.best == {"kde", "gaussian"}
    assert line.cells["maf"] == "0.000 (1 of 2 failed)"


def test_a_peer_alone_is_not_the_best():
    (line,) = summary.lines([record()], summary.LOSSES[0])
    assert line.best == set()


def test_nothing_is_best_where_all_failed():
    (line,) = summary.lines([failure()], summary.LOSSES[0])
    assert line.best == set()


def test_each_suite_shows_first_what_it_compares():
    losses = {"moons": ["gap", "nll", "J"], "toys": ["gap", "nll"]}
    for suite in (MOONS, TOYS):
        shown = [quantity.field for quantity in summary.quantities(suite, [record()])]
        assert shown == [*losses[suite.name], "best_at", "seconds", "peak_mib"]


def test_whitening_is_a_change_of_variables():
    whiten = Whitening.of(ROWS.train)
    Z = whiten(ROWS.train)
    assert np.allclose(np.cov(Z.T), np.eye(3), atol=1e-10)
    gaussian = multivariate_normal(ROWS.train.mean(axis=0), np.cov(ROWS.train.T))
    log_density = multivariate_normal(np.zeros(3)).logpdf(whiten(ROWS.test)) - whiten.log_det
    assert np.allclose(log_density, gaussian.logpdf(ROWS.test), atol=1e-10)


@pytest.mark.parametrize("name", ["gaussian", "mixture", "kde"])
def test_peers_of_this_environment_fit(name):
    fitted = PEERS[name].load()(ROWS, 0, lambda: 1.0)
    gap = np.mean(TRUTH.log_density(ROWS.test) - fitted.log_density(ROWS.test))
    # 300 rows: a parametric fit loses some (number of parameters) / 600, a kernel more.
    assert -0.02 < gap < (0.5 if name == "kde" else 0.1)


@pytest.mark.parametrize("name", ["zuko-nsf", "zuko-maf", "flowjax-nsf"])
def test_peers_of_the_extra_fit(name, monkeypatch):
    if PEERS[name].missing:
        pytest.skip(f"needs {PEERS[name].missing}")
    fit = PEERS[name].load()
    module = sys.modules[fit.__module__]
    monkeypatch.setattr(module, "MAX_EPOCHS", 5)
    monkeypatch.setattr(module, "RATES", (3e-3,))
    fitted = fit(ROWS, 0, lambda: 1.0)
    assert math.isfinite(fitted.log_density(ROWS.test).mean())


def test_a_search_that_found_nothing_is_an_error():
    with pytest.raises(FloatingPointError, match="no learning rate"):
        check_found(math.inf)


def test_flowjax_holds_out_the_validation_rows():
    train_utils = pytest.importorskip("flowjax.train.train_utils")
    from benchmarks.peers import flowjax_flows

    key = jr.key(3)
    rows = flowjax_flows._ordered(key, ROWS.train, ROWS.valid)
    # As fit_to_data does with its key.
    train, valid = train_utils.train_val_split(jr.split(key)[1], [rows], 200 / 500)
    assert np.allclose(train[0], ROWS.train, atol=1e-6)
    assert np.allclose(valid[0], ROWS.valid, atol=1e-6)


def test_what_is_not_installed_is_said_and_skipped(monkeypatch, capsys):
    absent = Peer("absent", "fit", ("no_such_package",), "")
    monkeypatch.setitem(PEERS, "kde", absent)
    assert list(accuracy._installed(("kde", "gaussian"))) == ["gaussian"]
    assert "skipped kde: install no_such_package" in capsys.readouterr().out


def test_a_fit_has_a_record_and_so_has_a_crash():
    fitted = accuracy.measured(Task("toys", "gaussian-16d", "gaussian", 0))
    assert fitted["status"] == FITTED
    assert fitted["gap"] == pytest.approx(152 / 4000, abs=0.03)
    assert fitted["peak_mib"] > 50
    crashed = accuracy.measured(Task("toys", "gaussian-16d", "no-such-peer", 0))
    assert crashed["status"] == accuracy.FAILED
    assert "no-such-peer" in crashed["message"]


def test_a_fit_that_takes_too_long_is_given_up():
    stopped = accuracy.measured(Task("toys", "rings", "gaussian", 0), limit=0.01)
    assert stopped["status"] == accuracy.FAILED
    assert "0.01 s" in stopped["message"]


def test_a_density_that_is_not_finite_is_said_to_be_so(monkeypatch):
    from benchmarks import fit as module

    class Broken:
        def load(self):
            return lambda rows, seed, clock: Fitted(lambda X: np.full(len(X), np.nan), 0.0, {})

    monkeypatch.setitem(module.PEERS, "kde", Broken())
    measured = module.measure(Task("toys", "rings", "kde", 0))
    assert measured["status"] == NOT_FINITE
    assert "5000 of 5000" in measured["message"]


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
    task = Task("toys", "rings", "kde", 0)
    answers = [failure(), record(nll=1.0), record(nll=2.0)]
    monkeypatch.setattr(accuracy, "measured", lambda task: answers.pop(0))
    # A failure is tried again, a fit is kept, and what another machine measured is not.
    assert accuracy._record(task, tmp_path, MACHINE)["status"] == accuracy.FAILED
    assert accuracy._record(task, tmp_path, MACHINE)["nll"] == 1.0
    assert accuracy._record(task, tmp_path, {**MACHINE, "system": "other"})["nll"] == 1.0
    assert accuracy._record(task, tmp_path, {**MACHINE, "cores": 4})["nll"] == 2.0
    assert len(accuracy._kept_records(TOYS, tmp_path, {**MACHINE, "cores": 4})) == 1
    assert accuracy._kept_records(TOYS, tmp_path, MACHINE) == []


def test_absent_data_are_said_to_be_absent(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data, "POSTERIORS", tmp_path / "none")
    accuracy.main_suite(REAL, accuracy.Choice(), tmp_path)
    assert "skipped posteriors" in capsys.readouterr().out
