"""The checks of the method itself: its gradient, its inner solvers, the mass of its densities."""

import math

import numpy as np
import pytest
from reproduction import TINY

from brenier import load
from brenier.reproduce import checks, mass


def test_taylor_orders(made):
    found = checks.run_checks(TINY)
    orders = {(t.value, t.solver): t.order for t in found.taylor}
    for solver in checks.SOLVERS:
        assert orders["J_tau", solver] == pytest.approx(2, abs=0.1)
        # J itself has a slope of the size of tau that the gradient does not have.
        assert orders["J", solver] < 1.9
    compared = {(c.solver, c.start): c for c in found.inner}
    steps = {key: np.mean(c.newton_steps) for key, c in compared.items()}
    assert steps["primal-dual", "cold"] < steps["barrier", "cold"]
    for solver in checks.SOLVERS:
        assert steps[solver, "warm"] < steps[solver, "cold"]
    assert {sum(compared["barrier", start].chord_steps) for start in ("cold", "warm")} == {0}
    assert sum(compared["primal-dual", "warm"].chord_steps) > 0
    for c in found.inner:
        assert len(c.newton_steps) == len(c.chord_steps) == len(c.seconds) == TINY.n_iterates
        assert c.failures == 0


def test_mass_by_quadrature_is_the_share_of_preimages(made, folder):
    X = TINY.rows(0).train
    for label in TINY.labels:
        flow = load(folder / "runs" / f"{label}-seed0.brenier")
        found = mass.mass_of(flow, X, n_grid=200, n_normal=500)
        # Four standard errors, at most.
        error = 4 * math.sqrt(0.25 / found.n_normal)
        assert found.integral == pytest.approx(found.preimages, abs=error)
    assert found.integral == pytest.approx(1, abs=1e-3)
    assert found.preimages == 1
