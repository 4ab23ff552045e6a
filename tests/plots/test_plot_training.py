"""The curves of a fit are its report's history."""

import dataclasses

import numpy as np
import pytest
from pictures import blank, legend

from brenier.plots import plot_training


@pytest.mark.parametrize(
    ("x", "label"),
    [
        ("iteration", "iteration"),
        ("work_units", "work units (passes of single samples)"),
        ("seconds", "wall time (s)"),
    ],
)
def test_training_is_the_reports_history(moon, x, label):
    report = moon[0].report_
    ax = plot_training(report, x=x, ax=blank())
    train, heldout, baseline, returned = ax.lines
    history = report.history
    np.testing.assert_array_equal(train.get_data(), [history[x], history["train_log_likelihood"]])
    np.testing.assert_array_equal(
        heldout.get_data(), [history[x], history["heldout_log_likelihood"]]
    )
    assert set(baseline.get_ydata()) == {report.gaussian_heldout_log_likelihood}
    assert returned.get_xdata() == history[x][report.best_iteration - 1]
    # The iterate of the run; the model may have other potentials beside it.
    assert returned.get_ydata() == max(history["heldout_log_likelihood"])
    assert [line.get_linestyle() for line in ax.lines[:3]] == ["--", "-", ":"]
    assert [ax.get_xlabel(), ax.get_ylabel()] == [label, "log-likelihood (nats per row)"]
    assert legend(ax) == ["training rows", "held-out rows", "Gaussian baseline", "returned"]


def test_several_runs_have_a_name_and_a_colour_each(moon, space):
    ax = plot_training({"moon": moon[0].report_, "space": space[0].report_}, ax=blank())
    assert legend(ax)[:2] == ["moon", "space"]
    colours = (
        [line.get_color() for line in ax.lines[:3]],
        [line.get_color() for line in ax.lines[4:7]],
    )
    assert [len(set(colour)) for colour in colours] == [1, 1]
    assert colours[0][0] != colours[1][0]


def test_training_without_held_out_rows(moon):
    report = moon[0].report_
    none = (float("nan"),) * report.n_iter
    blind = dataclasses.replace(
        report,
        history=report.history | {"heldout_log_likelihood": none},
        gaussian_heldout_log_likelihood=float("nan"),
    )
    ax = plot_training({"one": blind, "two": blind}, ax=blank())
    train, baseline, returned = ax.lines[:3]
    assert legend(ax) == ["one", "two", "training rows", "Gaussian baseline", "returned"]
    assert set(baseline.get_ydata()) == {report.gaussian_train_log_likelihood}
    assert returned.get_ydata() == train.get_ydata()[report.best_iteration - 1]


def test_iterations_that_did_not_look_at_held_out_rows_leave_no_gap(moon):
    report = moon[0].report_
    heldout = np.array(report.history["heldout_log_likelihood"])
    heldout[1::2] = np.nan
    history = report.history | {"heldout_log_likelihood": tuple(heldout)}
    ax = plot_training(dataclasses.replace(report, history=history), ax=blank())
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), heldout[::2])


def test_a_gaussian_has_no_returned_iterate(moon):
    ax = plot_training(dataclasses.replace(moon[0].report_, best_iteration=0), ax=blank())
    assert len(ax.lines[3].get_xdata()) == 0


def test_training_says_what_it_expects(moon):
    report = moon[0].report_
    with pytest.raises(ValueError, match=r"Expected x to be one of iteration, .*; got 'epochs'"):
        plot_training(report, x="epochs")
    with pytest.raises(ValueError, match=r"Expected one to 6 reports, .*; got 7"):
        plot_training({str(i): report for i in range(7)})
    with pytest.raises(ValueError, match=r"Expected one to 6 reports, .*; got 0"):
        plot_training({})
