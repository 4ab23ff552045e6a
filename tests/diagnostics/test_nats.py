"""Nats missing: none of a right model, the known loss of wrong ones."""

import numpy as np
import pytest
from normal_model import bent, normal
from scipy import stats

from brenier.diagnostics.nats import nats_missing, standard_error

N = 500
CENTRED = normal(N, 2) - normal(N, 2).mean(axis=0)


def missing(Z, context=None):
    context = np.zeros((len(Z), 0)) if context is None else context
    return nats_missing(Z, context, np.random.default_rng(0))


LOSSES = {
    "nothing": (normal(N, 2), 0.0),
    "shift": (CENTRED + [0.4, 0.0], 0.08),
    "scale": (1.4 * normal(N, 2), 2 * (0.48 - np.log(1.4))),
    "bend": (bent(N), 0.5 * np.log(1.5)),
    "one column": (CENTRED[:, :1] + 0.5, 0.125),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_is_within_its_errors(name):
    Z, loss = LOSSES[name]
    found = missing(Z)
    assert abs(found.value - loss) < 2.5 * found.standard_error
    assert (found.value > 2 * found.standard_error) == (loss > 0)
    assert found.n_rows == N
    assert len(found.parts) == 5


def test_what_depends_on_the_context_is_missing_though_z_is_normal():
    context = np.sign(normal(N, 1, seed=5))
    half = np.abs(normal(N, 1))
    # Normal over all contexts; of one sign at each, which is log 2 nats.
    Z = context * half
    assert abs(missing(Z).value) < 0.02
    assert missing(Z, context).value > 0.3


def test_the_same_seed_gives_the_same_numbers():
    assert missing(normal(60, 2)) == missing(normal(60, 2))


def test_so_few_rows_as_twenty_have_a_number():
    assert np.isfinite(missing(normal(20, 3)).value)


def test_skewed_gains_have_a_larger_error_and_equal_ones_none():
    skewed = np.random.default_rng(0).exponential(size=400)
    even = np.concatenate([skewed, -skewed])[::2]
    naive = skewed.std(ddof=1) / 20
    # Two of the errors are the end of Johnson's interval on the tail's side, to first order.
    longer = 2 * naive * (1 + stats.skew(skewed) * (1 + 2 * 4) / (6 * 20 * 2))
    assert 2 * standard_error(skewed) == pytest.approx(longer, rel=0.01)
    assert standard_error(even) < 1.05 * even.std(ddof=1) / np.sqrt(len(even))
    assert standard_error(np.full(10, 0.25)) == 0
