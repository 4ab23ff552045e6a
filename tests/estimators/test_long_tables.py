"""A table longer than every evaluation would see whole: a default fit, by mini-batches."""

import numpy as np
from scipy.stats import norm

from brenier import ConvexPotentialFlow

BEND = 0.8


def bent(N, seed):
    """Return rows of x_1 = z_1, x_2 = z_2 + 0.8 z_1^2, and their log-densities."""
    z = np.random.default_rng(seed).normal(size=(N, 2))
    X = np.column_stack([z[:, 0], z[:, 1] + BEND * z[:, 0] ** 2])
    return X, norm.logpdf(z).sum(axis=1)


def test_density_is_near_the_true_one():
    flow = ConvexPotentialFlow(widths=(8, 8), random_state=0).fit(bent(9800, seed=0)[0])
    X, truth = bent(20_000, seed=1)
    # The Gaussian misses log(1 + 2 0.8^2) / 2 = 0.41 nats.
    assert truth.mean() - flow.score(X) < 0.03
    report = flow.report_
    assert report.status.finished
    assert report.n_train > 8192
    # The last layer was solved for at the end, and in no step before.
    assert report.certificate.stationarity < 1e-6
    assert report.newton_steps == ()
    assert report.work_units == 8192 * report.n_iter
