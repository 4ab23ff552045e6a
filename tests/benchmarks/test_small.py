"""Small real tables: their rows, peers that choose by themselves, and differences between them."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import KFold
from sklearn.neighbors import KernelDensity

from brenier.data.datasets import CorrelatedGaussian

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks import accuracy, data, differences, page, small, summary
    from benchmarks.fit import FITTED
    from benchmarks.peers import PEERS, classical, convex
    from benchmarks.peers.protocol import with_rows_to_choose_by
    from benchmarks.suites import SMALL
finally:
    sys.path.remove(str(ROOT))

ROWS = data.drawn(CorrelatedGaussian(2), (150, 1, 400), 0)
# None to choose by.
ALONE = ROWS._replace(valid=ROWS.train[:0])


def record(peer, seed, nll, name="iris", status=FITTED):
    """Return the record of a fit."""
    return {"data": name, "peer": peer, "seed": seed, "status": status, "nll": nll}


@pytest.mark.parametrize(
    ("name", "N", "n"),
    [("iris", 150, 4), ("wine", 178, 13), ("diabetes", 442, 8), ("breast-cancer", 569, 6)],
)
def test_tables_are_split_and_have_a_density(name, N, n):
    train, valid, test = small.table(name, 3)
    assert (len(train) + len(test), len(valid)) == (N, 0)
    assert train.shape[1] == test.shape[1] == n
    assert len(test) == round(0.2 * N)
    every = np.vstack([train, test])
    assert all(len(np.unique(column)) == N for column in every.T)
    # Noise hides the rounding and no more.
    original = small.TABLES[name]()
    half = 0.5 * small.steps(original)
    nearest = [
        np.abs(np.sort(x) - np.sort(y)).max() for x, y in zip(every.T, original.T, strict=True)
    ]
    assert np.all(nearest <= half * (1 + 1e-9))


def test_splits_differ_by_seed_and_are_reproducible():
    first, again, other = (small.table("iris", seed).train for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_steps_are_the_least_gaps():
    X = np.array([[0.1, 5.0], [0.3, 1.0], [0.1, 1.5], [0.7, 5.0]])
    assert np.allclose(small.steps(X), [0.2, 0.5])


def test_of_a_posterior_few_rows_are_fitted_and_all_others_test():
    if not data.has_posteriors():
        pytest.skip(f"no data at {data.POSTERIORS}")
    train, valid, test = small.posterior("garch11", 200, 0)
    assert (train.shape, len(valid), test.shape) == ((200, 4), 0, (9800, 4))
    assert len(np.unique(np.vstack([train, test]), axis=0)) > 9900


def test_posteriors_that_are_not_here_are_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data, "POSTERIORS", tmp_path / "none")
    found = {task.data for task in accuracy._tasks(SMALL, accuracy.Choice(("gaussian",)))}
    assert found == set(small.TABLES)
    monkeypatch.setattr(accuracy, "measured", lambda task: record(task.peer, task.seed, 1.0))
    accuracy.main_suite(SMALL, accuracy.Choice(("gaussian",), 1, ("none",)), tmp_path)
    said = capsys.readouterr().out
    assert "garch11-100" in said
    assert "no data" in said


def test_the_suite_has_peers_of_its_own():
    peers = {task.peer for task in accuracy._tasks(SMALL, accuracy.Choice())}
    assert {"brenier", "gaussian", "mixture", "kde"} <= peers <= set(SMALL.peers) <= set(PEERS)


def test_without_rows_to_choose_by_the_mixture_is_chosen_by_bic():
    centres = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    rng = np.random.default_rng(0)
    X = centres[rng.integers(3, size=200)] + rng.normal(size=(200, 2))
    fitted = classical.mixture(data.Split(X, X[:0], X), 0, lambda: 0.0)
    assert fitted.chosen == {"components": 3}
    gaussian = classical.mixture(ALONE, 0, lambda: 0.0)
    assert gaussian.chosen == {"components": 1}


def test_without_rows_to_choose_by_the_bandwidth_is_cross_validated():
    bandwidth = classical.kernel(ALONE, 0, lambda: 0.0).chosen["bandwidth"]
    Z = classical.whitened(ALONE)[1].train

    def loss(factor):
        folds = KFold(5, shuffle=True, random_state=0).split(Z)
        kernels = ((KernelDensity(bandwidth=factor * bandwidth).fit(Z[a]), Z[b]) for a, b in folds)
        return -np.mean([kernel.score_samples(rows).mean() for kernel, rows in kernels])

    assert loss(1.0) < min(loss(0.8), loss(1.25))


def test_brenier_then_splits_off_its_own(monkeypatch):
    given = []

    class Told(Exception):
        pass

    def fit(self, X, validation_data):
        given.append((len(X), validation_data))
        raise Told

    monkeypatch.setattr(convex.ConvexPotentialFlow, "fit", fit)
    for rows in (ALONE, ROWS):
        with pytest.raises(Told):
            convex.brenier(rows, 0, lambda: 0.0)
    assert given[0] == (150, None)
    assert given[1][1] is ROWS.valid


def test_others_hold_out_a_fifth():
    held = with_rows_to_choose_by(ALONE, 0)
    assert (len(held.train), len(held.valid)) == (120, 30)
    assert np.array_equal(
        np.sort(np.vstack([held.train, held.valid]), axis=0), np.sort(ROWS.train, axis=0)
    )
    assert with_rows_to_choose_by(ROWS, 0) is ROWS


RECORDS = [
    *(record("brenier", seed, nll) for seed, nll in enumerate((1.0, 2.0, 3.0))),
    *(record("kde", seed, nll) for seed, nll in enumerate((1.1, 2.3))),
    record("kde", 2, math.inf, status="failed"),
    record("brenier", 0, 1.0, "wine"),
    record("kde", 0, 0.8, "wine"),
]


def test_differences_are_paired_by_split():
    found = differences.difference(RECORDS, "iris", "kde")
    assert found is not None
    assert found.mean == pytest.approx(0.2)
    assert found.error == pytest.approx(np.std([0.1, 0.3], ddof=1) / math.sqrt(2))
    assert str(found) == "+0.200 ± 0.100"
    assert str(differences.difference(RECORDS, "wine", "kde")) == "-0.200"
    assert differences.difference(RECORDS, "wine", "gaussian") is None


def test_the_mean_gives_every_table_the_same_weight():
    found = [differences.Difference(0.3, 0.3), differences.Difference(-0.1, 0.4)]
    mean = differences.mean_of(found)
    assert mean is not None
    assert (mean.mean, mean.error) == (pytest.approx(0.1), pytest.approx(0.25))
    assert list(differences.rows(RECORDS))[-1] == ["mean", "+0.000"]


def test_the_page_has_differences_and_no_costs(tmp_path):
    fields = {"suite": "small", "nll_error": 0.1, "J": 0.0, "seconds": 3.0, "best_at": 2.0}
    kept = {"machine": {"cores": 2, "processor": "some", "python": "3"}, "load": 9.0}
    kept["figures"] = [{**fields, **one} for one in RECORDS if one["status"] == FITTED]
    (tmp_path / "small.json").write_text(json.dumps(kept))
    text = page.text(tmp_path)
    assert "| iris, 3 splits | +0.200 ± 0.100 |" in text
    assert "Small real tables: Seconds" not in text
    assert "benchmark_small.png" not in text
    assert "busy" not in text
    shown = [one.field for one in summary.quantities(SMALL, kept["figures"])]
    assert shown == ["nll"]
