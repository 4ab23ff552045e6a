"""A separable problem small enough to be looked at whole: 60 rows of moons, two layers, solvers."""

from functools import cache

import jax.numpy as jnp
import numpy as np

from brenier.data.datasets import Moons
from brenier.inner.barrier import Barrier
from brenier.inner.primal_dual import PrimalDual
from brenier.inner.solution import WarmStart
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.head import SeparableFeatures
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.initialise import initial_radial_units
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.potential.units import ConcatenatedUnits
from brenier.varpro.function import ReducedFunction
from brenier.varpro.parameters import to_vector
from brenier.varpro.reduced import VariableProjection
from brenier.varpro.sample import PaddedSample

N_ROWS, WIDTHS = 60, (4, 3)
SOLVERS = {"primal-dual": PrimalDual(tau=1e-3), "barrier": Barrier(tau=1e-3)}


@cache
def rows():
    """Return 60 standardised rows of moons, and unequal weights."""
    X = Moons().sample(N_ROWS, random_state=0)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, size=N_ROWS)
    return (X - X.mean(axis=0)) / X.std(axis=0), weights


def network(form, widths=WIDTHS, n=2, seed=2):
    rng = np.random.default_rng(seed)
    return InputConvexNetwork(
        K=tuple(rng.normal(size=(width, n)) for width in widths),
        b=tuple(rng.normal(size=width) for width in widths),
        L=tuple(
            NONNEGATIVITY[form].raw(0.5 + rng.exponential(size=shape))
            for shape in zip(widths[1:], widths, strict=False)
        ),
        activation=ACTIVATIONS["gaussian-softplus"],
        nonnegativity=NONNEGATIVITY[form],
    )


def units(form, n_radial):
    """Return the network, with radial units beside it if there are any."""
    if not n_radial:
        return network(form)
    rng = np.random.default_rng(4)
    radial = initial_radial_units(rows()[0], n_radial, rng, spread=(0.5, 3.0), noise=0.1)
    return ConcatenatedUnits((network(form), radial))


def problem(solver="primal-dual", form="bounds", n_radial=0):
    width = WIDTHS[-1] + n_radial
    lower = np.array([0.0] * width + [1e-2] * 2 + [-np.inf] * 2)
    return VariableProjection(
        SeparableFeatures(units(form, n_radial), np.eye(2)),
        lower,
        ridge=np.where(np.arange(len(lower)) < width, 1e-8, 0.0),
        solver=SOLVERS[solver],
        decay=np.asarray(1e-3),
    )


def sample():
    return PaddedSample.of(*rows(), chunk_rows=128)


def function(kind=ReducedFunction, solver="primal-dual", form="bounds", n_radial=0):
    """Return a function to minimise, and where from."""
    cold = WarmStart.cold(jnp.array([0.1] * (WIDTHS[-1] + n_radial) + [1.0, 1.0, 0.0, 0.0]))
    made = kind(problem(solver, form, n_radial), sample(), cold, N_ROWS)
    return made, made.start(to_vector(units(form, n_radial)))
