"""The inverse of a composition, map by map."""

import equinox as eqx
import numpy as np
import pytest
from small_chain import N, n, potentials, rows

from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import ColumnBounds, Preprocessing, whitening
from brenier.potential.composition import Composition

pytestmark = pytest.mark.usefixtures("x64")

INVERSE = 1e-8


def test_inverse_and_its_error_bound():
    X = rows()
    preprocessing = Preprocessing(
        ColumnBounds(np.full(n, -np.inf), np.full(n, np.inf)), whitening(X, np.ones(N), "full")
    )
    flow = ConvexFlow(preprocessing, Composition(potentials()))
    Z = flow.transform(X)
    # In one program: compiled apart their residuals, near rounding, would not be the same.
    (again, inversion), own = eqx.filter_jit(lambda Z: (flow.inverse(Z), flow.map_inversions(Z)))(Z)
    np.testing.assert_allclose(again, X, rtol=INVERSE, atol=INVERSE)
    assert np.all(inversion.converged)
    error = np.linalg.norm(inversion.X - preprocessing.forward(X)[0], axis=1)
    assert np.all(error <= inversion.error_bound + 1e-13)
    # Map by map: each leads where the next one's inversion ends.
    assert len(own) == 3
    image, points = own[0].X, Z
    for potential in flow.map.potentials:
        image = potential.gradient_and_hessian(image)[0].T
    np.testing.assert_allclose(image, points, rtol=INVERSE, atol=INVERSE)
    bound = own[2].error_bound
    for k in (1, 0):
        bound = own[k].error_bound + bound / float(flow.map.potentials[k].strong_convexity)
    np.testing.assert_allclose(inversion.error_bound, bound, rtol=1e-12)
    assert int(inversion.steps) == max(int(one.steps) for one in own)
