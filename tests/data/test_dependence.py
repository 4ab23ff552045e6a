"""Columns that are functions of others are named with the relation, exact or up to rounding."""

import re

import numpy as np
import pytest

from brenier.data.dependence import (
    check_independent,
    check_independent_beyond_rounding,
    rounding_step,
)

N = 600
NAMES = [f"x{i}" for i in range(6)]


def shares(alpha=(2.0, 3.0, 4.0), seed=0):
    return np.random.default_rng(seed).dirichlet(alpha, N)


def normal(n=3, seed=1):
    return np.random.default_rng(seed).normal(size=(N, n))


def written(X, digits):
    """Return numbers as a file with so many significant digits gives them back."""
    return np.array([[float(f"{value:.{digits}g}") for value in row] for row in X])


def refusal(check, X):
    with pytest.raises(ValueError, match="Expected columns that are not functions") as caught:
        check(X, NAMES[: X.shape[1]])
    return str(caught.value)


def terms(message):
    """Return the constant and the coefficients of a message's only relation, by name."""
    (left, right), *others = re.findall(r"'(x\d)' = ([^;]*)\. Such", message)
    assert not others
    found = {name: float(value) for value, name in re.findall(r"(\S+) '(x\d)'", right)}
    constant = re.match(r"(\S+)(?= [+-]|$)", right)
    has_constant = constant is not None and not right.startswith(("+", "-" + right[1:2] + " '"))
    return left, float(constant[1]) if has_constant else 0.0, found


SIMPLICES = {
    "six places": np.round(shares(), 6),
    "three places": np.round(shares(), 3),
    "six digits": written(shares(), 6),
    "four digits": written(shares(), 4),
    "32 bits": shares().astype(np.float32).astype(float),
    "tenths of a per cent": np.round(shares((2.0,) * 4), 3),
}


@pytest.mark.parametrize("name", SIMPLICES)
def test_rounded_shares_are_dependent_up_to_rounding(name):
    X = SIMPLICES[name]
    # Not to 1e-7: that is another error.
    check_independent(X, NAMES[: X.shape[1]])
    message = refusal(check_independent_beyond_rounding, X)
    assert "dependent up to the rounding" in message
    assert "uniform noise of one step's width" in message
    left, constant, found = terms(message)
    assert constant == 1
    assert {left, *found} == set(NAMES[: X.shape[1]])
    # Rounding of the columns on the right makes their coefficients a little smaller.
    assert list(found.values()) == pytest.approx([-1.0] * len(found), abs=2e-3)


def test_exact_relations_have_their_constant():
    Z = normal()
    X = np.column_stack([Z, 3 + 2 * Z[:, 0] - 0.5 * Z[:, 1]])
    message = refusal(check_independent, X)
    left, constant, found = terms(message)
    assert "x2" not in {left, *found}
    # Whichever of the three is on the left: x3 = 3 + 2 x0 - x1 / 2.
    whole = {**found, left: -1.0, "1": constant}
    unit = -whole["x3"]
    assert whole["1"] / unit == pytest.approx(3, rel=1e-5)
    assert whole["x0"] / unit == pytest.approx(2, rel=1e-5)
    assert whole["x1"] / unit == pytest.approx(-0.5, rel=1e-5)


def test_relations_without_a_constant_have_none():
    Z = normal(1)[:, 0]
    assert "'x1' = -2.5 'x0'." in refusal(
        check_independent, np.column_stack([Z, -2.5 * Z])
    ).replace("'x0' = -0.4 'x1'", "'x1' = -2.5 'x0'")


def test_several_relations_and_columns_beside_them():
    X = np.round(np.column_stack([shares(), shares((1.0, 1.0, 1.0), seed=2)]), 5)
    message = refusal(check_independent_beyond_rounding, X)
    assert message.count(" = 1 -1 ") == 2
    message = refusal(
        check_independent_beyond_rounding, np.round(np.column_stack([shares(), normal()]), 5)
    )
    assert not {"x3", "x4", "x5"} & set(re.findall(r"x\d", message))


def near(noise):
    x, rest = normal(2).T
    return np.column_stack([x, x + noise * rest])


INDEPENDENT = {
    "normal": normal(),
    "hundredths": np.round(normal(), 2),
    "counts": np.random.default_rng(3).poisson(3.0, (N, 3)).astype(float),
    "nearly dependent": near(1e-6),
    "nearly dependent, and rounded finer": np.round(near(1e-3), 4),
    "nearly dependent, of 32 bits": near(1e-4).astype(np.float32).astype(float),
    "a curve": np.round(np.column_stack([near(0)[:, 0], np.tanh(near(0)[:, 0])]), 3),
    "shares and uniform noise": np.round(shares(), 3)
    + np.random.default_rng(4).uniform(-5e-4, 5e-4, (N, 3)),
    "few rows": np.round(shares(), 3)[:19],
}


@pytest.mark.parametrize("name", INDEPENDENT)
def test_what_is_not_rounding_is_left_alone(name):
    X = INDEPENDENT[name]
    check_independent_beyond_rounding(X, NAMES[: X.shape[1]])


def test_steps_of_rounding():
    x = normal(1)[:, 0]
    assert rounding_step(x) < 1e-14
    assert rounding_step(np.round(x, 4)) == pytest.approx(1e-4)
    assert rounding_step(1e3 * np.round(x, 4)) == pytest.approx(0.1)
    # Of significant digits each size has its own step.
    sizes = np.abs(x)
    steps = 10.0 ** (np.floor(np.log10(sizes)) - 4)
    expected = np.sqrt(np.mean(steps**2))
    assert rounding_step(written(x[:, None], 5)[:, 0]) == pytest.approx(expected, rel=1e-3)
    of_bits = rounding_step(x.astype(np.float32).astype(float))
    assert 1e-8 < of_bits < 1e-6
