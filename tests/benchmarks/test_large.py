"""Densities whose rows are as many as wanted: what is drawn is what the log-density says."""

import numpy as np
import pytest
from benchmarks.large import PIECE, Networks


def test_the_density_integrates_to_one():
    grid = np.linspace(-14.0, 14.0, 701)
    points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    total = np.exp(Networks(2).log_density(points)).sum() * (grid[1] - grid[0]) ** 2
    assert total == pytest.approx(1.0, abs=1e-6)


def test_rows_are_of_the_density():
    density = Networks(2)
    X = density.draw(40_000, seed=0)
    grid = np.linspace(-14.0, 14.0, 701)
    points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    log_p = density.log_density(points)
    entropy = -np.sum(np.exp(log_p) * log_p) * (grid[1] - grid[0]) ** 2
    of_rows = -density.log_density(X)
    assert of_rows.mean() == pytest.approx(entropy, abs=4 * of_rows.std() / np.sqrt(len(X)))


def test_many_rows_are_drawn_in_pieces():
    X = Networks(1).draw(PIECE + 3, seed=0)
    assert X.shape == (PIECE + 3, 1)
    assert len(np.unique(X)) == len(X)
