"""From J in the potential's coordinates to log-likelihoods in the data's: progress and report."""

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float

from brenier.data.rows import Rows
from brenier.flow.evaluation import in_batches, log_density
from brenier.flow.flow import LOG_2_PI, ConvexFlow
from brenier.flow.preprocessing import AbstractPreprocessing
from brenier.optimizers.early_stopping import Iterate
from brenier.optimizers.progress import Iteration
from brenier.potential.gaussian import AbstractGaussian
from brenier.status import FitStatus
from brenier.training.report import FitReport, MeanAndError, Progress
from brenier.training.training import TrainingResult


@dataclass(frozen=True)
class Units:
    """The rows in the potential's coordinates, and what turns J there into log-likelihoods."""

    train: Float[np.ndarray, "N d"]
    heldout: Float[np.ndarray, "M d"] | None
    train_log_det: Float[np.ndarray, " N"]
    heldout_log_det: Float[np.ndarray, " M"] | None
    train_constant: float
    heldout_constant: float

    @staticmethod
    def of(preprocessing: AbstractPreprocessing, training: Rows, heldout: Rows | None) -> "Units":
        """Return the rows after preprocessing, with what preprocessing adds to log p."""
        half_log_2_pi = 0.5 * preprocessing.n * LOG_2_PI
        Y, log_det = (np.asarray(a) for a in preprocessing.forward(training.X))
        constant = float(np.average(log_det, weights=training.weights)) - half_log_2_pi
        if heldout is None:
            return Units(Y, None, log_det, None, constant, float("nan"))
        V, v_log_det = (np.asarray(a) for a in preprocessing.forward(heldout.X))
        v_constant = float(np.average(v_log_det, weights=heldout.weights)) - half_log_2_pi
        return Units(Y, V, log_det, v_log_det, constant, v_constant)

    def train_log_likelihood(self, J: float) -> float:
        """Return the mean log-likelihood of the training rows at loss J."""
        return self.train_constant - J

    def heldout_log_likelihood(self, J: float) -> float:
        """Return the mean log-likelihood of the held-out rows at loss J."""
        return self.heldout_constant - J

    def progress(self, iteration: Iteration) -> Progress:
        """Return an iteration in users' units."""
        return Progress(
            search=iteration.search,
            iteration=iteration.number,
            n_rows=iteration.n_rows,
            train_log_likelihood=self.train_log_likelihood(iteration.loss),
            heldout_log_likelihood=self.heldout_log_likelihood(iteration.heldout_loss),
            newton_steps=iteration.newton_steps,
            work_units=iteration.work_units,
            seconds=iteration.seconds,
        )


def progress_callback(units: Units, callback, verbose: int):
    """Return what training calls after every iteration, or None."""
    if callback is None and not verbose:
        return None

    def on_iteration(iteration: Iteration) -> None:
        progress = units.progress(iteration)
        if callback is not None:
            callback(progress)
        if verbose and (progress.iteration % verbose == 0 or progress.iteration == 1):
            print(progress)  # noqa: T201 - what `verbose` asks for

    return on_iteration


def fit_report(
    result: TrainingResult[Any], units: Units, flow: ConvexFlow, heldout: Rows | None, n_train: int
) -> FitReport:
    """Return the report of a training run, in log-likelihoods."""
    search, form = result.searches[result.winner], result.forms[result.winner]
    history = [asdict(units.progress(iteration)) for iteration in search.iterations]
    gain = heldout_mean = None
    if heldout is not None and units.heldout is not None and units.heldout_log_det is not None:
        model = in_batches(log_density, flow, heldout.X)
        gaussian = gaussian_log_density(result.gaussian, units.heldout, units.heldout_log_det)
        heldout_mean = MeanAndError.of(model, heldout.weights)
        gain = MeanAndError.of(model - gaussian, heldout.weights)
    loss = result.gaussian_loss if result.best is None else result.best.loss
    return FitReport(
        status=result.status,
        message=_message(result),
        is_gaussian=result.is_gaussian,
        n_members=result.n_members,
        n_train=n_train,
        n_heldout=0 if heldout is None else len(heldout.X),
        train_log_likelihood=units.train_log_likelihood(loss),
        heldout_log_likelihood=heldout_mean,
        heldout_gain=gain,
        gaussian_train_log_likelihood=units.train_log_likelihood(result.gaussian_loss),
        gaussian_heldout_log_likelihood=units.heldout_log_likelihood(result.gaussian_heldout_loss),
        history={
            field.name: tuple(row[field.name] for row in history) for field in fields(Progress)
        },
        best_iteration=0 if result.best is None else result.best.number,
        n_evaluations=sum(s.counters.evaluations for s in result.searches),
        newton_steps=tuple(search.counters.newton_steps),
        chord_steps=tuple(search.counters.chord_steps),
        inner_failures=search.counters.failures,
        work_units=search.iterations[-1].work_units if search.iterations else 0,
        decay=form.decay,
        n_radial=form.n_radial,
        run_decay=tuple(f.decay for f in result.forms),
        run_n_radial=tuple(f.n_radial for f in result.forms),
        run_log_likelihood=tuple(
            float("nan") if s.best is None else _criterion(units, s.best) for s in result.searches
        ),
        noise=result.noise,
        seconds=dict(result.seconds),
        certificate=result.certificate,
        n_maps=len(result.map.blocks),
        tail=0.0 if flow.tail is None else float(flow.tail.h),
    )


def _criterion(units: Units, best: Iterate) -> float:
    if np.isnan(best.heldout_loss):
        return units.train_log_likelihood(best.loss)
    return units.heldout_log_likelihood(best.heldout_loss)


_REMEDY = {
    FitStatus.ITERATION_LIMIT: "raise max_iter if the log-likelihood was still rising",
    FitStatus.TIME_LIMIT: "raise max_seconds if the log-likelihood was still rising",
    FitStatus.NO_PROGRESS: "try another random_state, n_init > 1, or a larger decay",
    FitStatus.NUMERICAL_FAILURE: "try whiten='full', quadratic=True, or a larger decay",
    FitStatus.INTERRUPTED: "fit again to go on",
}


def _message(result: TrainingResult[Any]) -> str:
    """Return one sentence on how the fit ended, with numbers and the remedy."""
    search = result.searches[result.winner]
    where = (
        "the Gaussian was returned, no iterate being better"
        if result.best is None
        else f"the iterate returned is number {result.best.number}{_made_of(result)}"
    )
    text = f"The fit ended with status '{result.status.value}' after {len(search.iterations)} "
    text += f"iterations and {result.seconds['total']:.1f} s; {where}"
    if result.certificate is not None:
        text += f" (projected gradient {result.certificate.projected_gradient:.1e} nats)"
    remedy = _REMEDY.get(result.status)
    return f"{text}: {remedy}." if remedy else f"{text}."


def _made_of(result: TrainingResult[Any]) -> str:
    n_maps = len(result.map.blocks)
    if n_maps > 1:
        return f" (of the best search; the model is a composition of {n_maps} blocks)"
    several = result.n_members > 1
    return f" (of the best search; the model is the sum of {result.n_members})" * several


def gaussian_log_density(
    gaussian: AbstractGaussian, Y: Float[np.ndarray, "N d"], log_det: Float[np.ndarray, " N"]
) -> Float[np.ndarray, " N"]:
    """Return log p under the Gaussian of preprocessed rows, `log_det` that of preprocessing."""
    return log_det - gaussian.losses(Y) - 0.5 * gaussian.n * LOG_2_PI
