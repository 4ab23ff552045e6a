"""Programs: compiled once for each shape, parts of others where they are called within."""

import time
from concurrent.futures import ThreadPoolExecutor

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brenier.program import call, program

pytestmark = pytest.mark.usefixtures("x64")


def test_a_program_is_traced_once_for_each_shape_and_for_all_else_than_arrays():
    traced = []

    @program
    def scaled(x, power):
        traced.append(x.shape)
        return 2.0 * x**power

    for x, power in ((np.ones(2), 1), (np.full(2, 3.0), 1), (np.ones(3), 1), (np.ones(3), 2)):
        np.testing.assert_allclose(scaled(x, power), 2.0 * x**power)
    assert traced == [(2,), (3,), (3,)]
    assert scaled.__name__ == "scaled"


def test_a_method_is_a_program_of_its_arrays():
    class Line(eqx.Module):
        slope: jax.Array

        @program
        def at(self, x):
            return self.slope * x

    assert float(Line(jnp.asarray(2.0)).at(jnp.asarray(3.0))) == 6.0


def test_within_another_program_it_is_a_part_of_that():
    @program
    def inner(x):
        return x + 1.0

    @program
    def outer(x):
        return 2.0 * inner(x)

    assert float(outer(jnp.asarray(1.0))) == 4.0
    assert float(jax.grad(outer)(1.0)) == 2.0


def test_programs_not_called_for_longest_are_let_go(monkeypatch):
    monkeypatch.setattr(call, "MOST_HELD", 2)
    monkeypatch.setattr(call, "HELD", call._Held())
    traced = []

    @program
    def doubled(x):
        traced.append(len(x))
        return 2.0 * x

    for length in (1, 2, 1, 3, 1, 2):
        doubled(np.ones(length))
    assert traced == [1, 2, 3, 2]
    assert len(call.HELD.programs) == 2


def test_threads_that_call_at_once_compile_once():
    traced = []

    @program
    def slow(x):
        traced.append(len(x))
        time.sleep(0.2)
        return 2.0 * x

    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(slow, [np.ones(4)] * 3))
    assert traced == [4]
    assert all((x == 2.0).all() for x in found)


def test_equal_arguments_of_other_types_are_other_programs():
    @program
    def plus(x, k):
        return x + k

    assert plus(np.ones(2, dtype=int), 1).dtype == np.int64
    assert plus(np.ones(2, dtype=int), 1.0).dtype == np.float64


def test_an_option_that_xla_does_not_know_is_left_out_alone(monkeypatch):
    known = {"xla_cpu_use_fusion_emitters": False}
    monkeypatch.setattr(call, "ON_CPU", {**known, "xla_no_such_option": True})
    call._options.cache_clear()
    try:
        assert call._options() == (known if jax.default_backend() == "cpu" else {})
    finally:
        call._options.cache_clear()
