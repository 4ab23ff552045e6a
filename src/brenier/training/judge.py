"""Rows that judge what a fit returns: they have chosen nothing of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brenier.arrays import LOG_2_PI
from brenier.data.rows import WeightedRows
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import AbstractPreprocessing
from brenier.training.as_seen import SeenLoss
from brenier.training.candidate import Trained
from brenier.training.folds import Fold
from brenier.training.judged_mean import Squares, judged_mean
from brenier.training.likelihood import gaussian_log_density, model_log_density
from brenier.training.report import MeanAndError
from brenier.training.run import heldout_sample
from brenier.training.settings import Settings

NO_TIME = "there was no time for it"
ROUNDING = 1e-6


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
    kept: Sequence[Trained],
    whole: Fold,
    flow: ConvexFlow,
    judge: WeightedRows,
    settings: Settings,
) -> Judgement:
    """Return what judge rows say, every row evaluated.

    Parameters
    ----------
    kept : sequence of Trained
        What the flow's map is the average of.
    whole : Fold
        Whose Gaussian is the baseline.
    flow : ConvexFlow
        What is returned.
    judge : WeightedRows
        In data units.
    settings : Settings
        Of the fit.
    """
    model = None
    if kept[0].fold is not whole or not kept[0].chosen.is_gaussian:
        model = model_log_density(flow, judge, kept[0].fold.split, settings)
    return judge_density(model, whole, flow.preprocessing, judge)


def judge_density(
    log_density: Float[np.ndarray, " M"] | None,
    whole: Fold,
    preprocessing: AbstractPreprocessing,
    judge: WeightedRows,
) -> Judgement:
    """Return what judge rows say of any density, in nats in data units; None is the Gaussian's.

    Parameters
    ----------
    log_density : (M,), or None
        Of the judge rows.
    whole, judge
        As of `judge_model`.
    preprocessing : AbstractPreprocessing
        To the Gaussian's coordinates.
    """
    gaussian = gaussian_log_density(whole.gaussian, preprocessing, judge.X)
    model = gaussian if log_density is None else log_density
    squares = _squares(whole, preprocessing, judge)
    return Judgement(
        judged_mean(model, judge, squares), judged_mean(model - gaussian, judge, squares)
    )


def judge_as_seen(
    kept: Sequence[Trained],
    whole: Fold,
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
    whole : Fold
        Whose Gaussian is the baseline.
    preprocessing : AbstractPreprocessing
        What comes before it.
    judge : WeightedRows
        In data units.
    settings : Settings
        Of the fit.
    """
    groups = np.array_split(np.arange(len(judge.X)), min(settings.as_seen_groups, len(judge.X)))
    gaussian = gaussian_log_density(whole.gaussian, preprocessing, judge.X)
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


def _squares(
    fold: Fold, preprocessing: AbstractPreprocessing, judge: WeightedRows
) -> Squares | None:
    """Return squared distances of training and judge rows under the Gaussian, if it is likeliest.

    Under the likeliest alone it is known what they are without each row; their mean is n there.
    """
    gaussian, train = fold.gaussian, fold.split.train
    excess = train.mean(gaussian.squares(train.X)) - gaussian.n
    if abs(excess) > ROUNDING * gaussian.n:
        return None
    of_judge = gaussian.squares(np.asarray(preprocessing.forward(judge.X)[0]))
    return Squares(gaussian.squares_left_out(train.X, train.weights), of_judge, train)
