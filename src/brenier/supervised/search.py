r"""Training one network on one split of the rows.

With normal priors of precision alpha on the hidden weights and beta on the last layer's, the
posterior's mode minimises

    mean loss + decay / 2 |D mu|^2 + ridge / 2 |W|^2,
    decay = alpha phi / N,    ridge = beta phi / N,

phi the variance of the noise of a regression's standardised target: the share of the loss that
inputs do not explain. The rows held out say what phi is, along the way: every so many iterations
both penalties follow the least held-out loss so far, as a share of what it is without inputs. The
log loss of classes is minus a log-likelihood already: phi is one. What is kept is the iterate of
the least held-out loss.

References
----------
.. [1] D. J. C. MacKay, "Bayesian Interpolation", Neural Computation 4, 1992, section 3.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from brenier.data.rows import WeightedRows
from brenier.inner.losses import AbstractLoss
from brenier.inner.solution import AbstractInnerSolver
from brenier.networks.basis import AbstractBasis
from brenier.optimizers.base import OptimizerEnd
from brenier.optimizers.early_stopping import (
    Clock,
    EarlyStopping,
    HeldoutLoss,
    Iterate,
    StoppingCriteria,
)
from brenier.optimizers.lbfgs import LBFGS
from brenier.status import FitStatus
from brenier.supervised.predictor import Member
from brenier.supervised.report import FoldReport
from brenier.supervised.settings import SupervisedSettings
from brenier.varpro.function import ReducedFunction
from brenier.varpro.parameters import to_vector
from brenier.varpro.supervised import SupervisedProblem

# Least ridge of a weight: of the constant, which nothing shall pull down, and which must be unique.
LEAST_RIDGE = 1e-8
# Rows are padded to so many, so that short tables share compiled programs.
LEAST_ROWS = 256
# Ends at which the penalties may be what is left to change, ...
CONVERGED = (FitStatus.CONVERGED, FitStatus.CONVERGED_LOOSELY)
# ... if the unexplained share has fallen to less than this share of what they are of ("Regression
# and classification" in benchmarks/NOTES.md).
FELL = 0.5


@dataclass(frozen=True)
class Found:
    """The end of a search.

    Attributes
    ----------
    member : Member
        The network.
    decay : float
        Weight of half the squared slopes where it was found.
    heldout_loss : float
        Of the iterate that was kept, by which it was chosen.
    n_iter : int
        Iterations of the search.
    status : FitStatus
        How it ended.
    """

    member: Member
    decay: float
    heldout_loss: float
    n_iter: int
    status: FitStatus

    @property
    def report(self) -> FoldReport:
        """What is told of it."""
        return FoldReport(self.decay, self.heldout_loss, self.n_iter, self.status)


@dataclass(frozen=True)
class Search:
    """One split of the rows, and what is trained on it.

    Attributes
    ----------
    basis : AbstractBasis
        The initial network.
    loss : AbstractLoss
        What is minimised.
    solver : AbstractInnerSolver
        Of the last layer.
    train, heldout : WeightedRows
        Rows (x, y), scaled; those held out choose.
    trivial_loss : float
        Of all rows without inputs.
    clock : Clock
        The fit's time.
    settings : SupervisedSettings
        All numbers.
    share : float or None
        phi, where it is known; else the penalties follow the held-out loss.
    """

    basis: AbstractBasis
    loss: AbstractLoss
    solver: AbstractInnerSolver
    train: WeightedRows
    heldout: WeightedRows
    trivial_loss: float
    clock: Clock
    settings: SupervisedSettings
    share: float | None = None

    def run(self) -> Found:
        """Return the network of the least held-out loss."""
        settings, theta = self.settings, to_vector(self.basis.network)
        kept = self._solved(theta, 1.0 if self.share is None else self.share, 0)
        n_iter, status = 0, FitStatus.STOPPED_ON_VALIDATION
        while n_iter - kept.iterate.number <= settings.patience:
            if n_iter >= settings.max_iter:
                status = FitStatus.ITERATION_LIMIT
                break
            share = self._unexplained(kept.iterate.heldout_loss)
            if share != kept.share:
                # What weaker penalties make of the same network, before it moves.
                kept = min(kept, self._solved(theta, share, n_iter), key=_heldout_loss)
            stopping, end = self._segment(theta, share, settings.max_iter - n_iter)
            if stopping.best is not None:
                number = n_iter + stopping.best.number
                kept = min(
                    kept, _Kept(replace(stopping.best, number=number), share), key=_heldout_loss
                )
            n_iter += len(stopping.iterations)
            theta, status = end.x, end.status
            fell = self._unexplained(kept.iterate.heldout_loss) < FELL * share
            if status is not FitStatus.ITERATION_LIMIT and not (status in CONVERGED and fell):
                break
            status = FitStatus.STOPPED_ON_VALIDATION
        return self._found(kept, n_iter, status)

    def _segment(
        self, theta: Float[np.ndarray, " p"], share: float, most: int
    ) -> tuple[EarlyStopping, OptimizerEnd]:
        """Return some iterations with the penalties of a share, and where they end."""
        settings, problem = self.settings, self._problem(share)
        patience = settings.patience
        if self.share is None:
            most = patience = min(settings.update_every, most)
        criteria = StoppingCriteria(most, patience=patience, patience_share=0.0)
        stopping = EarlyStopping(criteria, self._heldout_loss(problem), self.clock)
        optimizer = LBFGS(tol=settings.tol, memory=settings.memory)
        return stopping, optimizer.minimize(self._function(problem), theta, stopping)

    def _solved(self, theta: Float[np.ndarray, " p"], share: float, number: int) -> "_Kept":
        """Return a network as it is, its last layer solved for with the penalties of a share."""
        problem = self._problem(share)
        w = np.asarray(self._function(problem).solve(theta).w)
        heldout_loss = self._heldout_loss(problem)(theta, w)
        heldout_loss = heldout_loss if np.isfinite(heldout_loss) else np.inf
        return _Kept(Iterate(theta, w, np.nan, heldout_loss, number), share)

    def _found(self, kept: "_Kept", n_iter: int, status: FitStatus) -> Found:
        problem, iterate = self._problem(kept.share), kept.iterate
        network = problem.network_at(np.asarray(iterate.theta))
        W = np.asarray(iterate.w).reshape(self.basis.n_functions, -1)
        member = Member(self.basis.with_network(network), W)
        return Found(member, float(problem.decay), iterate.heldout_loss, n_iter, status)

    def _unexplained(self, heldout_loss: float) -> float:
        """Return the share of the loss without inputs; all of it where that is nothing."""
        if self.share is not None:
            return self.share
        share = heldout_loss / self.trivial_loss if self.trivial_loss > 0 else 1.0
        return min(max(share, self.settings.least_unexplained), 1.0)

    def _function(self, problem: SupervisedProblem) -> ReducedFunction:
        sample = problem.sample(self.train.X, self.train.weights, least=LEAST_ROWS)
        return ReducedFunction(problem, sample, problem.cold, len(self.train.X))

    def _heldout_loss(self, problem: SupervisedProblem) -> HeldoutLoss:
        sample = problem.sample(self.heldout.X, self.heldout.weights, least=LEAST_ROWS)
        return lambda theta, w: float(problem.loss(theta, w, sample))

    def _problem(self, unexplained: float) -> SupervisedProblem:
        """Return the problem with the penalties of a share phi."""
        settings, n_outputs = self.settings, self.train.X.shape[1] - self.basis.n
        scale = unexplained / self.train.effective_size
        decay = min(settings.precision * scale, settings.most_decay)
        last = min(settings.precision_last * scale, settings.most_decay)
        ridge = np.full((self.basis.n_functions, n_outputs), last)
        ridge[-1] = LEAST_RIDGE
        return SupervisedProblem(
            template=self.basis,
            lower=np.repeat(self.basis.lower, n_outputs),
            ridge=ridge.ravel(),
            solver=self.solver,
            decay=np.asarray(decay),
            loss_of_rows=self.loss,
        )


class _Kept(NamedTuple):
    """The network of the least held-out loss so far, and the share that its penalties are of."""

    iterate: Iterate
    share: float


def _heldout_loss(kept: _Kept) -> float:
    return kept.iterate.heldout_loss
