"""Statistics of z: correlations as NumPy has them, null distributions as they should be."""

import numpy as np
import pytest
from normal_model import bent, normal

from brenier.diagnostics.normality import (
    context_features,
    correlations,
    counts,
    simulated,
    statistics,
)
from brenier.diagnostics.normality_panels import normality_family
from brenier.diagnostics.uniform import direct_scores, grid

NO_CONTEXT = np.zeros((200, 0))


def panels(Z, context=None, seed=3):
    context = np.zeros((len(Z), 0)) if context is None else context
    labels = [f"z{k}" for k in range(Z.shape[1])]
    names = [f"c{j}" for j in range(context.shape[1])]
    family = normality_family(Z, labels, context, names, np.random.default_rng(seed))
    return {panel.name: panel for panel in family.panels}


def test_correlations_are_those_of_numpy():
    Z, context = normal(50, 3), normal(50, 2, seed=1)
    z, mixed, squares, of_z, of_squares = (m[0] for m in correlations(Z[None], context))
    R = np.corrcoef(np.concatenate([Z, Z**2, context], axis=1).T)
    off = 1 - np.eye(3)
    np.testing.assert_allclose(z, R[:3, :3] * off, atol=1e-12)
    np.testing.assert_allclose(mixed, R[:3, 3:6] * off, atol=1e-12)
    np.testing.assert_allclose(squares, R[3:6, 3:6] * off, atol=1e-12)
    np.testing.assert_allclose(of_z, R[:3, 6:], atol=1e-12)
    np.testing.assert_allclose(of_squares, R[3:6, 6:], atol=1e-12)


def test_a_constant_column_has_no_correlation():
    Z = normal(50, 2)
    Z[:, 1] = 0.0
    assert all(np.isfinite(m).all() for m in correlations(Z[None], np.ones((50, 1))))


def test_counts_of_the_radius_are_uniform_under_the_normal():
    found = counts(normal(1, 20_000, 3)).radius[0] / 20_000
    np.testing.assert_allclose(found, grid(), atol=0.01)


def test_features_of_a_context_depend_on_ranks_only():
    c = normal(40, 2)
    np.testing.assert_allclose(context_features(np.exp(c)), context_features(c))


def test_simulated_statistics_are_those_of_other_normal_tables():
    null = simulated(200, 2, NO_CONTEXT, 400, np.random.default_rng(0))
    others = statistics(normal(400, 200, 2, seed=1), NO_CONTEXT, direct_scores(200, grid()))
    assert abs(np.median(null.radius) - np.median(others.radius)) < 0.2
    largest = [np.abs(one.z).max(axis=(1, 2)) for one in (null, others)]
    assert abs(np.mean(largest[0]) - np.mean(largest[1])) < 0.15


def test_of_very_many_rows_some_are_simulated_and_the_scale_is_theirs():
    few, many = (
        simulated(N, 1, np.zeros((N, 0)), 400, np.random.default_rng(0)) for N in (1000, 50_000)
    )
    assert abs(np.median(few.pit) - np.median(many.pit)) < 0.2


FAULTS = {
    "pit": normal(400, 2) + [0.3, 0.0],
    "radius": 1.3 * normal(400, 2),
    "correlations": bent(400),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_beyond_its_panels_scale(name):
    found = panels(FAULTS[name])[name]
    assert found.is_suspicious
    assert found.p_value < 0.02


def test_the_worst_correlation_is_named():
    assert {word[:2] for word in panels(bent(400))["correlations"].worst} == {"z0", "z1"}
    L = np.linalg.cholesky([[1, 0, 0.6], [0, 1, 0], [0.6, 0, 1]])
    assert panels(normal(400, 3) @ L.T)["correlations"].worst == ("z0", "z2")


def test_what_depends_on_the_context_is_seen_there_alone():
    context = normal(400, 2, seed=5)
    Z = normal(400, 1) * np.exp(0.5 * context[:, :1])
    Z /= Z.std()
    found = panels(Z, context)["context"]
    assert found.is_suspicious
    assert found.worst == ("z0^2", "c0")
    assert not panels(normal(400, 1), context)["context"].is_suspicious


def test_of_many_coordinates_the_worst_five_are_shown():
    Z = normal(300, 12)
    Z[:, 7] += 0.5
    found = panels(Z)["pit"]
    assert len(found.curves) == 5
    assert found.n_curves == 12
    assert found.curves[0].label == "z7"
