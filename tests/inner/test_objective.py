"""The objective in w: the naive one in arrays and in chunks, whatever padding holds."""

import jax
import jax.numpy as jnp
import naive
import numpy as np
import pytest
from convex import ROWS, Rows, objective_of, random_rows

from brenier.inner.objective import DenseObjective, exact_probes, sign_probes

pytestmark = pytest.mark.usefixtures("x64")

# Float64 sums of some dozen terms of order one to a hundred.
ROUNDING = {"rtol": 1e-11, "atol": 1e-11}
on_rows = pytest.mark.parametrize("name", ROWS)


@jax.jit
def evaluated(parts, w):
    """Return what an objective made of arrays is at w, with its Hessian and without."""
    return _both(objective_of(*parts), w)


@jax.jit
def evaluated_in_arrays(features, omega, ridge, w):
    """Return what `evaluated` does, of features of all rows."""
    return _both(DenseObjective.of_rows(features, omega, ridge), w)


def _both(objective, w):
    return objective.evaluate(w), objective.evaluate(w, with_hessian=jnp.asarray(False))


def evaluations(rows, w, cuts):
    """Return what `evaluated` does, in arrays and cut into chunks of tiles."""
    in_arrays = evaluated_in_arrays(rows.features, rows.omega, rows.ridge, w)
    return [in_arrays, *(evaluated(rows.parts(*cut), w) for cut in cuts)]


def assert_is(found, expected):
    """Assert that value, gradient and Hessian are those expected, with the Hessian or without."""
    at, without = found
    for found, reference in zip((at.value, at.gradient, at.hessian), expected, strict=True):
        np.testing.assert_allclose(found, reference, **ROUNDING)
    for found, reference in zip((without.value, without.gradient), expected[:2], strict=True):
        np.testing.assert_allclose(found, reference, **ROUNDING)


@on_rows
def test_objective_is_the_naive_one_in_arrays_and_in_chunks_of_tiles(name):
    rows = ROWS[name]
    w = np.random.default_rng(1).uniform(0.2, 2.0, size=rows.G.shape[1])
    expected = naive.loss(w, rows.G, rows.H, rows.omega, rows.ridge)
    for found in evaluations(rows, w, [(3, 1), (1, 3), (2, 2)]):
        assert_is(found, expected)


def test_features_of_several_chunks_are_formed_anew_at_every_evaluation():
    rows = ROWS["n = 2"]
    w = np.random.default_rng(4).uniform(0.2, 2.0, size=rows.G.shape[1])
    for C, anew in ((1, False), (3, True)):
        formed = []

        def derivatives(tile, formed=formed):
            formed.append(1)
            return tile

        tiles, omega = rows.cut(C, 2)
        ridge, probes = jnp.asarray(rows.ridge), jnp.asarray(exact_probes(2))
        objective = DenseObjective.of(derivatives, tiles, omega, ridge, probes)
        before = len(formed)
        objective.evaluate(w)
        assert (len(formed) > before) == anew


def test_signs_have_the_right_squares_and_those_of_neighbours_are_orthogonal():
    for n, B, q in ((1, 4, 1), (3, 8, 2), (13, 32, 1)):
        v = sign_probes(n, B, q)
        assert v.shape == (q, n, B)
        np.testing.assert_allclose(np.sum(v**2, axis=(0, 1)), n)
        # Over as many rows as a Hadamard matrix has, their outer products have the mean one.
        np.testing.assert_allclose(np.einsum("qab,qcb->ac", v, v) / B, np.eye(n), atol=1e-14)


def test_the_probed_hessian_is_near_the_hessian_and_exact_where_it_must_be():
    rng = np.random.default_rng(5)
    rows = ROWS["n = 1"]
    w = rng.uniform(0.2, 2.0, size=rows.G.shape[1])
    expected = naive.loss(w, rows.G, rows.H, rows.omega, rows.ridge)
    assert_is(evaluated(rows.parts(1, 1, sign_probes(1, len(rows.omega), 1)), w), expected)

    many = random_rows(3, seed=6, r=1, N=4096)
    w = rng.uniform(0.2, 2.0, size=many.G.shape[1])
    (at, _), (probed, _) = (
        evaluations(many, w, [])[0],
        evaluated(many.parts(1, 4, sign_probes(3, 1024, 1)), w),
    )
    exact, found = np.asarray(at.hessian), np.asarray(probed.hessian)
    # Relative to the Hessian: eigenvalues of exact^{-1} found.
    eigenvalues = np.linalg.eigvals(np.linalg.solve(exact, found)).real
    assert 0.8 < eigenvalues.min() < 1.0 < eigenvalues.max() < 1.2


@jax.jit
def plain_loss_and_derivatives(rows, w):
    """Return J by its formula, its gradient and its Hessian by automatic differentiation."""

    def J(w):
        G, H, *_, omega, ridge = rows
        z = jnp.einsum("jia,i->ja", G, w)
        A = jnp.einsum("jiab,i->jab", H, w[: H.shape[1]])
        per_row = 0.5 * jnp.sum(z**2, axis=1) - jnp.linalg.slogdet(A)[1]
        return jnp.sum(omega * per_row) + 0.5 * jnp.sum(ridge * w**2)

    return J(w), jax.grad(J)(w), jax.hessian(J)(w)


@on_rows
def test_derivatives_are_those_of_automatic_differentiation(name):
    w = np.random.default_rng(2).uniform(0.2, 2.0, size=ROWS[name].G.shape[1])
    ((at, _),) = evaluations(ROWS[name], w, [])
    for found, reference in zip(
        (at.value, at.gradient, at.hessian), plain_loss_and_derivatives(ROWS[name], w), strict=True
    ):
        np.testing.assert_allclose(found, reference, **ROUNDING)


@on_rows
def test_infinite_outside_the_domain(name):
    rows = ROWS[name]
    w = -np.ones(rows.G.shape[1])
    for at, without in evaluations(rows, w, [(3, 1)]):
        assert at.value == np.inf
        assert without.value == np.inf


# What a padding row may hold: nothing of it counts.
PADDING = {"a good row": 1.0, "zeros": 0.0, "no positive Hessian": -1.0}


@on_rows
@pytest.mark.parametrize("padding", PADDING)
def test_rows_of_weight_zero_change_nothing(name, padding):
    rows = ROWS[name]
    w = np.random.default_rng(3).uniform(0.2, 2.0, size=rows.G.shape[1])
    padded, fill = Rows(*(np.array(array) for array in rows)), PADDING[padding]
    padded.omega[-3:] = 0.0
    padded.G[-3:] *= fill
    padded.H[-3:] *= fill
    padded.q[-3:] *= fill
    expected = naive.loss(w, rows.G[:-3], rows.H[:-3], rows.omega[:-3], rows.ridge)
    for found in evaluations(padded, w, [(3, 1)]):
        assert_is(found, expected)
