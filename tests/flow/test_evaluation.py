"""Evaluation in batches: neither they nor padding nor order change a number."""

import numpy as np
import pytest
from random_flows import FLOWS, flow_of, preimages

from brenier.flow.evaluation import BATCH, in_batches, inverse, log_density, transform

# Float64 sums of a few hundred terms, and logarithms of determinants of well-conditioned matrices.
ROUNDING = 1e-9


@pytest.mark.parametrize("name", FLOWS)
def test_neither_batches_nor_padding_nor_order_change_a_number(name):
    flow, X = flow_of(name)
    whole = in_batches(log_density, flow, X)
    alone = np.concatenate([in_batches(log_density, flow, X[i : i + 1]) for i in range(len(X))])
    backwards = in_batches(log_density, flow, X[::-1])[::-1]
    copies = 2 * BATCH // len(X)
    in_many = in_batches(log_density, flow, np.tile(X, (copies, 1))).reshape(copies, len(X))
    # Compilers may order the same sums otherwise for another length.
    for other in (alone, backwards, *in_many):
        np.testing.assert_allclose(other, whole, rtol=1e-13, atol=1e-13)


def test_neither_batches_nor_padding_change_an_inverse():
    Z, X, inversion = preimages("two columns")
    for k in (1, 60):
        X_of_few, few = in_batches(inverse, flow_of("two columns")[0], Z[:k])
        assert few.converged.shape == few.residual.shape == few.error_bound.shape == (k,)
        # The slowest row of a batch does not make the others go on.
        np.testing.assert_allclose(X_of_few, X[:k], rtol=ROUNDING)
        assert few.steps <= inversion.steps


def test_no_rows_give_no_numbers():
    flow, X = flow_of("two columns")
    assert in_batches(log_density, flow, X[:0]).shape == (0,)
    assert in_batches(transform, flow, X[:0]).shape == (0, 2)
    points, inversion = in_batches(inverse, flow, X[:0])
    assert points.shape == (0, 2)
    assert inversion.converged.shape == (0,)
