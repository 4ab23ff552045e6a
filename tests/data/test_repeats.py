"""Columns whose values repeat are found with their steps; those with many digits are left alone."""

import numpy as np
import pytest

from brenier.data.repeats import common_step, repeated_columns, repeats_message

N = 1000


def draw(seed=0, n_rows=N):
    return np.random.default_rng(seed).normal(size=n_rows)


def found(column, weights=None, *, beside=True):
    """Return what is found of a column, beside a continuous one or alone."""
    others = [draw(99, len(column))] * beside
    X = np.column_stack([*others, column]).astype(float)
    present = X if weights is None else X[weights > 0]
    names = [f"x{i}" for i in range(X.shape[1])]
    return repeated_columns(X, weights, len(np.unique(present, axis=0)), names)


RNG = np.random.default_rng(1)
GRIDS = {
    "counts": (RNG.poisson(2.0, N), 1.0),
    "large counts": (RNG.poisson(100.0, N), 1.0),
    "counts of a heavy tail": (RNG.negative_binomial(0.3, 5e-3, N), 1.0),
    "counts and an outlier": (np.append(RNG.poisson(3.0, N - 1), 10**6), 1.0),
    "clock": ((1126259462.4 + 30 * draw()).astype(np.float32), 128.0),
    "tenths": (np.round(draw(), 1), 0.1),
    "tenths far from zero": (np.round(1e6 + draw(), 1), 0.1),
    "tenths of 32 bits": (np.round(draw(), 1).astype(np.float32), 0.1),
    "hundreds": (np.round(1e3 * draw(), -2), 100.0),
    "inches": (0.0254 * RNG.integers(50, 80, N), 0.0254),
    "thirds": (RNG.integers(0, 9, N) / 3, 1 / 3),
    "gaps of two and three": (RNG.choice([0.0, 2.0, 5.0, 8.0], N), 1.0),
    "two values": (RNG.integers(0, 2, N), 1.0),
}


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("name", GRIDS)
def test_a_grid_is_named_with_its_step(name, beside):
    column, step = GRIDS[name]
    (grid,) = found(column, beside=beside)
    assert (grid.column, grid.name) == (int(beside), f"x{int(beside)}")
    assert grid.step == pytest.approx(step, rel=1e-6)
    assert grid.value is None
    assert f"'{grid.name}' (step {step:.6g})" in repeats_message([grid])
    assert "uniform noise of one step's width" in repeats_message([grid])


@pytest.mark.parametrize("digits", [np.float64, np.float32])
def test_ties_without_a_grid_have_their_least_gap(digits):
    column = RNG.choice(draw(2, 100), N).astype(digits).astype(float)
    (grid,) = found(column)
    assert grid.step == np.diff(np.unique(column)).min()
    assert grid.share == pytest.approx(0.1)


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("value", [0.0, -999.0])
def test_one_value_in_many_rows_is_named(value, beside):
    column = np.exp(draw())
    column[:350] = value
    (grid,) = found(column, beside=beside)
    assert (grid.value, grid.share) == (value, 0.35)
    message = repeats_message([grid])
    assert f"the value {value:g} in 35% of the rows" in message
    assert "dequantisation" not in message
    column = np.exp(draw())
    column[:250] = value
    assert found(column, beside=beside) == []


def digits_of(values, n):
    return np.array([float(f"{value:.{n}g}") for value in values])


HARMLESS = {
    "normal": draw(),
    "six digits over decades": digits_of(np.exp(2 * draw(3, 100_000)), 6),
    "32 bits in a long table": draw(4, 1_000_000).astype(np.float32),
    "six places": np.round(np.random.default_rng(5).dirichlet([2, 3, 4], 600)[:, 0], 6),
    "hundredths of a standard deviation, few rows": np.round(draw(6, 300), 2),
    "whole numbers of a wide range": np.random.default_rng(7).integers(-500, 500, 300),
    "few rows": np.arange(19) % 3,
}


@pytest.mark.parametrize("name", HARMLESS)
def test_columns_of_many_values_are_left_alone(name):
    assert found(HARMLESS[name]) == []


def test_rows_that_repeat_as_a_whole_are_no_discrete_columns():
    rng = np.random.default_rng(8)
    chain = np.repeat(rng.normal(size=(100, 2)), rng.integers(1, 9, 100), axis=0)
    few = np.repeat(rng.normal(size=(3, 2)), 50, axis=0)
    for X in (chain, few):
        assert repeated_columns(X, None, len(np.unique(X, axis=0)), ["a", "b"]) == []


@pytest.mark.parametrize("name", [*GRIDS, *HARMLESS])
def test_integer_weights_are_copies(name):
    column = np.asarray((GRIDS[name][0] if name in GRIDS else HARMLESS[name])[:N], dtype=float)
    values, counts = np.unique(column, return_counts=True)
    by_weight = repeated_columns(values[:, None], counts, len(values), ["x"])
    by_copies = repeated_columns(column[:, None], None, len(values), ["x"])
    assert by_weight == by_copies


def test_rows_of_weight_zero_and_heavy_rows_say_nothing():
    absent = np.concatenate([draw(9, 300), np.zeros(700)])
    assert found(absent, np.repeat([1.0, 0.0], [300, 700])) == []
    # One row with half of the weight.
    assert found(draw(10), np.append(np.full(N - 1, 0.5), 500.3)) == []


def test_no_step_is_found_where_there_is_none():
    for seed in range(200):
        for n_values in (3, 4, 50):
            assert common_step(np.sort(draw(seed, n_values)), 1e-4) is None
    # The step is above the floor, or is not looked for.
    assert common_step(np.arange(9.0), 2.0) is None
    assert common_step(np.arange(9.0), 0.5) == 1.0
