"""slimTik: the naive formulas, Tikhonov's solution of all rows, and leaving rows out."""

from functools import partial

import jax
import numpy as np
import pytest

from brenier.inner.sampled_tikhonov import (
    LEAST,
    MOST,
    FixedChange,
    SampledGCV,
    SampledTikhonov,
)

pytestmark = pytest.mark.usefixtures("x64")

N, N_FEATURES, N_OUTPUTS, N_BATCHES = 7, 4, 2, 5
FIRST = 0.3
# Sums of some dozen terms of order one, through an eigendecomposition.
ROUNDING = {"rtol": 1e-9, "atol": 1e-10}


@partial(jax.jit, static_argnums=4)
def updated(state, F, Y, omega, regularisation):
    return state.update(F, Y, omega, regularisation)


@jax.jit
def gcv(state, F, Y, omega, change):
    return state.batch(F, Y, omega).gcv(change)


def batches(seed=0, n=N_BATCHES):
    """Return batches whose last row is padding in all but the first."""
    rng = np.random.default_rng(seed)
    F, Y = rng.normal(size=(n, N, N_FEATURES)), rng.normal(size=(n, N, N_OUTPUTS))
    omega = rng.uniform(0.5, 1.5, size=(n, N))
    omega[1:, -1] = 0.0
    return [*zip(F, Y, omega / omega.sum(axis=1, keepdims=True), strict=True)]


def begin(depth, W=None):
    W = np.random.default_rng(9).normal(size=(N_FEATURES, N_OUTPUTS)) if W is None else W
    return SampledTikhonov.begin(W, depth, FIRST)


def scaled(batch):
    F, Y, omega = batch
    root = np.sqrt(omega)[:, None]
    return root * F, root * Y


def naive_update(W, seen, Lambda, change):
    """Return W_k of all batches in memory, the stacked least-squares problem solved whole."""
    A, B = scaled(seen[-1])
    M = np.concatenate([scaled(batch)[0] for batch in seen])
    root = np.sqrt(Lambda + change)
    matrix = np.concatenate([M, root * np.eye(N_FEATURES)])
    older = np.zeros((len(M) - N, N_OUTPUTS))
    right = np.concatenate([older, A @ W - B, change / root * W])
    return W - np.linalg.lstsq(matrix, right, rcond=None)[0]


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_updates_are_the_stacked_least_squares_problems(depth):
    state, seen, W, Lambda = begin(depth), [], begin(depth).W, FIRST
    for k, batch in enumerate(batches()):
        change = 0.05 if k % 2 == 0 else -0.04
        seen = [*seen, batch][-1 - depth :]
        W, Lambda = naive_update(W, seen, Lambda, change), Lambda + change
        state, chosen = updated(state, *batch, FixedChange(change))
        assert float(chosen) == change
        assert float(state.Lambda) == pytest.approx(Lambda)
        np.testing.assert_allclose(state.W, W, **ROUNDING)


def test_with_all_rows_remembered_it_is_the_tikhonov_solution():
    state = begin(N_BATCHES, np.zeros((N_FEATURES, N_OUTPUTS)))
    for batch in batches():
        state, _ = updated(state, *batch, FixedChange(0.05))
    A, B = (np.concatenate(parts) for parts in zip(*map(scaled, batches()), strict=True))
    Lambda = FIRST + 0.05 * N_BATCHES
    assert float(state.Lambda) == pytest.approx(Lambda)
    solution = np.linalg.solve(A.T @ A + Lambda * np.eye(N_FEATURES), A.T @ B)
    np.testing.assert_allclose(state.W, solution, **ROUNDING)


def test_it_converges_over_epochs_of_a_consistent_problem_without_memory():
    W = np.random.default_rng(3).normal(size=(N_FEATURES, N_OUTPUTS))
    consistent = [(F, F @ W, omega) for F, _, omega in batches()]
    state, errors = begin(0), []
    for _ in range(12):
        for batch in consistent:
            state, _ = updated(state, *batch, FixedChange(0.0))
        errors.append(np.max(np.abs(state.W - W)))
    assert errors[-1] < 1e-3 * errors[0]


@pytest.mark.parametrize("change", [-0.1, 0.2])
@pytest.mark.parametrize("depth", [0, 2])
def test_gcv_is_the_naive_one(depth, change):
    state = begin(depth)
    for batch in batches()[:3]:
        state, _ = updated(state, *batch, FixedChange(0.0))
    seen, batch = batches()[3 - depth : 3], batches()[3]
    W = naive_update(np.asarray(state.W), [*seen, batch], FIRST, change)
    A, B = scaled(batch)
    M = np.concatenate([scaled(one)[0] for one in (*seen, batch)])
    H = A @ np.linalg.inv(M.T @ M + (FIRST + change) * np.eye(N_FEATURES)) @ A.T
    # One row is padding.
    expected = np.sum((A @ W - B) ** 2) / (1.0 - np.trace(H) / (N - 1)) ** 2
    assert float(gcv(state, *batch, change)) == pytest.approx(expected, rel=1e-9)


def test_gcv_is_the_error_of_leaving_rows_out_where_all_are_alike():
    # Rows on a circle: every diagonal entry of H_k is the same.
    angles = 2.0 * np.pi * np.arange(N) / N
    F = np.column_stack([np.cos(k * angles) for k in (1, 2)])
    F = np.concatenate([F, np.column_stack([np.sin(k * angles) for k in (1, 2)])], axis=1)
    Y, omega = batches()[0][1], np.full(N, 1.0 / N)
    state, change = begin(1), 0.1
    A, B = scaled((F, Y, omega))
    errors = []
    for left_out in range(N):
        kept = np.arange(N) != left_out
        # Padding with weight zero is a row left out; the others keep their scale.
        W = np.asarray(state.W)
        matrix = A[kept].T @ A[kept] + (FIRST + change) * np.eye(N_FEATURES)
        right = A[kept].T @ (A[kept] @ W - B[kept]) + change * W
        without = W - np.linalg.solve(matrix, right)
        errors.append(np.sum((A[left_out] @ without - B[left_out]) ** 2))
    # Rows are scaled by 1 / sqrt(N): the sum is a mean over rows that are not.
    assert float(gcv(state, F, Y, omega, change)) == pytest.approx(np.sum(errors), rel=1e-9)


def test_the_least_of_the_candidates_is_chosen_and_Lambda_stays_above_zero():
    chooses, state = SampledGCV(n_tried=6), begin(1)
    for batch in batches():
        tried = np.asarray(chooses.candidates(np.asarray(state.Lambda)))
        assert (np.asarray(state.Lambda) + tried > LEAST).all()
        assert tried.max() == pytest.approx(MOST)
        values = [float(gcv(state, *batch, change)) for change in tried]
        state, chosen = updated(state, *batch, chooses)
        assert float(chosen) == pytest.approx(tried[np.argmin(values)])


def test_lambda_follows_what_the_rows_say():
    rng, W = np.random.default_rng(0), np.ones((N_FEATURES, N_OUTPUTS))
    ends = []
    for noise in (0.0, 30.0):
        state = begin(2, np.zeros_like(W))
        for F, _, omega in batches(n=20):
            Y = F @ W + noise * rng.normal(size=(N, N_OUTPUTS))
            state, _ = updated(state, F, Y, omega, SampledGCV(n_tried=6))
        ends.append(float(state.Lambda))
    assert ends[0] < 1e-3 * ends[1]
