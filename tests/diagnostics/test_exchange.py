"""Rows against draws: every statistic as a loop has it, and labels that mean nothing."""

import numpy as np
import pytest
from normal_model import bent, normal
from scipy import stats

from brenier.diagnostics.classifier import areas_under_roc, classifier_family
from brenier.diagnostics.exchange import (
    N_CELLS,
    cell_distances,
    distribution_differences,
    energy_distances,
    labelings,
    pairs_of,
    quantile_cells,
)
from brenier.diagnostics.exchange_panels import Pooled, exchange_family
from brenier.diagnostics.near_normal import standard_normal

N, M = 30, 50
LABELS = labelings(N, M, 5, np.random.default_rng(0))


def pooled(X, M=300):
    both = np.concatenate([X, normal(M, X.shape[1], seed=50)])
    names = [f"x{k}" for k in range(X.shape[1])]
    return Pooled(both, standard_normal(both), len(X), names)


def panels(X):
    family = exchange_family(pooled(X), np.random.default_rng(1))
    return {panel.name: panel for panel in family.panels}


def test_the_first_labels_are_the_true_ones_and_all_have_as_many_rows():
    assert LABELS.shape == (6, N + M)
    np.testing.assert_array_equal(LABELS[0], np.arange(N + M) < N)
    np.testing.assert_array_equal(LABELS.sum(axis=1), N)


def test_energy_distances_are_those_of_loops():
    X = normal(N + M, 2)
    unit = X / X.std(axis=0)

    def mean_distance(a, b):
        return np.mean([[np.linalg.norm(x - y) for y in b] for x in a])

    for labels, found in zip(LABELS, energy_distances(X, LABELS), strict=True):
        x, y = unit[labels], unit[~labels]
        naive = 2 * mean_distance(x, y) - mean_distance(x, x) - mean_distance(y, y)
        np.testing.assert_allclose(found, naive * N * M / (N + M), rtol=1e-9)


def test_distribution_differences_are_those_of_loops():
    values = np.round(normal(N + M), 1)
    differences, deviation = distribution_differences(values, LABELS)
    at = np.unique(np.quantile(values, np.arange(1, 50) / 50))
    for labels, found in zip(LABELS, differences, strict=True):
        naive = [np.mean(values[labels] <= g) - np.mean(values[~labels] <= g) for g in at]
        np.testing.assert_allclose(found, naive, atol=1e-12)
    assert (deviation >= 0).all()


def test_cell_distances_are_pearson_s():
    x, y = normal(2, N + M)
    (a, _), (b, _) = quantile_cells(x), quantile_cells(y)
    for labels, found in zip(LABELS, cell_distances(a, b, LABELS), strict=True):
        cell = N_CELLS * a + b
        table = np.array([np.bincount(cell[part], minlength=16) for part in (labels, ~labels)])
        table = table[:, table.sum(axis=0) > 0]
        expected = stats.chi2_contingency(table, correction=False).statistic
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_pairs_are_all_of_them():
    assert list(pairs_of(np.array([4, 0, 2]))) == [(0, 2), (0, 4), (2, 4)]


def test_areas_under_roc_are_those_of_a_loop():
    scores = np.round(normal(N + M), 1)
    for labels, found in zip(LABELS, areas_under_roc(scores, LABELS), strict=True):
        x, y = scores[labels], scores[~labels]
        naive = np.mean([[(a > b) + 0.5 * (a == b) for b in y] for a in x])
        np.testing.assert_allclose(found, naive)


@pytest.mark.parametrize(
    ("X", "name"),
    [
        (1.4 * normal(300, 2), "coverage"),
        (normal(300, 2) + [0.6, 0.0], "energy"),
        (bent(300), "columns"),
    ],
)
def test_a_fault_is_beyond_its_panels_scale(X, name):
    assert panels(X)[name].is_suspicious


def test_regions_too_narrow_hold_too_few():
    curve = panels(1.4 * normal(300, 2))["coverage"].curves[0]
    assert curve.difference[len(curve.at) // 2] < curve.low[len(curve.at) // 2]


def test_the_worst_column_and_pair_are_named():
    X = normal(300, 3)
    X[:, 1] += 0.5
    found = panels(X)["columns"]
    assert found.marginals[0].name == "x1"
    L = np.linalg.cholesky([[1, 0, 0.7], [0, 1, 0], [0.7, 0, 1]])
    found = panels(normal(300, 3) @ L.T)["columns"]
    assert found.pairs[0].names == ("x0", "x2")
    assert "x0 and x2" in found.sentence
    np.testing.assert_allclose(found.pairs[0].rows.sum(), 1)


def test_a_single_column_has_no_pairs():
    assert panels(normal(100, 1))["columns"].pairs == ()


def test_a_classifier_tells_only_what_differs():
    right, wrong = (
        classifier_family(pooled(X).X, len(X), np.random.default_rng(0)).panels[0]
        for X in (normal(200, 2), bent(200) + [0.0, 0.8])
    )
    assert not right.is_suspicious
    assert wrong.is_suspicious
