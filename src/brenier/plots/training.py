"""How a fit went: its log-likelihoods by iteration, work units or seconds."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from brenier.plots.style import OKABE_ITO, new_axes
from brenier.training.report import FitReport

AXES_OF_HISTORY = {
    "iteration": "iteration",
    "work_units": "work units (passes of single samples)",
    "seconds": "wall time (s)",
}


def plot_training(
    reports: FitReport | Mapping[str, FitReport],
    *,
    x: str = "iteration",
    ax: Axes | None = None,
) -> Axes:
    """Draw how the log-likelihood rose during one or several fits.

    Dashed: training rows. Solid: held-out rows. Dotted: the Gaussian fitted to the same rows, on
    held-out rows if there are any. Circle: the iterate that was returned.

    Parameters
    ----------
    reports : FitReport or mapping of str to FitReport
        `report_` of a fitted estimator, or up to six with names; one colour each.
    x : {"iteration", "work_units", "seconds"}
        What to measure progress by. A work unit is a forward and backward pass of one sample.
    ax : Axes, optional
        Where to draw; None makes a new figure.

    Returns
    -------
    Axes
        Mean log-likelihood in nats per row.

    Raises
    ------
    ValueError
        If `x` is none of these, or there are no reports or more than six.
    """
    if x not in AXES_OF_HISTORY:
        raise ValueError(f"Expected x to be one of {', '.join(AXES_OF_HISTORY)}; got {x!r}.")
    runs = {"": reports} if isinstance(reports, FitReport) else dict(reports)
    if not 1 <= len(runs) <= len(OKABE_ITO):
        raise ValueError(
            f"Expected one to {len(OKABE_ITO)} reports, one colour each; got {len(runs)}."
        )
    ax = new_axes() if ax is None else ax
    for (name, report), color in zip(runs.items(), OKABE_ITO, strict=False):
        _draw_run(report, name, x, color, ax)
    ax.set(xlabel=AXES_OF_HISTORY[x], ylabel="log-likelihood (nats per row)")
    handles = [] if len(runs) == 1 else ax.get_legend_handles_labels()[0]
    heldout = any(np.isfinite(r.history["heldout_log_likelihood"]).any() for r in runs.values())
    ax.legend(handles=[*handles, *_run_styles(heldout=heldout)], frameon=False)
    return ax


def _draw_run(report: FitReport, name: str, x: str, color: str, ax: Axes) -> None:
    """Draw training and held-out rows, the Gaussian, and a circle where the fit ended up."""
    progress = np.asarray(report.history[x], dtype=np.float64)
    train = np.asarray(report.history["train_log_likelihood"], dtype=np.float64)
    heldout = np.asarray(report.history["heldout_log_likelihood"], dtype=np.float64)
    # Held-out rows may have been looked at in some iterations only.
    judged = np.isfinite(heldout)
    ax.plot(progress, train, color=color, ls="--", lw=1.2, label="" if judged.any() else name)
    if judged.any():
        ax.plot(progress[judged], heldout[judged], color=color, lw=1.6, label=name)
    gaussian = report.gaussian_heldout_log_likelihood
    gaussian = report.gaussian_train_log_likelihood if np.isnan(gaussian) else gaussian
    ax.axhline(gaussian, color=color, ls=":", lw=1.2)
    returned = np.asarray(report.history["iteration"]) == report.best_iteration
    value = np.where(judged, heldout, train)[returned]
    ax.plot(progress[returned], value, "o", ms=7, mfc="white", mec=color, mew=1.6)


def _run_styles(*, heldout: bool) -> list[Line2D]:
    """Return the legend's entries for what the lines of a run mean."""
    styles = {"training rows": "--", "held-out rows": "-", "Gaussian baseline": ":"}
    if not heldout:
        del styles["held-out rows"]
    lines = [Line2D([], [], color="0.3", ls=style, label=name) for name, style in styles.items()]
    returned = Line2D([], [], ls="", marker="o", ms=7, mfc="white", mec="0.3", label="returned")
    return [*lines, returned]
