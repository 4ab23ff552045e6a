"""Probabilities of several networks together: normalised, sharpened as held-out rows ask for."""

import numpy as np
import pytest
import scipy.special

from brenier.supervised.classes import chosen_sharpness, mean_log_probabilities

RNG = np.random.default_rng(0)


def test_probabilities_are_the_mean_of_the_networks():
    logits = RNG.normal(size=(3, 5, 4))
    log_p = mean_log_probabilities(logits, 2.0)
    expected = np.mean(scipy.special.softmax(2.0 * logits, axis=2), axis=0)
    np.testing.assert_allclose(np.exp(log_p), expected, rtol=1e-12)


@pytest.mark.parametrize(("factor", "expected"), [(0.5, 2.0), (2.0, 1.0)])
def test_sharpness_is_what_held_out_rows_ask_for_and_never_below_one(factor, expected):
    logits = RNG.normal(size=(4000, 3)) * 2
    p = scipy.special.softmax(logits, axis=1)
    labels = (p.cumsum(axis=1) < RNG.uniform(size=(4000, 1))).sum(axis=1)
    found = chosen_sharpness(factor * logits, np.eye(3)[labels], np.ones(4000))
    # Some per cent of chance with 4,000 rows.
    assert found == pytest.approx(expected, rel=0.1)
