"""Targets among draws at their rows: ranks, scores and distances as loops have them, and laws."""

import numpy as np
import pytest
from normal_model import normal
from scipy import stats

from brenier.diagnostics.conditional_panels import AtRows, conditional_family
from brenier.diagnostics.near_normal import standard_normal
from brenier.diagnostics.within_rows import (
    climatology_score,
    distances_to_others,
    interval_scores,
    of_stand_ins,
    ranked_scores,
    ranks_within,
    stand_ins,
    tenths,
    within_levels,
)

RNG_SEED = 4


def rng():
    return np.random.default_rng(RNG_SEED)


def at_rows(Y, draws, context):
    """Return targets of a model N(0, I) at every context, and draws."""
    members = np.concatenate([Y[:, None], draws], axis=1)
    N, K, n = members.shape
    density = standard_normal(members.reshape(-1, n)).reshape(N, K)
    names = [f"y{i}" for i in range(n)]
    return AtRows(members, density, context, names, [f"c{j}" for j in range(context.shape[1])])


def panels(Y, L=99, context=None):
    N, n = Y.shape
    context = normal(N, 2, seed=8) if context is None else context
    family = conditional_family(at_rows(Y, normal(N, L, n, seed=9), context), rng())
    return {panel.name: panel for panel in family.panels}


def test_ranks_are_counts_of_what_is_less():
    values = normal(20, 7)
    naive = np.sum(values[:, None, :] < values[:, :, None], axis=2)
    np.testing.assert_array_equal(ranks_within(values, rng()), naive)


def test_ties_are_broken_evenly():
    ranks = ranks_within(np.zeros((20_000, 4)), rng())
    np.testing.assert_array_equal(np.sort(ranks, axis=1), np.tile(np.arange(4), (20_000, 1)))
    np.testing.assert_allclose(ranks.mean(axis=0), 1.5, atol=0.05)


def test_stand_ins_begin_with_the_targets_and_then_are_anyone():
    members = stand_ins(5, 9, 3000, rng())
    assert (members[0] == 0).all()
    assert set(np.unique(members[1:])) == set(range(10))
    values = np.arange(50).reshape(5, 10)
    np.testing.assert_array_equal(of_stand_ins(values, members)[0], values[:, 0])


def test_ranked_scores_are_those_of_loops():
    y, draws = normal(6), normal(6, 11, seed=1)
    L = draws.shape[1]
    for target, s, found in zip(y, draws, ranked_scores(y, draws), strict=True):
        pairs = np.abs(s[:, None] - s[None]).sum() / (L * (L - 1))
        np.testing.assert_allclose(found, np.mean(np.abs(s - target)) - pairs / 2)


def test_the_ranked_score_of_a_normal_is_the_known_one():
    y = np.array([0.0, 1.5])
    found = ranked_scores(y, np.broadcast_to(normal(200_000), (2, 200_000)))
    known = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / np.sqrt(np.pi)
    np.testing.assert_allclose(found, known, atol=0.01)


def test_climatology_is_half_the_mean_difference():
    y = normal(30)
    naive = np.abs(y[:, None] - y).sum() / (30 * 29) / 2
    np.testing.assert_allclose(climatology_score(y), naive)


def test_no_row_is_its_own_reference():
    members = normal(30, 3, 2)
    assert (distances_to_others(members, rng())[:, 0] > 0).all()


def test_distances_rank_uniformly_where_targets_are_as_draws():
    members = normal(4000, 10, 2)
    ranks = ranks_within(distances_to_others(members, rng()), rng())[:, 0]
    assert stats.chisquare(np.bincount(ranks, minlength=10)).pvalue > 0.01


def test_tenths_have_as_many_rows_each():
    edges, parts = tenths(normal(100, 2), 10)
    assert edges.shape == (2, 11)
    np.testing.assert_array_equal(parts.sum(axis=2), 10)
    np.testing.assert_array_equal(parts.sum(axis=1), 1)


@pytest.mark.parametrize(("level", "held"), [(0.5, 50), (0.9, 90)])
def test_central_intervals_hold_so_many_of_the_ranks(level, held):
    inside = within_levels(np.arange(100), 99, np.array([level]))[:, 0]
    assert inside.sum() == held
    np.testing.assert_array_equal(inside, inside[::-1])


def test_interval_scores_are_binomial_tails():
    _, parts = tenths(normal(60, 1), 3)
    inside = np.random.default_rng(0).uniform(size=(4, 60, 1)) < 0.7
    found = interval_scores(inside, parts, np.array([0.5]))
    for p in range(4):
        for t in range(3):
            count = inside[p, parts[0, t], 0].sum()
            tail = min(stats.binom.cdf(count, 20, 0.5), stats.binom.sf(count - 1, 20, 0.5))
            np.testing.assert_allclose(stats.norm.sf(found[p, 0, t, 0]), tail)


FAULTS = {
    "ranks": normal(300, 1) + 0.4,
    "coverage": 1.5 * normal(300, 2),
    "tarp": 2.0 * normal(300, 2),
    "intervals": normal(300, 1) * np.where(np.arange(300) < 60, 3.0, 1.0)[:, None],
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_beyond_its_panels_scale(name):
    context = np.stack([np.arange(300.0), normal(300)], axis=1)
    found = panels(FAULTS[name], context=context)[name]
    assert found.is_suspicious
    if name == "intervals":
        assert found.worst == ("y0", "c0")


def test_counts_of_ranks_are_of_all_rows():
    found = panels(normal(300, 2))["ranks"]
    np.testing.assert_array_equal(found.counts.sum(axis=1), 300)
    inside = (found.counts >= found.low) & (found.counts <= found.high)
    assert inside.mean() > 0.8


def test_any_number_of_draws_will_do():
    assert panels(normal(100, 1), L=19)["ranks"].n_draws == 19


def test_a_column_of_one_value_is_a_context_too():
    found = panels(normal(100, 1), context=np.ones((100, 1)))["intervals"]
    assert np.isfinite(found.scaled)
    assert np.isnan(found.coverage).any()
