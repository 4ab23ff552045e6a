"""How a solve ends: every status, on functions that are convex, and on some that are not."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from convex import ROWS, Bowl, K, Saddle, Uphill

from brenier.inner.barrier import Barrier
from brenier.inner.primal_dual import PrimalDual
from brenier.inner.solution import WarmStart
from brenier.status import InnerStatus

pytestmark = pytest.mark.usefixtures("x64")

SOLVERS = {"primal-dual": PrimalDual(tau=1e-4), "barrier": Barrier(tau=1e-4)}
both_solvers = pytest.mark.parametrize("solver", SOLVERS)
# Compiling is what costs here.
program = eqx.filter_jit(compiler_options={"xla_backend_optimization_level": 0})


@program
def solve(solver, objective, lower, start):
    return solver.solve(objective, lower, start)


def status_of(objective, solver, start=(1.0, 1.0, 1.0)):
    lower = jnp.array([0.0, -jnp.inf, -jnp.inf])
    solution = solve(solver, objective, lower, WarmStart.cold(jnp.array(start)))
    assert np.isfinite(solution.w).all()
    return InnerStatus(int(solution.status)), int(solution.newton_steps)


CENTRE = jnp.array([3.0, -4.0, 5.0])


@both_solvers
def test_every_status(solver):
    solver = SOLVERS[solver]
    status, steps = status_of(Bowl(CENTRE), solver)
    assert status is InnerStatus.CONVERGED
    short = eqx.tree_at(lambda s: s.max_steps, solver, 2)
    assert status_of(Bowl(CENTRE), short) == (InnerStatus.ITERATION_LIMIT, 2)
    assert steps > 2
    # The last step allowed may be the one that closes.
    enough = eqx.tree_at(lambda s: s.max_steps, solver, steps)
    assert status_of(Bowl(CENTRE), enough) == (InnerStatus.CONVERGED, steps)
    # The primal-dual method evaluates the Hessian where it tries the first step, too.
    evaluated = 2 if isinstance(solver, PrimalDual) else 1
    assert status_of(Uphill(CENTRE), solver) == (InnerStatus.NO_PROGRESS, evaluated)
    assert status_of(Saddle(CENTRE), solver) == (InnerStatus.NUMERICAL_FAILURE, 1)
    # A start outside of the domain.
    lower = jnp.array([0.0] * K + [-jnp.inf] * 2)
    outside = solve(solver, ROWS["n = 2"].arrays, lower, WarmStart.cold(-jnp.ones(K + 2)))
    assert outside.status == InnerStatus.NUMERICAL_FAILURE
