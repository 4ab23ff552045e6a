r"""Training one network on one split of the rows.

With normal priors of precision alpha on the hidden weights and beta on the last layer's, the
posterior's mode minimises

    mean loss + decay / 2 |D mu|^2 + ridge / 2 |W|^2,
    decay = alpha phi / N,    ridge = beta phi / N,

phi the share of the targets' loss that inputs do not explain: of a regression's standardised target
the variance of the noise. The rows held out say what phi is, along the way: every so many
iterations both penalties follow the least held-out loss so far, as a share of what it is without
inputs. What is kept is the iterate of that loss.

References
----------
.. [1] D. J. C. MacKay, "Bayesian Interpolation", Neural Computation 4, 1992, section 3.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from brenier.data.rows import WeightedRows
from brenier.inner.losses import AbstractLoss
from brenier.inner.solution import AbstractInnerSolver
from brenier.networks.basis import AbstractBasis
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
from brenier.supervised.settings import SupervisedSettings
from brenier.varpro.function import ReducedFunction
from brenier.varpro.parameters import to_vector
from brenier.varpro.supervised import SupervisedProblem

# Least ridge of a weight: of the constant, which nothing shall pull down, and which must be unique.
LEAST_RIDGE = 1e-8
# Rows are padded to so many, so that short tables share compiled programs.
LEAST_ROWS = 256


@dataclass(frozen=True)
class Found:
    """The end of a search.

    Attributes
    ----------
    member : Member
        The network.
    decay : float
        Weight of half the squared slopes at the end.
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
    """

    basis: AbstractBasis
    loss: AbstractLoss
    solver: AbstractInnerSolver
    train: WeightedRows
    heldout: WeightedRows
    trivial_loss: float
    clock: Clock
    settings: SupervisedSettings

    def run(self) -> Found:
        """Return the network of the least held-out loss."""
        settings = self.settings
        problem = self._problem(1.0)
        theta = to_vector(self.basis.network)
        best = self._first(problem, theta)
        n_iter, status = 0, FitStatus.ITERATION_LIMIT
        while n_iter < settings.max_iter and n_iter - best.number <= settings.patience:
            problem = self._problem(self._unexplained(best.heldout_loss))
            most = min(settings.update_every, settings.max_iter - n_iter)
            stopping = EarlyStopping(
                StoppingCriteria(most, patience=most, patience_share=0.0),
                self._heldout_loss(problem),
                self.clock,
            )
            end = LBFGS(tol=settings.tol, memory=settings.memory).minimize(
                self._function(problem), theta, stopping
            )
            if stopping.best is not None and stopping.best.criterion < best.criterion:
                best = replace(stopping.best, number=n_iter + stopping.best.number)
            n_iter += len(stopping.iterations)
            theta, status = end.x, end.status
            if status is not FitStatus.ITERATION_LIMIT:
                break
        else:
            if n_iter < settings.max_iter:
                status = FitStatus.STOPPED_ON_VALIDATION
        network = problem.network_at(np.asarray(best.theta))
        W = np.asarray(best.w).reshape(self.basis.n_functions, -1)
        member = Member(self.basis.with_network(network), W)
        return Found(member, float(problem.decay), best.heldout_loss, n_iter, status)

    def _unexplained(self, heldout_loss: float) -> float:
        """Return the share of the loss without inputs; all of it where that is nothing."""
        share = heldout_loss / self.trivial_loss if self.trivial_loss > 0 else 1.0
        return min(max(share, self.settings.least_unexplained), 1.0)

    def _first(self, problem: SupervisedProblem, theta: Float[np.ndarray, " p"]) -> Iterate:
        """Return the initial network, its last layer solved for."""
        here = self._function(problem).evaluate(theta)
        heldout_loss = self._heldout_loss(problem)(here.theta, here.w)
        return Iterate(here.theta, here.w, here.loss, heldout_loss, 0)

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
