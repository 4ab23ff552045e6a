"""What the speed of the parts is measured on: the objective of a fit, formed once."""

import sys
from pathlib import Path

import jax
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks.problems import Problem, chord_step, derivatives, formed, newton_step
    from benchmarks.speed.flops import rates
finally:
    sys.path.remove(str(ROOT))

pytestmark = pytest.mark.usefixtures("x64")


def test_what_is_formed_is_the_objective_of_a_fit():
    problem = Problem.of(np.random.default_rng(0).normal(size=(70, 2)), (3,))
    theta, w = problem.theta, problem.cold.w
    expected = problem.reduced.objective(theta, problem.sample, exact=True).evaluate(w)
    objective = formed(problem.reduced, theta, problem.sample, exact=True)
    found = objective.evaluate(w)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    hessians, shares, _ = derivatives(problem.reduced, theta, problem.sample)
    np.testing.assert_allclose(hessians, objective.term.H, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(shares, objective.term.shares, rtol=1e-12, atol=1e-14)
    value, gradient = chord_step(objective, w)
    np.testing.assert_allclose(value, expected.value, rtol=1e-12)
    np.testing.assert_allclose(gradient, expected.gradient, rtol=1e-10, atol=1e-14)
    # Down, with the identity added to the Hessian.
    step = newton_step(objective, w)
    damped = expected.hessian + np.eye(len(w))
    np.testing.assert_allclose(damped @ step, -expected.gradient, rtol=1e-10, atol=1e-13)


def test_every_kernel_has_a_rate():
    found = rates(1, rows=64, rounds=1)
    assert found.keys() == {"features", "newton", "gradient"}
    assert min(found.values()) > 0.0
