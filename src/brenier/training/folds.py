"""Folds: training and held-out rows where the potential sees them, and their Gaussian baseline."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brenier.arrays import LOG_2_PI
from brenier.data.rows import Split, WeightedRows
from brenier.flow.preprocessing import AbstractPreprocessing
from brenier.optimizers.progress import Offsets
from brenier.potential.features import AbstractMap
from brenier.potential.gaussian import AbstractGaussian
from brenier.training.covariance import SampleCovariance
from brenier.training.families import AbstractFamily
from brenier.training.noise import chosen_noise, noisy_copies
from brenier.training.settings import Hyperparameters, Settings
from brenier.varpro.reduced import loss_on
from brenier.varpro.sample import PaddedSample, chunk_rows


@dataclass(frozen=True)
class Fold:
    """One split of the rows, and what is common to all that is trained on it.

    Attributes
    ----------
    data, split : Split
        Training and held-out rows, in data units and in the potential's coordinates.
    seen : WeightedRows
        The training rows as the optimizer sees them: with noise, or as they are.
    noise : float
        Standard deviation of that noise, in those of the data.
    gaussian : AbstractGaussian
        The baseline, fitted to the training rows.
    candidates : tuple of Hyperparameters
        What is selected from; none where the rows are too few for more than the baseline.
    offsets : Offsets
        From -J to log-likelihoods in the data's units.
    seed : int
        Of initial weights and noise.
    """

    data: Split
    split: Split
    seen: WeightedRows
    noise: float
    gaussian: AbstractGaussian
    candidates: tuple[Hyperparameters, ...]
    offsets: Offsets
    seed: int

    @property
    def n_rows(self) -> int:
        """Training rows, their noisy copies not counted."""
        return len(self.split.train.X)

    @staticmethod
    def of(
        data: Split,
        split: Split,
        offsets: Offsets,
        family: AbstractFamily,
        settings: Settings,
        seed: int,
        candidates: Sequence[Hyperparameters] | None = None,
        gaussian: AbstractGaussian | None = None,
    ) -> "Fold":
        """Return the fold of rows in the potential's coordinates.

        Parameters
        ----------
        data, split, offsets, seed
            As in the attributes.
        family : AbstractFamily
            Whose Gaussian is fitted.
        settings : Settings
            Of the fit.
        candidates : sequence of Hyperparameters, optional
            None: those of the settings; empty: nothing but the baseline.
        gaussian : AbstractGaussian, optional
            The baseline; None: the likeliest.
        """
        own = gaussian or family.gaussian(split.train, settings, SampleCovariance())
        if candidates is None:
            candidates = settings.candidates(heldout=split.heldout is not None)
        chosen = tuple(candidates)
        noise = chosen_noise(split.train, own, settings) if chosen else 0.0
        seen = noisy_copies(split.train, own, noise, seed, settings)
        noise = noise if seen is not split.train else 0.0
        return Fold(data, split, seen, noise, own, chosen, offsets, seed)

    def losses(self, map_: AbstractMap) -> tuple[float, float]:
        """Return a map's J on the training and on the held-out rows (nats); NaN without these."""
        rows = chunk_rows(map_.n, map_.n_constrained)
        train, heldout = (
            float("nan")
            if part is None
            else float(loss_on(map_, PaddedSample.of(part.X, part.weights, rows)))
            for part in self.split
        )
        return train, heldout

    def loss_on_all(self, loss: float, heldout_loss: float) -> float:
        """Return J on all rows (nats), given that on the training and on the held-out rows."""
        train, heldout = self.split
        if heldout is None:
            return loss
        weights = [np.sum(train.weights), np.sum(heldout.weights)]
        return float(np.average([loss, heldout_loss], weights=weights))

    @property
    def gaussian_losses(self) -> tuple[float, float]:
        """The baseline's J on the training and on the held-out rows (nats)."""
        train, heldout = (
            float("nan") if part is None else self.gaussian.loss(part.X, part.weights)
            for part in self.split
        )
        return train, heldout


def preprocessed(preprocessing: AbstractPreprocessing, split: Split) -> tuple[Split, Offsets]:
    """Return the rows in the potential's coordinates, and what preprocessing adds to log p."""
    parts, offsets = [], []
    for rows in split:
        if rows is None:
            parts.append(None)
            offsets.append(float("nan"))
            continue
        Y, log_det = (np.asarray(part) for part in preprocessing.forward(rows.X))
        parts.append(rows.at(Y))
        offsets.append(rows.mean(log_det) - 0.5 * preprocessing.n * LOG_2_PI)
    return Split(*parts), Offsets(*offsets)
