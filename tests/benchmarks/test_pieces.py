"""Distributions in pieces, thin shapes, and the share of draws that lie outside every piece."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks import accuracy, data, fit, pieces, summary, thin
    from benchmarks.fit import Task
    from benchmarks.peers.protocol import Fitted
    from benchmarks.pieces import REACH, Pieces
    from benchmarks.suites import PIECES, THIN, DataSet
finally:
    sys.path.remove(str(ROOT))

# Rounding of exponents of a few thousands.
ROUNDING = {"rtol": 1e-11, "atol": 1e-10}
STANDARD_ERRORS = 4
TRUTHS = {
    "far-modes": pieces.far_modes(),
    "modes-in-a-cube": pieces.modes_in_a_cube(),
    "bananas": pieces.bananas(),
}
SIZES = {"far-modes": (1000, 2), "modes-in-a-cube": (2000, 8), "bananas": (1500, 3)}
# In two columns, close to each other, so that a grid covers them.
CLOSE = Pieces(((0.0, 0.0), (4.0, 1.0)), bend=0.7, shares=(1.0, 3.0))

on_all = pytest.mark.parametrize("name", TRUTHS)


def reference(truth, X):
    """Return the log-density column by column: the second given the first."""
    total = np.zeros(len(X))
    for share, centre in zip(truth.pi, truth.centres, strict=True):
        middles = np.tile(centre, (len(X), 1))
        middles[:, 1] += truth.bend * ((X[:, 0] - centre[0]) ** 2 - 1.0)
        total += share * norm(middles).pdf(X).prod(axis=1)
    return np.log(total)


@on_all
def test_log_density_is_the_reference(name):
    truth = TRUTHS[name]
    X = truth.sample(200, random_state=1)
    np.testing.assert_allclose(truth.log_density(X), reference(truth, X), **ROUNDING)


def test_without_a_bend_pieces_are_gaussians():
    truth = TRUTHS["modes-in-a-cube"]
    X = truth.sample(100, random_state=2) + 1.0
    parts = [multivariate_normal(centre).pdf(X) for centre in truth.centres]
    np.testing.assert_allclose(truth.log_density(X), np.log(np.mean(parts, axis=0)), **ROUNDING)


def test_a_bent_density_integrates_to_one():
    step = 0.05
    grid = np.meshgrid(np.arange(-8.0, 12.0, step), np.arange(-8.0, 55.0, step))
    X = np.stack(grid, axis=-1).reshape(-1, 2)
    assert np.exp(CLOSE.log_density(X)).sum() * step**2 == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(CLOSE.pi, [0.25, 0.75])


@on_all
def test_samples_have_the_entropy_and_the_shares(name):
    truth = TRUTHS[name]
    X = truth.sample(20_000, random_state=3)
    log_p = truth.log_density(X)
    error = log_p.std() / math.sqrt(len(X))
    assert abs(log_p.mean() + truth.entropy()) < STANDARD_ERRORS * error
    found = np.bincount(truth.piece(X)) / len(X)
    errors = np.sqrt(truth.pi * (1 - truth.pi) / len(X))
    assert np.all(np.abs(found - truth.pi) < STANDARD_ERRORS * errors)


@on_all
def test_no_piece_reaches_another(name):
    truth = TRUTHS[name]
    X = truth.sample(20_000, random_state=4)
    near = np.linalg.norm(truth.straightened(X), axis=2) <= 2 * REACH
    assert np.all(near.sum(axis=1) == 1)


@on_all
def test_the_truths_own_draws_are_inside(name):
    assert not TRUTHS[name].outside(TRUTHS[name].sample(fit.N_DRAWS, random_state=5)).any()


@on_all
def test_what_is_between_pieces_is_outside(name):
    centres = np.array(TRUTHS[name].centres)
    between = 0.5 * (centres + np.roll(centres, 1, axis=0))
    assert TRUTHS[name].outside(between).all()
    assert TRUTHS[name].outside(np.full((1, centres.shape[1]), np.nan)).all()


def test_distances_are_along_the_bend():
    arm, below = [3.0, 0.7 * 8.0, 0.0], [3.0, -2.0, 0.0]
    assert TRUTHS["bananas"].outside(np.array([arm, below])).tolist() == [False, True]


@on_all
def test_rows_are_split_and_differ_by_seed(name):
    rows = PIECES.datasets[name].rows(0)
    N, n = SIZES[name]
    assert [part.shape for part in rows] == [(N, n), (N // 2, n), (5000, n)]
    assert np.array_equal(rows.train, PIECES.datasets[name].rows(0).train)
    every = np.vstack([*rows, *PIECES.datasets[name].rows(1)])
    assert len(np.unique(every, axis=0)) == len(every)


# What is outside, in records and tables.


def test_a_record_has_the_share_outside_only_where_there_are_pieces():
    truth = TRUTHS["far-modes"]
    half = np.vstack([truth.sample(1000, 0), np.full((1000, 2), 25.0)])
    fitted = Fitted(truth.log_density, lambda N: half, 0.0, {})
    assert fit._outside(PIECES.datasets["far-modes"], fitted) == {"outside": 0.5}
    assert fit._outside(DataSet(PIECES.datasets["far-modes"].rows, truth), fitted) == {}


def test_a_gaussian_over_pieces_is_outside():
    measured = fit.measure(Task("pieces", "far-modes", "gaussian", 0))
    assert measured["outside"] > 0.9
    assert measured["gap"] > 4.0
    mixture = fit.measure(Task("pieces", "far-modes", "mixture", 0))
    assert mixture["outside"] < 0.001
    assert mixture["gap"] < 0.03


def test_the_share_is_shown_after_the_losses():
    one = {"suite": "pieces", "data": "bananas", "peer": "kde", "seed": 0, "status": fit.FITTED}
    record = {**one, "nll": 4.0, "gap": 0.1, "J": 1.0, "outside": 0.0213}
    shown = [one for one in summary.quantities(PIECES, [record]) if one.ranked]
    assert [quantity.field for quantity in shown] == ["gap", "nll", "outside"]
    (line,) = summary.lines([record], shown[-1])
    assert line.cells == {"kde": "0.0213"}


# Thin shapes.


@pytest.mark.parametrize(("name", "n", "N"), [("lagged", 5, 3500), ("rates", 16, 3000)])
def test_thin_rows_are_split_and_standardised(name, n, N):
    if not thin.present():
        pytest.skip(f"no data at {data.CASES}")
    rows = thin.rows(name, 0)
    assert [part.shape for part in rows] == [(500, n), (250, n), (N - 750, n)]
    np.testing.assert_allclose(rows.train.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(rows.train.std(axis=0), 1.0, atol=1e-12)
    # Thin: along some direction they hardly vary.
    assert np.linalg.eigvalsh(np.cov(rows.test.T))[0] < 0.05
    assert not np.array_equal(thin.rows(name, 1).train, rows.train)


def test_without_the_generators_thin_shapes_are_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data, "CASES", tmp_path / "none.py")
    assert list(accuracy._tasks(THIN, accuracy.Choice(("gaussian",)))) == []
    accuracy.main_suite(THIN, accuracy.Choice(), tmp_path)
    assert "skipped thin: lagged, rates: no data" in capsys.readouterr().out


def test_every_row_is_a_generators_own(tmp_path, monkeypatch):
    file = tmp_path / "make.py"
    file.write_text(
        "import numpy as np\n"
        "def lagged(seed):\n"
        "    X = np.random.default_rng(seed).normal(5.0, 2.0, size=(1000, 3))\n"
        "    return X[:500], X[500:], None, 'right'\n"
    )
    monkeypatch.setattr(data, "CASES", file)
    X = np.random.default_rng(thin.FIRST_SEED["lagged"] + 4).normal(5.0, 2.0, size=(1000, 3))
    found = np.vstack(thin.rows("lagged", 4))
    np.testing.assert_allclose(found, (X - X[:500].mean(axis=0)) / X[:500].std(axis=0))
