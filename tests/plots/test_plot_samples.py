"""Data and samples: each where it can be seen, both in the same limits."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from pictures import Scaled, labelled, legend

from brenier.plots import plot_samples


def test_two_columns_are_side_by_side(moon):
    flow, X = moon
    fig = plot_samples(flow, X, n_samples=40, random_state=3, fig=Figure())
    left, right = fig.axes
    np.testing.assert_array_equal(labelled(left, "data"), X.to_numpy())
    np.testing.assert_array_equal(labelled(right, "samples"), flow.sample(40, random_state=3))
    assert [left.get_xlabel(), left.get_ylabel(), right.get_xlabel()] == [*X.columns, X.columns[0]]
    assert [left.get_title(), right.get_title()] == ["data (300 rows)", "samples (40 rows)"]
    assert left.viewLim.bounds == right.viewLim.bounds


def panels_of(fig):
    """Return the axes of a figure by row and column."""
    specs = [(ax, ax.get_subplotspec()) for ax in fig.axes]
    return {(spec.rowspan[0], spec.colspan[0]): ax for ax, spec in specs}


def test_pairs_are_data_below_and_samples_above_the_diagonal(space):
    flow, X = space
    fig = plot_samples(flow, X, columns=["c", "a", "b"], n_samples=50, fig=Figure())
    panels = panels_of(fig)
    assert sorted(panels) == [(i, j) for i in range(3) for j in range(3)]
    data = X.to_numpy()[:, [2, 0, 1]]
    samples = flow.sample(50, random_state=0)[:, [2, 0, 1]]
    for (i, j), ax in panels.items():
        if i == j:
            assert len(ax.patches) == 2
            continue
        label, rows = ("data", data) if i > j else ("samples", samples)
        (drawn,) = ax.lines
        assert drawn.get_label() == label
        np.testing.assert_array_equal(np.column_stack(drawn.get_data()), rows[:, [j, i]])
    texts = [text.get_text() for text in fig.legends[0].get_texts()]
    assert texts == ["data (300 rows, below the diagonal)", "samples (50 rows, above)"]


def test_all_panels_of_a_column_show_it_in_the_same_limits(space):
    flow, X = space
    panels = panels_of(plot_samples(flow, X, fig=Figure()))
    both = np.concatenate([X.to_numpy(), flow.sample(len(X), random_state=0)])
    margin = 0.05 * np.ptp(both, axis=0)
    limits = np.column_stack([both.min(axis=0) - margin, both.max(axis=0) + margin])
    for (i, j), ax in panels.items():
        np.testing.assert_allclose(ax.get_xlim(), limits[j])
        if i != j:
            np.testing.assert_allclose(ax.get_ylim(), limits[i])


def test_pairs_name_every_column_at_every_side_with_its_numbers(space):
    panels = panels_of(plot_samples(*space, columns=["c", "a", "b"], fig=Figure()))
    assert [panels[2, j].get_xlabel() for j in range(3)] == ["c", "a", "b"]
    # The first row's own vertical axis is that of a histogram: its name is at the other end.
    assert [panels[i, 0].get_ylabel() for i in range(3)] == ["", "a", "b"]
    assert panels[0, 2].get_ylabel() == "c"
    numbered = {at for at, ax in panels.items() if ax.yaxis.get_tick_params()["labelleft"]}
    assert numbered - {(i, i) for i in range(3)} == {(1, 0), (2, 0)}
    assert panels[0, 2].yaxis.get_tick_params()["labelright"]


def test_one_column_is_two_histograms(space):
    fig = plot_samples(*space, columns=["b"], fig=Figure())
    (ax,) = fig.axes
    assert len(ax.patches) == 2
    assert [ax.get_xlabel(), ax.get_ylabel()] == ["b", "density (1 / data unit)"]
    assert sorted(legend(ax)) == ["data", "samples"]


def test_samples_draw_in_a_part_of_a_figure(moon):
    whole = Figure()
    left, right = whole.subfigures(1, 2)
    assert plot_samples(*moon, n_samples=10, fig=left) is left
    assert len(left.axes) == 2
    assert right.axes == []


def test_many_rows_are_thinned_and_many_columns_left_out():
    flow, X = Scaled(8), np.random.default_rng(0).normal(size=(5000, 8))
    fig = plot_samples(flow, X, fig=Figure())
    panels = panels_of(fig)
    assert len(panels) == 6 * 6
    assert {len(line.get_xdata()) for ax in fig.axes for line in ax.lines} == {4000}
    kept = panels[1, 0].lines[0].get_xdata()
    assert [kept[0], kept[-1]] == [X[0, 0], X[-1, 0]]
    with pytest.raises(ValueError, match=r"Expected 1 to 6 different column\(s\); got \[0, 1, 2"):
        plot_samples(flow, X, columns=range(7))
