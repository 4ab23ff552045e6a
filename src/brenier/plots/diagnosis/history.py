"""How a fit went, for a page: log-likelihoods by iteration."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from brenier.plots.diagnosis.svg import DRAWS, FAINT, INK, ROWS, small_figure
from brenier.training.report import FitReport


def history(report: FitReport, name: str) -> Iterator[tuple[Figure, str, str]]:
    """Yield the picture of the winning run, its name and its words; none of a fit without."""
    iterations = np.asarray(report.history["iteration"], dtype=float)
    if not len(iterations):
        return
    train = np.asarray(report.history["train_log_likelihood"], dtype=float)
    heldout = np.asarray(report.history["heldout_log_likelihood"], dtype=float)
    seen = np.isfinite(heldout)
    figure, ax = small_figure()
    ax.plot(iterations, train, color=FAINT, lw=1.2, label="training rows")
    if seen.any():
        ax.plot(iterations[seen], heldout[seen], color=ROWS, lw=1.4, label="held-out rows")
    returned = iterations == report.best_iteration
    ax.plot(iterations[returned], np.where(seen, heldout, train)[returned], "o", color=DRAWS, ms=4)
    ax.set(xlabel="iteration", ylabel="log-likelihood (nats)")
    ax.legend(labelcolor=INK)
    words = (
        f"Log-likelihood by iteration: of training rows from {train[0]:.3f} to {train[-1]:.3f} in "
        f"{len(iterations)} iterations; number {report.best_iteration} is returned."
    )
    yield figure, name, words
