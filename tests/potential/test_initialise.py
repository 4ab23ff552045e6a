"""Data-dependent initialisation: every kink goes through a row, as sharp as is asked for."""

import numpy as np
import pytest

from brenier.potential.activations import ACTIVATIONS, evaluate
from brenier.potential.initialise import (
    ContextStart,
    initial_conditional_network,
    initial_network,
    initial_radial_units,
)
from brenier.potential.nonnegativity import NONNEGATIVITY

pytestmark = pytest.mark.usefixtures("x64")

SOFTPLUS, WIDTHS, SPREAD = ACTIVATIONS["softplus"], (6, 5), (0.7, 1.9)
CONTEXT = ContextStart(spread=(0.5, 2.0), noise=0.1, shift_ridge=1e-2, least_sd=1e-3)
# Sums of a few terms of the size of the rows.
ROUNDING = 1e-10


def rows(n=2, N=40):
    return 3.0 + np.random.default_rng(0).normal(size=(N, n)) * [10.0, *[0.1] * (n - 1)]


def assert_placed(a, spread):
    """Pre-activations (N, width) are zero at a row, and spread over the others as is asked for."""
    assert (np.abs(a).min(axis=0) < ROUNDING).all()
    assert ((a.std(axis=0) > spread[0] - ROUNDING) & (a.std(axis=0) < spread[1] + ROUNDING)).all()


@pytest.mark.parametrize("form", NONNEGATIVITY)
def test_kinks_of_every_layer_go_through_rows(form):
    X = rows()
    network = initial_network(
        X, WIDTHS, SOFTPLUS, NONNEGATIVITY[form], np.random.default_rng(1), spread=SPREAD
    )
    first = X @ network.K[0].T + network.b[0]
    assert_placed(first, SPREAD)
    u = np.asarray(evaluate(SOFTPLUS, first)[0])
    (L,) = (np.asarray(L) for L in network.hidden_weights())
    assert (L > 0).all()
    assert_placed(u @ L.T + X @ network.K[1].T + network.b[1], SPREAD)
    assert (network.width, network.n) == (WIDTHS[-1], 2)


def test_radial_units_are_centred_at_rows_and_nearly_round():
    X = rows()
    units = initial_radial_units(X, 5, np.random.default_rng(1), spread=SPREAD, noise=0.01)
    # Where B x = -e the unit has its least value, one.
    values = np.asarray(units.value(X))
    np.testing.assert_allclose(values.min(axis=0), 1.0, rtol=ROUNDING)
    sizes = np.linalg.svd(units.B, compute_uv=False) * np.sqrt(X.var(axis=0).sum())
    assert (sizes > 0.9 * SPREAD[0]).all()
    assert (sizes < 1.1 * SPREAD[1]).all()
    assert (sizes.max(axis=1) < 1.1 * sizes.min(axis=1)).all()


def test_targets_are_shifted_by_their_regression_on_the_context():
    rng = np.random.default_rng(2)
    c = rng.normal(size=(200, 2))
    y = c @ [[2.0], [-1.0]] + 5.0 + 0.1 * rng.normal(size=(200, 1))
    network = initial_conditional_network(
        np.hstack([y, c]), 1, WIDTHS, (3,), 2, SOFTPLUS, rng, spread=SPREAD, context=CONTEXT
    )
    units = network.units
    view = units.view(np.hstack([y, c]))
    assert np.std(view.residual) == pytest.approx(0.1, abs=0.03)
    np.testing.assert_allclose(view.scale, 1.0)
    assert_placed(c @ units.context[0].W.T + units.context[0].b, CONTEXT.spread)
    # Gates of quadratics are spread alike; there are two along the one axis.
    assert_placed(np.asarray(network.quadratic_gates(view.h)).T, CONTEXT.spread)
    assert network.quadratic_gates.b.shape == (2,)
