"""Activations: their derivatives, convexity and monotonicity, and the digits of their tails."""

from decimal import Decimal, localcontext

import jax
import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from brenier.potential.activations import ACTIVATIONS, evaluate

pytestmark = pytest.mark.usefixtures("x64")

# A formula against automatic differentiation of the plain form, a few roundings of numbers of
# order one; the plain forms cancel in the left tail, so this is absolute.
ROUNDING = 1e-13
# Roundings of s, relative to |a|: what may hide a failure of an inequality.
SLACK = 4e-16
# Digits the left tail of s' must keep; erfc's own accuracy far out, where exp(-a^2 / 2) amplifies
# the rounding of a^2 / 2 = 700 to 700 times 1e-16.
TAIL = 2e-13

on_all = pytest.mark.parametrize("name", ACTIVATIONS)
SIZE = 16
far = st.lists(
    st.floats(-30, 30) | st.floats(-1e8, 1e8, allow_subnormal=False), min_size=SIZE, max_size=SIZE
)
law = settings(max_examples=50, deadline=None, derandomize=True, database=None)

JETS = {name: jax.jit(activation.jet) for name, activation in ACTIVATIONS.items()}
WIDE = np.concatenate([-np.geomspace(1e150, 1e-8, 400), [0.0], np.geomspace(1e-8, 1e150, 400)])


def jet(name, a):
    return [np.asarray(derivative) for derivative in JETS[name](np.asarray(a, float))]


def logistic(a):
    """Return s' of the softplus in 50 digits."""
    return 1 / (1 + (-a).exp())


def algebraic(a):
    """Return s' of squareplus in 50 digits."""
    return (1 + a / (a * a + 4).sqrt()) / 2


def exactly(function, a):
    with localcontext(prec=50):
        return np.array([float(function(Decimal(float(x)))) for x in a])


# name: (s' with all its digits, where to look: as far as float64 has normal numbers for it).
TAILS = {
    "softplus": (lambda a: exactly(logistic, a), -700.0),
    "gaussian-softplus": (ndtr, -37.0),
    "squareplus": (lambda a: exactly(algebraic, a), -1e8),
}


@on_all
def test_derivatives_are_those_of_the_plain_form(name):
    a = np.linspace(-8, 8, 101)
    s = naive.ACTIVATIONS[name]
    found = [*jet(name, a), ACTIVATIONS[name].third(a, ACTIVATIONS[name].jet(a))]
    for derivative in found:
        np.testing.assert_allclose(derivative, jax.vmap(s)(a), rtol=0, atol=ROUNDING)
        s = jax.grad(s)


@on_all
def test_evaluate_is_the_jet_and_differentiates_through_the_third_derivative(name):
    activation = ACTIVATIONS[name]
    a = np.linspace(-6, 6, 101)
    s, s1, s2 = jet(name, a)
    found, tangents = jax.jvp(lambda a: evaluate(activation, a), (a,), (np.full_like(a, 2.0),))
    expected = (2 * s1, 2 * s2, 2 * activation.third(a, activation.jet(a)))
    for ours, theirs in zip((*found, *tangents), (s, s1, s2, *expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=ROUNDING, atol=ROUNDING)


@on_all
def test_convex_and_non_decreasing_from_end_to_end(name):
    s, s1, s2 = jet(name, WIDE)
    assert np.isfinite([s, s1, s2]).all()
    assert (np.diff(s) >= -SLACK).all()
    assert (np.diff(s1) >= -SLACK).all()
    assert (s2 >= 0).all()
    # The bound on a network's slope rests on s' <= 1, and on s' -> 1.
    assert (s1 >= 0).all()
    assert (s1 <= 1 + SLACK).all()
    assert s1[-1] == pytest.approx(1, abs=SLACK)
    # |s - max(a, 0)| is at most log 2, 1 / sqrt(2 pi), 1 / |a| or 1 at a = 0.
    np.testing.assert_allclose(s, np.maximum(WIDE, 0), rtol=SLACK, atol=1.0)


@on_all
@law
@given(a=far, b=far, share=st.floats(0, 1))
def test_chords_lie_above_and_values_are_ordered(name, a, b, share):
    a, b = np.array(a), np.array(b)
    middle = share * a + (1 - share) * b
    at_a, at_b, between = (jet(name, x)[0] for x in (a, b, middle))
    slack = SLACK * (1 + np.abs(a) + np.abs(b))
    assert (between <= share * at_a + (1 - share) * at_b + 4 * slack).all()
    assert (np.where(a <= b, at_a - at_b, at_b - at_a) <= slack).all()
    # Tangents lie below: the other half of convexity, and it ties s' to s.
    assert (at_b >= at_a + jet(name, a)[1] * (b - a) - 4 * slack).all()


@on_all
def test_slope_keeps_its_digits_in_the_left_tail(name):
    reference, end = TAILS[name]
    a = -np.geomspace(1e-3, -end, 200)
    _, s1, s2 = jet(name, a)
    np.testing.assert_allclose(s1, reference(a), rtol=TAIL)
    # Curvature without slope is what a huge weight would exploit.
    assert (s1 > 0).all()
    assert (s2 > 0).all()
