"""The recipe of regression and classification: parts of the rows, penalties, ends, Ctrl-C."""

from dataclasses import replace

import numpy as np
import pytest

from brenier.optimizers.early_stopping import Clock
from brenier.status import FitStatus
from brenier.supervised.fit import fit, parts
from brenier.supervised.settings import SupervisedSettings
from brenier.supervised.task import Classification, Regression

pytestmark = pytest.mark.usefixtures("x64")

SETTINGS = SupervisedSettings(widths=(4, 4), n_folds=3, max_iter=30, update_every=10)
RNG = np.random.default_rng(0)
X = RNG.uniform(-2, 2, size=(120, 2))
Y = (X[:, 0] + X[:, 1] ** 2)[:, None] + 0.05 * RNG.normal(size=(120, 1))


def fitted(X=X, Y=Y, weights=None, settings=SETTINGS, clock=None):
    clock = Clock() if clock is None else clock
    return fit(X, Y, weights, Regression(), settings, seed=1, clock=clock)


def test_every_class_is_in_all_parts():
    labels = np.eye(3)[np.sort(RNG.integers(0, 3, size=40))]
    part = parts(labels, 4)
    counts = np.array([[np.sum(part[labels[:, c] > 0] == k) for k in range(4)] for c in range(3)])
    assert np.ptp(counts, axis=1).max() <= 1
    # No more parts than rows.
    assert parts(np.zeros((2, 1)), 5).max() == 1


def test_rows_held_out_are_predicted_by_the_network_that_did_not_see_them():
    found = fitted()
    error = np.sqrt(np.mean((found.heldout - found.rows.X[:, 2:]) ** 2))
    assert error < 0.3 * np.std(Y)
    # Those folds report the same losses, of standardised targets.
    part = parts(found.rows.X[:, 2:], 3)
    deviation = found.predictor.targets.deviation
    for k, fold in enumerate(found.folds):
        mine = (found.heldout - found.rows.X[:, 2:])[part == k] / deviation
        np.testing.assert_allclose(0.5 * np.mean(mine**2), fold.heldout_loss, rtol=1e-9)


def test_order_of_rows_does_not_matter_and_weights_are_copies():
    plain = fitted()
    order = RNG.permutation(len(X))
    np.testing.assert_array_equal(
        plain.predictor.each(X), fitted(X[order], Y[order]).predictor.each(X)
    )
    weights = RNG.integers(0, 3, size=len(X))
    copies = fitted(np.repeat(X, weights, axis=0), np.repeat(Y, weights, axis=0))
    weighted = fitted(weights=weights.astype(float))
    np.testing.assert_array_equal(copies.predictor.each(X), weighted.predictor.each(X))


def test_penalties_follow_the_noise():
    calm = fitted()
    noisy = fitted(Y=Y + RNG.normal(size=Y.shape))
    assert np.mean([f.decay for f in noisy.folds]) > 5 * np.mean([f.decay for f in calm.folds])


def test_penalties_of_classes_stay_as_they_are():
    settings = replace(SETTINGS, precision=0.3)
    labels = np.eye(2)[(X[:, 0] > 0).astype(int)]
    for Y in (labels, RNG.permutation(labels)):
        found = fit(X, Y, None, Classification(), settings, seed=1, clock=Clock())
        # Over the training rows of a fold.
        np.testing.assert_allclose([fold.decay for fold in found.folds], 0.3 / 80)


def test_outputs_are_linear_in_the_inputs_only_if_asked():
    far = 1.5 * np.array([[1.0, 0.0], [2.0, 0.0]])
    for linear, n_functions in ((True, 4 + 2 + 1), (False, 4 + 1)):
        found = fitted(settings=replace(SETTINGS, linear=linear, max_iter=1))
        members = found.predictor.members
        assert {len(member.W) for member in members} == {n_functions}
        assert np.all(np.isfinite(found.predictor.each(far)))


def test_a_fit_without_time_is_the_initial_networks_with_their_last_layers_solved_for():
    found = fitted(clock=Clock(max_seconds=0.0))
    assert {fold.status for fold in found.folds} == {FitStatus.TIME_LIMIT}
    assert {fold.n_iter for fold in found.folds} == {0}
    assert np.mean((found.predictor.each(X).mean(axis=0) - Y) ** 2) < np.var(Y)


def test_ctrl_c_before_all_networks_have_begun_gives_no_model():
    clock = Clock()
    clock.stop.set()
    with pytest.raises(KeyboardInterrupt):
        fitted(clock=clock)


def test_classes_are_told_apart():
    labels = (np.hypot(*X.T) < 1.2).astype(int)
    found = fit(
        X,
        np.eye(2)[labels],
        None,
        Classification(),
        SETTINGS,
        seed=1,
        clock=Clock(),
    )
    assert (
        np.mean(np.argmax(found.predictor.each(X).mean(axis=0), axis=1) == labels)
        > 0.85
        > np.mean(labels == 0)
    )


def test_an_exactly_linear_target_is_found_by_the_last_layer():
    Y = X @ [[1.0], [-2.0]] + 3.0
    fit_of_it = fitted(Y=Y)
    assert all(fold.status.finished for fold in fit_of_it.folds)
    found = fit_of_it.predictor.each(X).mean(axis=0)
    # The least penalty there is, the constant's.
    np.testing.assert_allclose(found, Y, atol=1e-6)


def test_a_row_alone_is_its_own_prediction():
    found = fitted(np.ones((5, 2)), np.full((5, 1), 7.0))
    assert len(found.folds) == 1
    np.testing.assert_allclose(found.predictor.each(X), 7.0)


def test_very_unequal_weights_leave_numbers():
    far = X.copy()
    far[3, 0] = 1e6
    weights = np.ones(len(X))
    weights[0] = 1e20
    assert np.all(np.isfinite(fitted(far, weights=weights).predictor.each(far)))
