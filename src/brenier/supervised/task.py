"""What is learnt: numbers or classes. Each has its loss and the scale of its targets."""

from abc import ABC, abstractmethod

import numpy as np
import scipy.special
from jaxtyping import Float

from brenier.inner.losses import AbstractLoss, LogLoss, SquaredError
from brenier.supervised.scaling import TargetScaling


class AbstractTask(ABC):
    """A kind of targets."""

    @property
    @abstractmethod
    def loss(self) -> AbstractLoss:
        """What is minimised."""

    @property
    @abstractmethod
    def unexplained(self) -> float | None:
        """Variance of the noise, in units of the loss; None: held-out rows tell."""

    @abstractmethod
    def scaling(
        self, Y: Float[np.ndarray, "N o"], weights: Float[np.ndarray, " N"]
    ) -> TargetScaling:
        """Return how targets become what the loss takes."""

    @abstractmethod
    def trivial_loss(self, Y: Float[np.ndarray, "N o"], weights: Float[np.ndarray, " N"]) -> float:
        """Return the least loss of scaled targets that is possible without inputs."""


class Regression(AbstractTask):
    """Standardised numbers, their squared error."""

    @property
    def loss(self) -> AbstractLoss:
        """Half the squared error."""
        return SquaredError()

    @property
    def unexplained(self) -> None:
        """Not known before the fit."""

    def scaling(
        self, Y: Float[np.ndarray, "N o"], weights: Float[np.ndarray, " N"]
    ) -> TargetScaling:
        """Return standardisation."""
        return TargetScaling.of(Y, weights)

    def trivial_loss(self, Y: Float[np.ndarray, "N o"], weights: Float[np.ndarray, " N"]) -> float:
        """Return half the variances' sum."""
        centred = Y - np.average(Y, axis=0, weights=weights)
        return 0.5 * float(np.sum(np.average(centred**2, axis=0, weights=weights)))


class Classification(AbstractTask):
    """Probabilities of classes, ones and zeros, their log loss."""

    @property
    def loss(self) -> AbstractLoss:
        """The multinomial log loss."""
        return LogLoss()

    @property
    def unexplained(self) -> float:
        """One: the log loss is minus the log-likelihood already."""
        return 1.0

    def scaling(
        self, Y: Float[np.ndarray, "N o"], weights: Float[np.ndarray, " N"]
    ) -> TargetScaling:
        """Return none: probabilities are left as they are."""
        return TargetScaling.none(Y.shape[1])

    def trivial_loss(self, Y: Float[np.ndarray, "N o"], weights: Float[np.ndarray, " N"]) -> float:
        """Return the entropy of the classes' shares (nats)."""
        shares = np.average(Y, axis=0, weights=weights)
        return float(np.sum(scipy.special.entr(shares)))
