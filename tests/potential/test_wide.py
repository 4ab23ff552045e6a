"""Many columns: what is found in few directions is what entries of n^2 give, however conditioned.

The reference is dense and in NumPy's longer floating-point numbers, with factorisations of its own:
in float64 the references themselves would lose what is asked for.
"""

import os
from functools import cache
from threading import Thread
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brenier.linalg import unpack
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.features import ConvexPotential
from brenier.potential.head import WIDE, SeparableFeatures
from brenier.potential.hessians import (
    MOST_AT_ONCE,
    Coordinates,
    Curvature,
    LowRankHessians,
    PackedHessians,
)
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.merge import combine
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.potential.radial import RadialUnits
from brenier.potential.sums import SumPotential
from brenier.potential.units import ConcatenatedUnits
from brenier.potential.wide import MOST_ROWS, WideObjective
from brenier.varpro.reduced import loss

pytestmark = pytest.mark.usefixtures("x64")

# Relative to the largest entry of what is compared: of values, gradients, Hessians in w.
PRECISION = 1e-9
# The reference is no better than float64 where its numbers are no longer than those.
LONG = np.finfo(np.longdouble).eps < 1e-18
n, N = 30, 6


class Case(NamedTuple):
    """Units and conditioning: all directions fewer than columns, or not.

    `radial` is the shape of the radial units' matrices, without their columns.
    """

    widths: tuple[int, ...]
    radial: tuple[int, int]
    condition: float


CASES = {
    f"{name}, {condition:.0e}": Case(widths, radial, condition)
    for name, widths, radial in (
        ("fewer directions", (4, 3, 5), (0, 0)),
        ("more directions", (12, 12, 12), (0, 0)),
        ("radial units", (3, 3), (2, n)),
        ("radial units of few rows", (3, 3), (2, 3)),
    )
    for condition in (1e2, 1e8)
}
on_cases = pytest.mark.parametrize("name", CASES)


@cache
def draw(name):
    """Return features, w and rows: quadratics' weights, and curvature beside them, span a range."""
    case = CASES[name]
    rng = np.random.default_rng(0)
    scale = case.condition**0.25
    network = InputConvexNetwork(
        K=tuple(scale * rng.normal(size=(width, n)) / np.sqrt(n) for width in case.widths),
        b=tuple(rng.normal(size=width) for width in case.widths),
        L=tuple(
            rng.exponential(size=shape) / shape[1]
            for shape in zip(case.widths[1:], case.widths, strict=False)
        ),
        activation=ACTIVATIONS["squareplus"],
        nonnegativity=NONNEGATIVITY["bounds"],
    )
    units = network
    if case.radial[0]:
        B = rng.normal(size=(*case.radial, n)) / np.sqrt(n)
        radial = RadialUnits(B, rng.normal(size=case.radial))
        units = ConcatenatedUnits((network, radial))
    features = SeparableFeatures(units, np.linalg.qr(rng.normal(size=(n, n)))[0])
    w = rng.uniform(0.5, 1.5, size=features.n_features)
    w[: units.width] *= scale
    w[units.width : units.width + n] = np.geomspace(1.0, case.condition**-0.5, n)
    omega = rng.uniform(0.5, 1.5, size=N)
    omega[-1] = 0.0
    return features, w, rng.normal(size=(N, n)), omega / omega.sum()


def tiles(X, omega):
    """Return rows and weights as one chunk of two tiles."""
    return jnp.asarray(X.reshape(1, 2, -1, n)), jnp.asarray(omega.reshape(1, 2, -1))


@jax.jit
def of_arrays(features, w, X, omega):
    """Return what `found` does: the cases of a shape are one program."""
    _, z, hessians = features.expansion(w, X)
    objective = features.objective(*tiles(X, omega), jnp.full(len(w), 1e-3), exact=True)
    slopes = jax.grad(lambda f, w: loss(f.with_weights(w), X, omega), (0, 1))(features, w)
    return z, hessians.log_det(), hessians.solve(X.T), objective.evaluate(w), slopes


@cache
def found(name):
    """Return what the wide form says: image, log det, its objective, and the loss's slopes."""
    return of_arrays(*draw(name))


@cache
def reference(name):
    """Return the same from dense derivatives: image, log det, A^{-1} x, J, gradient, Hessian."""
    features, w, X, omega = draw(name)
    d = jax.jit(SeparableFeatures.derivatives)(features, X)
    G = np.moveaxis(np.asarray(d.gradients), -1, 0).astype(np.longdouble)
    H = np.stack([np.asarray(unpack(H)) for H in d.hessians], axis=1).astype(np.longdouble)
    R, w = np.asarray(features.axes).astype(np.longdouble), w.astype(np.longdouble)
    H = np.concatenate([H, np.broadcast_to(R[:, :, None] * R[:, None, :], (N, n, n, n))], axis=1)
    A = np.einsum("i,jiab->jab", w[: features.n_constrained], H)
    inverses, log_dets = zip(*(inverse_and_log_det(one) for one in A), strict=True)
    inverse, log_det = np.stack(inverses), np.stack(log_dets)
    z = np.einsum("jia,i->ja", G, w)
    J = omega @ (0.5 * np.sum(z**2, axis=1) - log_det) + 0.5e-3 * w @ w
    S = inverse[:, None] @ H
    gradient, hessian = np.einsum("j,jia,ja->i", omega, G, z), 1e-3 * np.eye(len(w))
    gradient += 1e-3 * w
    hessian = hessian + np.einsum("j,jia,jka->ik", omega, G, G)
    m_plus = features.n_constrained
    gradient[:m_plus] -= np.einsum("j,jiaa->i", omega, S)
    flat, turned = S.reshape(N, m_plus, -1), np.swapaxes(S, 2, 3).reshape(N, m_plus, -1)
    hessian[:m_plus, :m_plus] += np.einsum("j,jix,jkx->ik", omega, flat, turned)
    solved = np.einsum("jab,jb->aj", inverse, X.astype(np.longdouble))
    return z.T, log_det, solved, J, gradient, hessian


def inverse_and_log_det(A):
    """Return A^{-1} and log det A of a long positive definite matrix, by elimination."""
    M, log_det = np.concatenate([A, np.eye(n, dtype=A.dtype)], axis=1), np.longdouble(0)
    for j in range(n):
        log_det += np.log(M[j, j])
        M[j] /= M[j, j]
        others = np.arange(n) != j
        M[others] -= M[others, j, None] * M[j]
    return M[:, n:], log_det


def assert_near(one, other):
    one, other = np.asarray(one), np.asarray(other).astype(float)
    assert np.max(np.abs(one - other)) <= PRECISION * np.max(np.abs(other))


@on_cases
def test_images_log_determinants_and_solutions_are_those_of_dense_matrices(name):
    z, log_det, solved, _, _ = found(name)
    expected_z, expected, expected_solved = reference(name)[:3]
    assert_near(z, expected_z)
    assert_near(log_det, expected)
    assert_near(solved, expected_solved)


@on_cases
def test_objective_is_that_of_dense_matrices(name):
    here = found(name)[3]
    J, gradient, hessian = reference(name)[3:]
    assert_near(here.value, J)
    assert_near(here.gradient, gradient)
    assert_near(here.hessian, hessian)
    # The quadratics' own entries, which are far from the largest.
    width = CASES[name].widths[-1] + CASES[name].radial[0]
    own = slice(width, width + n)
    scale = np.sqrt(np.diag(hessian))[own]
    error = (np.asarray(here.hessian) - hessian)[own, own] / (scale[:, None] * scale)
    assert np.max(np.abs(error)) <= PRECISION
    assert np.max(np.abs((np.asarray(here.gradient) - gradient)[own] / scale)) <= PRECISION


def dense_loss(features, w, X, omega):
    _, z, A = ConvexPotential(features, w).jet(X)
    counted = PackedHessians(A).counting(omega > 0)
    z = jnp.where(omega > 0, z, 0.0)
    return omega @ (0.5 * jnp.sum(z * z, axis=0) - counted.log_det())


@pytest.mark.parametrize("s", [0, 2])
@pytest.mark.parametrize("r", [MOST_AT_ONCE, MOST_AT_ONCE + 4])
def test_rows_many_at_once_and_one_by_one_have_the_same_log_determinants_and_slopes(r, s):
    # Whether directions that rows share are summed, or stand beside the rows' own.
    rng, rows, k, p = np.random.default_rng(1), 5, 3, 4
    root = rng.normal(size=(s, r, r)) / np.sqrt(r)
    curvature = Curvature(
        c=rng.uniform(0.5, 1.5, (k, rows)),
        F=rng.normal(size=(k, rows, r)),
        b=rng.uniform(0.5, 1.5, (p, rows)),
        D=rng.normal(size=(p, r)),
        a=rng.uniform(0.5, 1.5, (s, rows)),
        S=np.swapaxes(root, 1, 2) @ root,
    )
    q = rng.uniform(0.5, 1.5, r)

    def found(q, curvature):
        coordinates = Coordinates(q, jnp.eye(r), None)
        return jnp.sum(jnp.sin(LowRankHessians(coordinates, curvature).log_det()))

    def expected(q, curvature):
        c, F, b, D, a, S = jax.tree.leaves(curvature)
        terms = jnp.einsum("kj,kja,kjb->jab", c, F, F) + jnp.einsum("pj,pa,pb->jab", b, D, D)
        terms = terms + jnp.einsum("sj,sab->jab", a, S)
        # Terms are given along Q^{-1/2} as it is: they do not change with Q.
        root = jax.lax.stop_gradient(jnp.sqrt(q))
        A = jnp.diag(q) + root[:, None] * terms * root
        return jnp.sum(jnp.sin(jnp.linalg.slogdet(A)[1]))

    one, other = (jax.value_and_grad(f, (0, 1))(q, curvature) for f in (found, expected))
    for mine, reference in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].condition < 1e4])
def test_gradient_in_all_weights_is_that_of_dense_matrices(name):
    features, w, X, omega = draw(name)
    of_features, of_w = found(name)[4]
    expected, expected_w = jax.jit(jax.grad(dense_loss, (0, 1)))(features, w, X, omega)
    assert_near(of_w, expected_w)
    for one, other in zip(
        jax.tree.leaves(of_features.network), jax.tree.leaves(expected.network), strict=True
    ):
        assert_near(one, other)


def test_gradients_and_other_coordinates_are_those_of_jets():
    features, _, X, _ = draw("radial units, 1e+02")
    M = np.random.default_rng(2).normal(size=(n, n - 1))
    units, turned = features.network, features.network.through(M)
    gradients, of_jet = jax.jit(lambda units: (units.gradients(X), units.jet(X).gradient))(units)
    assert_near(gradients, of_jet)
    Y = X[:, :-1]
    assert_near(turned.value(Y), units.value(Y @ M.T))


def test_padding_never_counts_wherever_it_is():
    features, w, X, omega = draw("fewer directions, 1e+02")
    holding = np.array(X)
    holding[-1] = 1e8
    assert omega[-1] == 0.0

    @jax.jit
    def slopes(X):
        value, slope = jax.value_and_grad(lambda f, w: loss(f.with_weights(w), X, omega), (0, 1))(
            features, jnp.asarray(w)
        )
        return value, slope[1], slope[0].network.K

    for one, other in zip(
        jax.tree.leaves(slopes(holding)), jax.tree.leaves(slopes(X)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_hessian_is_of_evenly_spaced_rows_where_rows_are_many():
    features, w, _, _ = draw("more directions, 1e+02")
    rng = np.random.default_rng(1)
    X, omega = rng.normal(size=(1, 16, 64, n)), rng.uniform(0.5, 1.5, size=(1, 16, 64))
    ridge = jnp.zeros(len(w))

    @eqx.filter_jit
    def both(w):
        args = jnp.asarray(X), jnp.asarray(omega / omega.sum()), ridge
        some, all_ = features.objective(*args), features.objective(*args, exact=True)
        return some, some.evaluate(w), all_.evaluate(w)

    some, estimate, exact = both(jnp.asarray(w))
    assert isinstance(some, WideObjective)
    assert some.seen[1].size == MOST_ROWS
    assert float(jnp.sum(some.seen[1])) == pytest.approx(1.0, rel=1e-12)
    np.testing.assert_array_equal(
        some.seen[0].reshape(-1, n), some.rows[0].reshape(-1, n)[:: 1024 // MOST_ROWS]
    )
    np.testing.assert_array_equal(estimate.gradient, exact.gradient)
    # Newton's step with the one matrix is nearly that with the other.
    change = np.linalg.solve(np.asarray(exact.hessian), np.asarray(estimate.hessian))
    assert np.all(np.abs(np.linalg.eigvals(change) - 1.0) < 0.5)


@jax.jit
def expanded(potential, X):
    """Return a potential's expansion, and its Hessians' log det and solution for the images."""
    expansion = _, z, hessians = potential.expansion(X)
    return expansion, hessians.log_det(), hessians.solve(z)


@jax.jit
def jet(potential, X):
    """Return a potential's jet."""
    return potential.jet(X)


def test_sum_of_potentials_on_the_same_axes_is_found_as_one():
    features, w, X, _ = draw("radial units, 1e+02")
    other, w_other, _, _ = draw("radial units, 1e+08")
    assert np.array_equal(features.axes, other.axes)
    members = ConvexPotential(features, w), ConvexPotential(other, w_other)
    whole = SumPotential.of(members, np.array([0.3, 0.7]))
    assert whole.shared_axes
    (value, z, hessians), log_det, solved = expanded(whole, X)
    assert isinstance(hessians, LowRankHessians)
    expected_value, expected_z, A = jet(whole, X)
    assert_near(value, expected_value)
    assert_near(z, expected_z)
    assert_near(log_det, PackedHessians(A).log_det())
    assert_near(solved, PackedHessians(A).solve(z))


def test_sum_of_potentials_on_other_axes_is_found_entry_by_entry():
    features, w, X, _ = draw("fewer directions, 1e+02")
    turned = eqx.tree_at(lambda f: f.axes, features, features.axes[::-1].copy())
    whole = SumPotential.of(
        (ConvexPotential(features, w), ConvexPotential(turned, w)), np.array([0.5, 0.5])
    )
    assert not whole.shared_axes
    (value, z, hessians), log_det, _ = expanded(whole, X)
    assert isinstance(hessians, PackedHessians)
    assert_near(hessians.A, jet(whole, X)[2])
    # Where the sum is made its axes are found.
    combined = combine(whole.members, [0.5, 0.5])
    assert isinstance(combined, SumPotential)
    assert combined.shared_axes
    (combined_value, combined_z, _), combined_log_det, _ = expanded(combined, X)
    assert_near(combined_value, value)
    assert_near(combined_z, z)
    assert_near(combined_log_det, log_det)
    assert float(combined.strong_convexity) >= float(whole.strong_convexity)


def test_few_columns_are_held_entry_by_entry():
    rng = np.random.default_rng(0)
    for columns, kind in ((WIDE - 1, PackedHessians), (WIDE, LowRankHessians)):
        units = RadialUnits(rng.normal(size=(1, columns, columns)), np.zeros((1, columns)))
        features = SeparableFeatures(units, np.eye(columns))
        w = jnp.ones(features.n_features)
        _, _, hessians = jax.eval_shape(features.expansion, w, jnp.ones((2, columns)))
        assert isinstance(hessians, kind)
    thesis = SeparableFeatures(units, np.zeros((0, columns)))
    assert not thesis.is_wide


def test_many_threads_factorise_at_once_and_none_waits_for_another():
    # What a batch of matrices in one call of LAPACK did: with as many calls as threads all hung.
    features, w, _, _ = draw("fewer directions, 1e+02")
    X = np.random.default_rng(0).normal(size=(256, n))
    log_det = jax.jit(lambda X: features.expansion(jnp.asarray(w), X)[2].log_det())
    expected, found = np.asarray(log_det(X)), []

    def call():
        with jax.enable_x64(True):
            found.append([np.asarray(log_det(X)) for _ in range(4)])

    threads = [Thread(target=call, daemon=True) for _ in range(4 * os.cpu_count())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60.0)
    assert len(found) == len(threads)
    np.testing.assert_array_equal(
        np.concatenate(found), np.broadcast_to(expected, (16 * os.cpu_count(), 256))
    )
