"""What a fit of regression or classification tells of itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from brenier.status import FitStatus


@dataclass(frozen=True)
class FoldReport:
    """One network of a fit.

    Attributes
    ----------
    decay : float
        Weight of half the squared slopes of the network that was kept.
    heldout_loss : float
        On these rows: half the mean squared error of standardised targets, or the log loss.
    n_iter : int
        Iterations of its run.
    status : FitStatus
        How the run ended.
    """

    decay: float
    heldout_loss: float
    n_iter: int
    status: FitStatus


@dataclass(frozen=True)
class SupervisedReport:
    """How good a fit is by rows that were held out in turn, and what was chosen by them.

    Attributes
    ----------
    loss : str
        "root mean squared error" in the targets' units (of several targets in units of each one's
        standard deviation, over all of them), or "log loss" (nats).
    heldout_loss : float
        Of every row by the network that did not train on it. The same rows chose when to stop and
        which decay, so that it is slightly better than what new rows will show; the mean of all
        networks, which predicts, is better than each.
    trivial_loss : float
        The same of the means of the targets, or of the shares of the classes.
    n_rows : int
        Distinct rows of positive weight.
    folds : sequence of FoldReport
        The networks.
    seconds : float
        Wall time of the fit.
    """

    loss: str
    heldout_loss: float
    trivial_loss: float
    n_rows: int
    folds: Sequence[FoldReport]
    seconds: float

    @property
    def status(self) -> FitStatus:
        """The first status that is not the end of a run by itself, or that of the first network."""
        statuses = [fold.status for fold in self.folds]
        return next((status for status in statuses if not status.finished), statuses[0])

    @property
    def n_iter(self) -> int:
        """Most iterations of a network."""
        return max(fold.n_iter for fold in self.folds)

    def __str__(self) -> str:
        decays = ", ".join(f"{fold.decay:g}" for fold in self.folds)
        return (
            f"{self.loss} {self.heldout_loss:.4g} on rows held out in turn "
            f"({self.trivial_loss:.4g} without inputs)\n"
            f"{len(self.folds)} networks on {self.n_rows} rows, decays {decays}, "
            f"at most {self.n_iter} iterations, {self.status.value}, {self.seconds:.1f} s"
        )
