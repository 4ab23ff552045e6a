"""Chains: how long they remember, which blocks are made of them, and what these are worth."""

import numpy as np
import pytest

from brenier.data.chains import (
    autocorrelation_time,
    blocks_of,
    lag_one_correlations,
    looks_like_a_chain,
)
from brenier.data.rows import canonical_rows
from brenier.data.split import set_apart, split_rows


def chain(N, rho, seed=0, columns=2):
    """Return an autoregression x_t = rho x_{t-1} + noise, of variance one."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, columns))
    for t in range(1, N):
        X[t] = rho * X[t - 1] + np.sqrt(1 - rho**2) * X[t]
    return X


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_time_is_that_of_an_autoregression(rho):
    X = chain(20_000, rho)
    found = autocorrelation_time(X, np.zeros(len(X), dtype=int))
    # The slower of two columns; its relative error is of the order sqrt(20 time / N).
    exact = (1 + rho) / (1 - rho)
    assert 0.9 * exact <= found < 1.3 * exact


def test_chains_that_sit_in_different_places_are_worth_little():
    X = np.concatenate([chain(500, 0.0, seed) + 10.0 * seed for seed in range(3)])
    labels = np.repeat([0, 1, 2], 500)
    assert autocorrelation_time(X, labels) > 100
    alike = np.concatenate([chain(500, 0.0, seed) for seed in range(3)])
    assert autocorrelation_time(alike, labels) < 2


def test_blocks_are_contiguous_within_chains_however_these_are_mixed():
    X = chain(1200, 0.9)
    labels = np.repeat(["b", "a"], 600)
    blocks = blocks_of(X, labels)
    for label in ("a", "b"):
        own = blocks.block[labels == label]
        assert (np.diff(own) >= 0).all()
        sizes = np.bincount(own - own[0])
        assert sizes.max() - sizes.min() <= 1
    assert not set(blocks.block[labels == "a"]) & set(blocks.block[labels == "b"])
    assert np.bincount(blocks.block).min() > blocks.time
    # In turn: the same blocks, for each chain keeps its order.
    turns = np.argsort(np.tile(np.arange(600), 2), kind="stable")
    mixed = blocks_of(X[turns], labels[turns])
    np.testing.assert_array_equal(mixed.block, blocks.block[turns])


def test_short_groups_stay_whole():
    labels = np.repeat(np.arange(100), 3)
    blocks = blocks_of(chain(300, 0.0), labels)
    assert len(np.unique(np.stack([labels, blocks.block]), axis=1).T) == 100


def test_rows_of_a_block_fall_on_one_side_and_are_worth_less():
    X = chain(2000, 0.5)
    blocks = blocks_of(X, np.zeros(2000))
    rows = canonical_rows(X, None, 0, blocks)
    assert rows.effective_size == pytest.approx(2000 / blocks.time)
    order = np.random.default_rng(1).permutation(2000)
    same = canonical_rows(X[order], None, 0, type(blocks)(blocks.block[order], blocks.time))
    np.testing.assert_array_equal(same.X, rows.X)
    table = set_apart(rows, 0.1, least=10)
    split = split_rows(table.rows, 0.25, lambda X: X)
    sides = [set(part.block) for part in (table.judge, split.train, split.heldout)]
    assert sum(map(len, sides)) == len(set.union(*sides)) == len(np.unique(blocks.block))
    assert 0.05 < table.n_judge / 2000 < 0.15
    # Few independent rows, whatever their number.
    assert set_apart(rows, 0.1, least=1000).judge is None
    assert "worth" in set_apart(rows, 0.1, least=1000).why_not


def test_repeats_of_a_chain_are_merged_within_a_block_and_count_once():
    X = np.repeat(chain(500, 0.0), 4, axis=0)
    blocks = blocks_of(X, np.zeros(len(X)))
    rows = canonical_rows(X, None, 0, blocks)
    assert blocks.time == pytest.approx(4.0, rel=0.25)
    assert rows.effective_size == pytest.approx(len(X) / blocks.time)
    assert rows.weights.sum() == len(X)
    assert len(rows.X) < 1.3 * 500


def test_neighbours_that_are_alike_are_seen_and_independent_ones_are_not():
    X = np.column_stack([chain(1000, 0.4)[:, 0], np.random.default_rng(3).normal(size=1000)])
    assert looks_like_a_chain(lag_one_correlations(X), 1000).tolist() == [True, False]
    few = np.random.default_rng(0).normal(size=(20, 50))
    assert not looks_like_a_chain(lag_one_correlations(few), 20).any()
