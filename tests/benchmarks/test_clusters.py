"""The benchmark of clusters: its toy sets, and what is said of the indices."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import entr, softmax
from sklearn.metrics import adjusted_rand_score

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks import clusters
    from benchmarks.clusters import OURS, SETS
    from benchmarks.peers import CLUSTERERS, Peer
finally:
    sys.path.remove(str(ROOT))

CLUSTERS = {
    "moons": 2,
    "blobs of unequal width": 3,
    "stretched blobs": 3,
    "bent blobs": 3,
    "noisy circles": 2,
}


@pytest.mark.parametrize("name", SETS)
def test_sets_have_labels_and_differ_by_seed(name):
    X, labels = SETS[name].rows(0)
    again, other = SETS[name].rows(0), SETS[name].rows(1)
    assert X.shape == (clusters.N, 2)
    assert len(np.unique(labels)) == CLUSTERS[name]
    assert np.bincount(labels).min() > clusters.N / CLUSTERS[name] - 60
    assert np.array_equal(X, again[0])
    assert np.array_equal(labels, again[1])
    assert not np.isin(other[0], X).any()


def test_blobs_have_the_same_centres_for_every_seed():
    means = [
        [X[labels == k].mean(axis=0) for k in range(3)]
        for X, labels in (clusters.blobs(seed, 0.1) for seed in range(2))
    ]
    np.testing.assert_allclose(means[0], means[1], atol=0.05)


def test_pieces_of_bent_blobs_hardly_overlap():
    parts = clusters.BENT._log_parts(clusters.BENT.sample(5000, 0))
    assert entr(softmax(parts, axis=1)).sum(axis=1).mean() < 0.01


@pytest.mark.parametrize("method", ["mixture", "hdbscan"])
def test_scikit_learns_find_blobs_that_are_apart(method):
    X, labels = clusters.blobs(0, 0.3)
    found = CLUSTERERS[method].load()(X * [1.0, 100.0], 0)
    assert adjusted_rand_score(labels, found) > 0.95


def known(right):
    """Return what loads a method that gives the first so many rows their true labels."""

    def load(self):
        share = right[self.function]

        def find(X, seed):
            labels = clusters.moons(seed)[1]
            return np.where(np.arange(len(X)) < share * len(X), labels, 0)

        return find

    return load


@pytest.mark.parametrize(
    ("ours", "theirs", "reached"), [(1.0, 1.0, True), (0.5, 1.0, False), (1.0, 0.5, True)]
)
def test_the_mixture_is_compared_with_the_best_of_the_others(monkeypatch, ours, theirs, reached):
    right = {"labels": ours, "mixture": theirs, "hdbscan": 0.2}
    monkeypatch.setattr(Peer, "load", known(right))
    *each, less = clusters.measured("moons", list(CLUSTERERS), 3)
    assert [figure.what for figure in each] == [f"moons: {name}" for name in CLUSTERERS]
    found = [figure.measured for figure in each]
    assert (found[0] == pytest.approx(1.0)) == (ours == 1.0)
    assert less.measured == pytest.approx(found[0] - max(found[1:]))
    assert less.reached is reached
    assert less.detail == "which is mixture"


def test_nothing_is_asked_of_circles(monkeypatch):
    monkeypatch.setattr(Peer, "load", lambda self: lambda X, seed: np.zeros(len(X)))
    *_, less = clusters.measured("noisy circles", [OURS, "hdbscan"], 1)
    assert less.reached is None
    assert less.measured == 0.0


def test_without_the_mixture_nothing_is_compared():
    whats = [figure.what for figure in clusters.measured("moons", ["hdbscan"], 1)]
    assert whats == ["moons: hdbscan"]


def test_indices_are_kept_in_a_file(tmp_path, monkeypatch, capsys):
    given = ["clusters", "--only", "moons", "--methods", "hdbscan", "--seeds", "2"]
    monkeypatch.setattr(sys, "argv", [*given, "-o", str(tmp_path)])
    clusters.main()
    (figure,) = json.loads((tmp_path / "clusters.json").read_text())["figures"]
    assert figure["what"] == "moons: hdbscan"
    assert figure["measured"] == pytest.approx(1.0, abs=0.01)
    assert "moons: hdbscan" in capsys.readouterr().out


def test_labels_of_ours_are_predictions_of_a_default_fit(monkeypatch):
    ours = pytest.importorskip("benchmarks.peers.convex_mixture", exc_type=ImportError)

    class Known:
        def __init__(self, **settings):
            assert settings == {"random_state": 7}

        def fit(self, X):
            return self

        def predict(self, X):
            return X[:, 0]

    monkeypatch.setattr(ours, "ConvexPotentialMixture", Known)
    assert ours.labels(np.array([[1.0], [0.0]]), 7).tolist() == [1.0, 0.0]
