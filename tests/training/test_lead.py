"""What a potential gains over the Gaussian on held-out rows; whether that is more than chance."""

from dataclasses import replace

import numpy as np
import pytest
from small_problem import N_ROWS, WIDTHS, rows

from brenier.data.rows import Split, WeightedRows
from brenier.optimizers.early_stopping import Iterate
from brenier.optimizers.progress import Offsets
from brenier.training.candidate import potential_at
from brenier.training.families import JointFamily
from brenier.training.folds import Fold
from brenier.training.halving import Standing
from brenier.training.lead import heldout_gain, is_ahead
from brenier.training.selection import Start
from brenier.training.settings import default_settings
from brenier.varpro.parameters import to_vector

pytestmark = pytest.mark.usefixtures("x64")

SETTINGS = replace(default_settings(), widths=WIDTHS, n_radial=0, tau=1e-3, noise=0.0, decay=1e-3)


@pytest.fixture(scope="module")
def job():
    X, weights = rows()
    whole = WeightedRows(X, weights, np.arange(N_ROWS) / N_ROWS)
    split, family = Split(whole, whole[:40].at(X[:40] + 0.1)), JointFamily()
    fold = Fold.of(split, split, Offsets(), family, SETTINGS, seed=0)
    weights = family.start(X, SETTINGS, fold.candidates, np.random.default_rng(0))
    start = Start(fold, weights, 0)
    return start.job(family, SETTINGS, fold.candidates[0], SETTINGS.criteria, 1)


@pytest.fixture(scope="module")
def iterate(job):
    theta = to_vector(job.problem.template.network)
    return Iterate(theta, np.asarray(job.cold.w), np.nan, np.nan, 1)


def test_the_gain_is_that_of_the_same_rows(job, iterate):
    potential, heldout = potential_at(job.problem, iterate), job.fold.split.heldout
    gain = heldout_gain(job.fold, potential, SETTINGS)
    gaussian, own = job.fold.gaussian_losses[1], job.fold.losses(potential)[1]
    assert gain.mean == pytest.approx(gaussian - own, rel=1e-10)
    # Row by row.
    whole = job.fold.split
    losses = [
        replace(job.fold, split=Split(whole.train, heldout[j : j + 1])).losses(potential)[1]
        for j in range(40)
    ]
    differences = job.fold.gaussian.losses(heldout.X) - np.array(losses)
    omega = heldout.weights / heldout.weights.sum()
    error = np.sqrt(np.sum((omega * (differences - gain.mean)) ** 2) * 40 / 39)
    assert gain.standard_error == pytest.approx(error, rel=1e-10)
    few = heldout_gain(job.fold, potential, replace(SETTINGS, whole_rows=20))
    assert few.mean == pytest.approx(np.average(differences[:20], weights=omega[:20]), rel=1e-10)


def test_ahead_is_by_so_many_standard_errors_with_what_is_still_to_come(job, iterate):
    gain = heldout_gain(job.fold, potential_at(job.problem, iterate), SETTINGS)
    errors = gain.mean / gain.standard_error

    def ahead(least_lead, fall=0.0):
        return is_ahead(job, Standing(iterate, fall), replace(SETTINGS, least_lead=least_lead))

    assert ahead(errors - 0.01)
    assert not ahead(errors + 0.01)
    assert ahead(errors + 0.99, fall=gain.standard_error)
    assert not ahead(errors + 1.01, fall=gain.standard_error)
    assert not is_ahead(job, Standing(), replace(SETTINGS, least_lead=-np.inf))
