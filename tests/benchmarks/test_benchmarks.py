"""The benchmark against peers: its bookkeeping, its page, and the peers that need no more."""

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import jax.random as jr
import numpy as np
import pytest
from matplotlib.image import imread
from scipy.stats import multivariate_normal, norm

from brenier.data.datasets import CorrelatedGaussian
from brenier.optimizers.progress import Progress
from brenier.status import FitStatus

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks import accuracy, chart, data, elimination, page, report, summary, uci, uci_fit
    from benchmarks.curves import Curve
    from benchmarks.fit import FITTED, NOT_FINITE, Task
    from benchmarks.peers import PEERS, REGRESSORS, Peer
    from benchmarks.peers.protocol import Fitted, check_found
    from benchmarks.peers.regressors import Regressed
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


def shows_something(path):
    """Return whether a file is a picture of some size that is not blank."""
    pixels = imread(path)
    return min(pixels.shape[:2]) > 100 and np.ptp(pixels[..., :3]) > 0.5


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
    assert shows_something(tmp_path / "toys.png")


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
    assert np.allclose(whiten.back(Z), ROWS.train, atol=1e-10)
    gaussian = multivariate_normal(ROWS.train.mean(axis=0), np.cov(ROWS.train.T))
    log_density = multivariate_normal(np.zeros(3)).logpdf(whiten(ROWS.test)) - whiten.log_det
    assert np.allclose(log_density, gaussian.logpdf(ROWS.test), atol=1e-10)


@pytest.mark.parametrize("name", ["gaussian", "mixture", "kde"])
def test_peers_of_this_environment_fit(name):
    fitted = PEERS[name].load()(ROWS, 0, lambda: 1.0)
    gap = np.mean(TRUTH.log_density(ROWS.test) - fitted.log_density(ROWS.test))
    # 300 rows: a parametric fit loses some (number of parameters) / 600, a kernel more.
    assert -0.02 < gap < (0.5 if name == "kde" else 0.1)
    # Of the rows' own scatter: a kernel widens it by the square of its bandwidth.
    draws = fitted.draw(20_000)
    assert draws.shape == (20_000, 3)
    wider = 1 + fitted.chosen.get("bandwidth", 0.0) ** 2
    assert np.allclose(np.cov(draws.T), wider * np.cov(ROWS.train.T), atol=0.1)
    assert np.allclose(draws.mean(axis=0), ROWS.train.mean(axis=0), atol=0.1)


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
    draws = fitted.draw(100)
    assert draws.shape == (100, 3)
    assert np.isfinite(draws).all()


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
    assert list(accuracy.installed(("kde", "gaussian"), PEERS, "bench")) == ["gaussian"]
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
            return lambda rows, seed, clock: Fitted(
                lambda X: np.full(len(X), np.nan), np.zeros, 0.0, {}
            )

    monkeypatch.setitem(module.PEERS, "kde", Broken())
    measured = module.measure(Task("toys", "rings", "kde", 0))
    assert measured["status"] == NOT_FINITE
    assert "5000 of 5000" in measured["message"]


def test_an_interrupted_run_goes_on(tmp_path):
    task = Task("toys", "rings", "kde", 0)
    answers = [failure(), record(nll=1.0), record(nll=2.0)]

    def kept(machine):
        return accuracy.record(task, tmp_path, machine, lambda task: answers.pop(0))

    # A failure is tried again, a fit is kept, and what another machine measured is not.
    assert kept(MACHINE)["status"] == accuracy.FAILED
    assert kept(MACHINE)["nll"] == 1.0
    assert kept({**MACHINE, "system": "other"})["nll"] == 1.0
    assert kept({**MACHINE, "cores": 4})["nll"] == 2.0
    assert len(accuracy._kept_records(TOYS, tmp_path, {**MACHINE, "cores": 4})) == 1
    assert accuracy._kept_records(TOYS, tmp_path, MACHINE) == []


def test_absent_data_are_said_to_be_absent(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data, "POSTERIORS", tmp_path / "none")
    accuracy.main_suite(REAL, accuracy.Choice(), tmp_path)
    assert "skipped posteriors" in capsys.readouterr().out


# Regression on UCI tables.
#
# Rows whose target is twice the first column plus standard normal noise.
X_UCI = np.random.default_rng(0).normal(size=(40, 2))
Y_UCI = 2 * X_UCI[:, 0] + np.random.default_rng(1).normal(size=40)


def true_regression(rows, split):
    """Return the true density as a fitted one."""
    return Regressed(
        lambda X, y: norm(2 * X[:, 0]).logpdf(y),
        lambda X: np.column_stack(norm(2 * X[:, 0]).interval(0.9)),
        {},
    )


def uci_record(**changes):
    """Return the record of a fit to a UCI table."""
    fitted = {
        **{"suite": "uci", "data": "yacht", "peer": "brenier", "seed": 0, "status": FITTED},
        **{"nll": 0.5, "nll_error": 0.1, "coverage": 0.9, "seconds": 3.0, "chosen": {}},
        "versions": {"brenier": "1"},
    }
    return {**fitted, **changes}


@pytest.fixture
def uci_folder(tmp_path, monkeypatch):
    """Write a table in the form of those of UCI, with the target in the middle."""
    table = np.column_stack([X_UCI[:, 0], Y_UCI, X_UCI[:, 1]])
    folder = tmp_path / "data" / "yacht"
    folder.mkdir(parents=True)
    np.savetxt(folder / "data.txt", table)
    for what, numbers in {
        "features": [0, 2],
        "target": [1],
        "train_3": np.arange(10, 40),
        "test_3": np.arange(10),
    }.items():
        np.savetxt(folder / f"index_{what}.txt", numbers)
    monkeypatch.setattr(data, "UCI", tmp_path / "data")
    return tmp_path / "out"


def test_a_split_has_the_rows_and_columns_of_its_index_files(uci_folder):
    rows = data.uci("yacht", 3)
    assert np.array_equal(rows.X, X_UCI[10:])
    assert np.array_equal(rows.y, Y_UCI[10:])
    assert np.array_equal(rows.X_test, X_UCI[:10])
    assert np.array_equal(rows.y_test, Y_UCI[:10])


def test_the_standard_splits_are_whole():
    if not data.UCI.is_dir():
        pytest.skip(f"no data at {data.UCI}")
    for name, columns in {"concrete": 8, "energy": 8, "yacht": 6}.items():
        rows = data.uci(name, 19)
        assert rows.X.shape[1] == rows.X_test.shape[1] == columns
        assert len(rows.y_test) == pytest.approx(len(rows.y) / 9, rel=0.05)


def test_a_regression_has_nll_and_coverage(uci_folder, monkeypatch):
    monkeypatch.setattr(Peer, "load", lambda self: true_regression)
    measured = uci_fit.measure(Task("uci", "yacht", "brenier", 3))
    assert measured["status"] == FITTED
    z = Y_UCI[:10] - 2 * X_UCI[:10, 0]
    assert measured["nll"] == pytest.approx(np.mean(0.5 * z**2) + 0.5 * np.log(2 * np.pi))
    assert measured["coverage"] == np.mean(np.abs(z) <= norm.ppf(0.95))
    assert {"brenier", "scikit-learn"} <= set(measured["versions"])


def test_a_regression_without_an_interval_is_said_to_be_so(uci_folder, monkeypatch):
    broken = true_regression(None, 0)._replace(interval=lambda X: np.full((len(X), 2), np.nan))
    monkeypatch.setattr(Peer, "load", lambda self: lambda rows, split: broken)
    measured = uci_fit.measure(Task("uci", "yacht", "brenier", 3))
    assert measured["status"] == NOT_FINITE
    assert "10 of 10" in measured["message"]


def test_ngboost_fits():
    if REGRESSORS["ngboost"].missing:
        pytest.skip("needs ngboost")
    rows = data.Regression(X_UCI, Y_UCI, X_UCI, Y_UCI)
    fitted = REGRESSORS["ngboost"].load()(rows, 0)
    low, high = fitted.interval(X_UCI).T
    assert np.all(low < high)
    assert np.mean(fitted.log_density(X_UCI, Y_UCI)) > -2


def test_two_calls_merge_in_the_same_folder(uci_folder, monkeypatch, capsys):
    def measured(task, **_):
        nll = {"brenier": 0.4, "ngboost": 0.5}[task.peer]
        return uci_record(peer=task.peer, nll=nll + task.seed, seed=task.seed)

    monkeypatch.setattr(accuracy, "measured", measured)
    monkeypatch.setattr(Peer, "missing", ())
    for peer, version in {"brenier": "2", "ngboost": "1"}.items():
        machine = {"processor": "some", "cores": 1, "scikit-learn": version}
        monkeypatch.setattr(report, "machine", lambda machine=machine: machine)
        uci.run(uci_folder, [peer], 2, ["yacht"])
    records = report.read("uci", uci_folder)
    assert [one["peer"] for one in records] == ["brenier", "brenier", "ngboost", "ngboost"]
    assert "tables of 1 with a test NLL below NGBoost's" in capsys.readouterr().out
    (ours, theirs) = uci.rows(records)
    assert ours.cells == ("yacht", "brenier", "2", "0.900 ± 0.500", "0.900", "3.0")
    assert "| yacht | ngboost | 2 | 1.000 ± 0.500 | 0.900 | 3.0 |" in uci.markdown(records)


def test_uci_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data, "UCI", tmp_path / "none")
    uci.run(tmp_path, ["brenier"], 1, ["yacht"])
    assert "skipped uci: no data" in capsys.readouterr().out


def test_uci_figures_know_their_targets():
    records = [uci_record(), uci_record(seed=1, status="failed", message="MemoryError")]
    found = {figure.what: figure for figure in uci.figures(records)}
    assert found["yacht: test NLL"].reached
    assert found["yacht: coverage of 90 %"].reached
    assert uci.rows(records)[0].cells[2] == "2 (1 failed)"


def test_peers_are_compared_on_the_splits_that_both_fitted():
    records = [uci_record(nll=0.4), uci_record(nll=0.3, peer="ngboost")]
    records.append(uci_record(nll=9.0, peer="ngboost", seed=1))
    *_, figure = uci.figures(records)
    assert figure.measured == 0
    assert figure.detail == "same splits: yacht 0.400 to 0.300"


# With and without elimination.


def test_a_curve_keeps_the_best_so_far():
    curve = Curve.of([10, 20, 30], [-3.0, -2.0, -2.5], [math.nan, -3.0, -4.0])
    assert curve.at(5) == (-math.inf, -math.inf)
    assert curve.at(25) == (-2.0, -3.0)
    assert curve.at(99) == (-2.0, -3.0)
    assert curve.units_to(-3.5) == 20
    assert math.isnan(curve.units_to(-1.0))


def test_searches_that_share_no_weights_share_the_units():
    one = Curve.of([10, 30], [-2.0, -1.0], [-2.0, -1.0])
    other = Curve.of([20], [-5.0], [-6.0])
    both = Curve.of_blocks([one, other])
    assert both.units.tolist() == [40, 60]
    assert both.train.tolist() == [-7.0, -6.0]
    assert both.heldout.tolist() == [-8.0, -7.0]


def test_schemes_are_compared_at_equal_units():
    def fitted(optimizer, units, heldout):
        curve = {"units": units, "train": heldout, "heldout": heldout}
        outcome = {"test_nll": -heldout[-1], "gaussian": -9.0, "seconds": 1.0, "status": "ended"}
        return {"flow": "some", "optimizer": optimizer, "seed": 0, "curve": curve, **outcome}

    records = [
        fitted("adam-varpro", [10, 20, 40], [-3.0, -2.0, -1.0]),
        fitted("adam", [10, 30], [-4.0, -2.0]),
    ]
    (compared,) = elimination.comparisons(records)
    assert compared.heldout.tolist() == [[-2.0, -2.0]]
    assert compared.units.tolist() == [[20.0, 30.0]]
    assert elimination.markdown(records)[-1] == (
        "| some | Adam | 1.000 | 2.000 | -2.000 | -2.000 | -2.000 | -2.000 | 20 | 30 | 1.0 | 1.0 |"
    )


def test_a_flow_is_trained_with_and_without_elimination(tmp_path, monkeypatch):
    settings = elimination._settings
    small = {"widths": (4,), "context_widths": (4,), "max_iter": 2}
    monkeypatch.setattr(elimination, "_settings", lambda *given: settings(*given) | small)
    monkeypatch.setattr(elimination, "PAIRS", {"L-BFGS": ("lbfgs-varpro", "lbfgs-full")})
    records = elimination.run(tmp_path, seeds=1, only=["conditional"])
    assert [one["optimizer"] for one in records] == ["lbfgs-varpro", "lbfgs-full"]
    assert all(math.isfinite(one["test_nll"]) for one in records)
    assert shows_something(tmp_path / "elimination.png")
    assert len(report.read("elimination", tmp_path)) == 2


def ended(units, log_likelihood, gaussian):
    """Return what a fit of one run reports, as far as it is looked at."""
    history = {
        "work_units": (units,),
        "train_log_likelihood": (log_likelihood,),
        "heldout_log_likelihood": (log_likelihood,),
    }
    return SimpleNamespace(
        history=history,
        gaussian_heldout_log_likelihood=gaussian,
        seconds={"runs": 3.0, "compile": 1.0},
        status=FitStatus.ITERATION_LIMIT,
    )


class FittedBefore:
    """A flow whose fit is known: of two blocks, or of two runs one after the other."""

    flows_ = [
        SimpleNamespace(report_=ended(10, -1.0, -2.0)),
        SimpleNamespace(report_=ended(20, -3.0, -5.0), score=lambda context, X: -X.shape[1]),
    ]
    blocks_ = [["x0", "x1"], ["x2", "x3"]]
    report_ = ended(20, -3.0, -5.0)

    def __init__(self, *_, **settings):
        pass

    def fit(self, X, *, validation_data=None, callback=None):
        """Tell of two iterations of two runs."""
        if callback is not None:
            callback(Progress(1, 1, 9, -3.0, -4.0, 0, 30, 0.1))
            callback(Progress(2, 1, 9, -2.0, -3.0, 0, 20, 0.2))
        return self

    def score(self, X):
        """Return minus the number of columns."""
        return -X.shape[1]


def test_a_triangular_flow_is_the_sum_of_its_blocks(monkeypatch):
    monkeypatch.setattr(elimination, "TriangularConvexPotentialFlow", FittedBefore)
    rows = elimination.bent(9, 0), elimination.bent(5, 1)
    last, whole = elimination.triangular(lambda seed: rows, "some", "adam", 0, 40)
    assert last[0] == "conditional: some, 2nd half given 1st"
    assert whole[0] == "block-triangular: some"
    assert (last[1].test_nll, whole[1].test_nll) == (2, 4)
    assert (last[1].gaussian, whole[1].gaussian) == (-5, -7)
    assert (last[1].seconds, whole[1].seconds) == (2, 4)
    assert last[1].curve.units.tolist() == [20]
    assert whole[1].curve.units.tolist() == [40]
    assert whole[1].curve.heldout.tolist() == [-4]


def test_a_composition_counts_the_units_of_all_its_runs(monkeypatch):
    monkeypatch.setattr(elimination, "ConvexPotentialFlow", FittedBefore)
    ((_, outcome),) = elimination.composed("adam", 0, 40)
    assert outcome.curve.units.tolist() == [30, 50]
    assert np.allclose(outcome.curve.train, [-3.0, -2.0])
    assert np.allclose(outcome.curve.heldout, [-4.0, -3.0])


def test_rows_of_posteriors_are_replaced_where_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "POSTERIORS", tmp_path / "none")
    assert elimination.problems()["triangular"].fit.args[1] == "4 synthetic columns"
    X, test = elimination._bent(0)
    assert X.shape == (3000, 4)
    assert test.shape == (5000, 4)
