"""What all rows say of the potentials' average, each of which holds out others.

The average is the model, unless the potentials are on average worse on all rows than the Gaussian
of these: then that is returned.

A quarter of forty rows is ten, and ten rows choose badly. Rows that are few for their columns are
much likelier under the Gaussian that they made than others are. Of either every row is held out by
some potential, and beside their average there is a share of the Gaussian. These two weights are
the best by what the potentials say of the rows that they have not seen (stacking by
cross-validation [1]_). By the same losses the gain over the Gaussian must exceed `cross_lead` of
its standard errors, or the Gaussian of all rows is returned. With fewer rows still nothing is
tried.

References
----------
.. [1] L. Breiman, "Stacked Regressions", Machine Learning 24, 1996.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from brenier.potential.merge import combine
from brenier.training.candidate import Trained
from brenier.training.ensemble import gaussian_alone, gaussian_candidate
from brenier.training.families import AbstractFamily
from brenier.training.folds import Fold
from brenier.training.report import MeanAndError
from brenier.training.session import Session
from brenier.training.settings import Settings
from brenier.training.stacking import Part, losses_of_rows, losses_of_sum, weights_of_folds


def are_crossed(settings: Settings, n_rows: float, *, few: bool = False) -> bool:
    """Whether so many independent rows are that few, or few for their columns, and can decide."""
    can_be_averaged = settings.n_maps == 1 and settings.n_estimators > 1
    has_gaussian = settings.algorithm.quadratic and settings.validation_fraction > 0
    return (few or n_rows <= settings.cross_rows) and can_be_averaged and has_gaussian


def crossed(settings: Settings, n_rows: float) -> Settings:
    """Return the settings for so many independent rows: of few, more noise.

    The noise on the rows is then that of the best kernel density whatever its width, and drawn more
    often: it is what keeps a potential from growing steep beyond the last row.
    """
    if not are_crossed(settings, n_rows):
        return settings
    copies = int(settings.cross_noise_rows / n_rows) // 2 * 2
    return replace(
        settings,
        noise_max_bandwidth=np.inf,
        noise_copies=max(settings.noise_copies, copies),
    )


def cross_fitted(
    trained: Sequence[Trained],
    whole: Fold,
    family: AbstractFamily,
    settings: Settings,
    session: Session,
) -> list[Trained]:
    """Return the folds' potentials, each with a share of its Gaussian; or that of all rows alone.

    Parameters
    ----------
    trained : sequence of Trained
        Of one map each, and of folds with held-out rows.
    whole : Fold
        All rows, none held out.
    family : AbstractFamily
        What kind of density.
    settings : Settings
        Of the fit.
    session : Session
        The fit's.
    """
    parts = [_part(one, family, settings) for one in trained]
    shares = None
    if not all(one.chosen.is_gaussian for one in trained):
        shares = weights_of_folds(parts, settings)
    if shares is None or not _leads(trained, parts, shares, settings):
        return [_gaussian_of(whole, trained, family, settings, session)]
    return [_with_share(*pair, shares, settings) for pair in zip(trained, parts, strict=True)]


def averaged(
    trained: Sequence[Trained],
    whole: Fold,
    family: AbstractFamily,
    settings: Settings,
    session: Session,
) -> list[Trained]:
    """Return the folds' potentials as they are; or the Gaussian of all rows alone.

    On any rows their average is at least as good as they are on average
    (`brenier.potential.merge`); so what is returned is never worse than the Gaussian on these.

    Parameters
    ----------
    trained, whole, family, settings, session
        As of `cross_fitted`.
    """
    losses = [one.fold.loss_on_all(one.chosen.loss, one.chosen.heldout_loss) for one in trained]
    if not settings.algorithm.quadratic or np.mean(losses) <= whole.gaussian_losses[0]:
        return list(trained)
    return [_gaussian_of(whole, trained, family, settings, session)]


def _gaussian_of(
    whole: Fold,
    trained: Sequence[Trained],
    family: AbstractFamily,
    settings: Settings,
    session: Session,
) -> Trained:
    """Return the Gaussian of all rows, in place of what was trained on the folds."""
    runs = [run for one in trained for run in one.runs]
    winner = min(runs, key=lambda run: run.criterion)
    gaussian = gaussian_alone(whole, family, settings, session)
    return Trained.of(whole, gaussian, runs, winner, session)


def _part(one: Trained, family: AbstractFamily, settings: Settings) -> Part:
    """Return a fold's potential and Gaussian, with the rows that these have not seen."""
    if one.fold.split.heldout is None:
        raise ValueError("Expected a fold with held-out rows; got one without.")
    gaussian = gaussian_candidate(one.fold, one.winner, family, settings).map
    return Part((*one.map.potentials, *gaussian.potentials), one.fold.split.heldout)


def _leads(
    trained: Sequence[Trained],
    parts: Sequence[Part],
    shares: Float[np.ndarray, " 2"],
    settings: Settings,
) -> bool:
    """Return whether the gain over the Gaussian is more than chance."""
    gains = []
    for one, part in zip(trained, parts, strict=True):
        own = losses_of_rows(part.potentials, shares, part.heldout, one.fold.split, settings)
        gains.append(one.fold.gaussian.losses(part.heldout.X) - own)
    weights = np.concatenate([part.heldout.weights for part in parts])
    gain = MeanAndError.of(np.concatenate(gains), weights)
    return gain.mean > settings.cross_lead * gain.standard_error


def _with_share(
    one: Trained, part: Part, shares: Float[np.ndarray, " 2"], settings: Settings
) -> Trained:
    """Return what was trained on a fold with its potential and Gaussian summed."""
    loss, heldout_loss = losses_of_sum(part.potentials, shares, one.fold.split, settings)
    summed = replace(
        one.chosen, map=combine(part.potentials, shares), loss=loss, heldout_loss=heldout_loss
    )
    return replace(one, chosen=summed)
