"""The end of a run: the certificate of its best iterate, w solved for where that is still to do."""

from dataclasses import replace

import numpy as np

from brenier.inner.solution import WarmStart
from brenier.optimizers.base import projected_gradient
from brenier.status import FitStatus, InnerStatus
from brenier.training.report import Certificate
from brenier.training.run import Run
from brenier.training.settings import Settings
from brenier.varpro.parameters import lower_bounds


def final_solve(run: Run, settings: Settings) -> Run:
    """Return a run with the w of its best iterate solved for, and the certificate.

    Of a long table w is solved for on as many rows as it takes: more cost seconds, and gain less
    than a thousandth of a nat.

    Parameters
    ----------
    run : Run
        One that has an iterate.
    settings : Settings
        Of the fit.
    """
    best, problem, rows = run.best, run.job.problem, run.job.fold.seen
    if best is None:
        raise ValueError("Expected a run with an iterate; got one that never got anywhere.")
    leaves_last_layer = settings.optimizer(0, run.job.fold.n_rows).leaves_last_layer
    if leaves_last_layer:
        rows = rows[: settings.most_rows]
    sample = problem.sample(rows.X, rows.weights)
    theta, w = best.theta, best.w
    if leaves_last_layer and run.status is not FitStatus.INTERRUPTED:
        solution = problem.solve(theta, sample, WarmStart(w, np.zeros(w.shape), np.ones((), bool)))
        if int(solution.status) == InnerStatus.CONVERGED:
            w = solution.w
    slope = problem.value_and_gradient(theta, w, sample)
    certificate = Certificate(
        stationarity=float(slope.stationarity),
        duality_gap=problem.duality_gap,
        projected_gradient=projected_gradient(
            best.theta, np.asarray(slope.gradient), lower_bounds(problem.template.network)
        ),
    )
    return replace(run, best=replace(best, w=np.asarray(w)), certificate=certificate)
