"""Rows that judge what a fit returns: they have chosen nothing of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brenier.arrays import LOG_2_PI
from brenier.data.rows import WeightedRows
from brenier.flow.evaluation import in_batches, log_density
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import AbstractPreprocessing
from brenier.potential.features import AbstractPotential
from brenier.training.as_seen import SeenLoss
from brenier.training.candidate import Trained
from brenier.training.folds import Fold
from brenier.training.judged_mean import Squares, judged_mean
from brenier.training.likelihood import gaussian_log_density, log_density_of_losses
from brenier.training.report import MeanAndError
from brenier.training.run import heldout_sample
from brenier.training.settings import Settings
from brenier.training.stacking import potential_losses

NO_TIME = "there was no time for it"


@dataclass(frozen=True)
class Judgement:
    """What judge rows say.

    Attributes
    ----------
    log_likelihood, gain : MeanAndError or None
        Of the model on rows like these (nats per row), and what it gains there over the Gaussian;
        None where there is none to tell.
    why_not : str
        Why, then, in a clause.
    """

    log_likelihood: MeanAndError | None = None
    gain: MeanAndError | None = None
    why_not: str = ""


def judge_model(
    kept: Sequence[Trained], flow: ConvexFlow, judge: WeightedRows, settings: Settings
) -> Judgement:
    """Return what judge rows say, every row evaluated.

    Parameters
    ----------
    kept : sequence of Trained
        What the flow's map is the average of.
    flow : ConvexFlow
        What is returned.
    judge : WeightedRows
        In data units.
    settings : Settings
        Of the fit.
    """
    fold = kept[0].fold
    gaussian = gaussian_log_density(fold.gaussian, flow.preprocessing, judge.X)
    model = gaussian
    if not all(trained.chosen.is_gaussian for trained in kept):
        model = _log_densities(kept, flow, judge, settings)
    squares = _squares(fold, flow.preprocessing, judge)
    return Judgement(
        judged_mean(model, judge, squares), judged_mean(model - gaussian, judge, squares)
    )


def judge_as_seen(
    kept: Sequence[Trained],
    preprocessing: AbstractPreprocessing,
    judge: WeightedRows,
    settings: Settings,
) -> Judgement:
    """Return what groups of judge rows say, without compiling anything.

    Of an average no more is said than what its members have: it is no worse than their mean.

    Parameters
    ----------
    kept : sequence of Trained
        What the map is the average of; it has no tail.
    preprocessing : AbstractPreprocessing
        What comes before it.
    judge : WeightedRows
        In data units.
    settings : Settings
        Of the fit.
    """
    groups = np.array_split(np.arange(len(judge.X)), min(settings.as_seen_groups, len(judge.X)))
    gaussian = gaussian_log_density(kept[0].fold.gaussian, preprocessing, judge.X)
    of_gaussian = np.array([judge[group].mean(gaussian[group]) for group in groups])
    of_members = [
        of_gaussian
        if trained.chosen.is_gaussian
        else _means_as_seen(trained, preprocessing, judge, groups, settings)
        for trained in kept
    ]
    known = [means for means in of_members if means is not None]
    if len(known) < len(of_members):
        return Judgement(why_not=NO_TIME)
    model = np.mean(known, axis=0)
    weights = np.array([np.sum(judge.weights[group]) for group in groups])
    return Judgement(MeanAndError.of(model, weights), MeanAndError.of(model - of_gaussian, weights))


def _log_densities(
    kept: Sequence[Trained], flow: ConvexFlow, judge: WeightedRows, settings: Settings
) -> Float[np.ndarray, " M"]:
    """Return log p of every judge row under what is returned."""
    if len(kept) > 1 or flow.tail is not None or not isinstance(flow.map, AbstractPotential):
        return in_batches(log_density, flow, judge.X)
    # The density's own program would be compiled for these rows alone.
    rows = judge.at(np.asarray(flow.preprocessing.forward(judge.X)[0]))
    losses = potential_losses(flow.map, rows, kept[0].fold.split, settings)
    return log_density_of_losses(losses, flow.preprocessing, judge.X)


def _means_as_seen(
    trained: Trained,
    preprocessing: AbstractPreprocessing,
    judge: WeightedRows,
    groups: Sequence[np.ndarray],
    settings: Settings,
) -> Float[np.ndarray, " G"] | None:
    """Return mean log p of groups under the run that a map is made of; None where that is unknown.

    It is known where the run has a program for held-out rows in the same coordinates.
    """
    run, split = trained.chosen.run, trained.fold.split
    if run is None or run.job.fold.split is not split or split.heldout is None:
        return None
    Y, log_det = (np.asarray(part) for part in preprocessing.forward(judge.X))
    program, rows = SeenLoss(run, heldout_sample(run.job, settings)), judge.at(Y)
    means = [judge[group].mean(log_det[group]) - program.mean(rows[group]) for group in groups]
    return np.array(means) - 0.5 * preprocessing.n * LOG_2_PI


def _squares(fold: Fold, preprocessing: AbstractPreprocessing, judge: WeightedRows) -> Squares:
    """Return squared distances of training and judge rows under the Gaussian."""
    gaussian, train = fold.gaussian, fold.split.train
    of_judge = gaussian.squares(np.asarray(preprocessing.forward(judge.X)[0]))
    return Squares(gaussian.squares_left_out(train.X, train.weights), of_judge, train)
