r"""slimTrain: Adam on the network, sampled limited-memory Tikhonov on the last layer.

Every mini-batch first updates the last layer, which needs no learning rate and chooses its
regularisation itself (`brenier.inner.sampled_tikhonov`), then the network by a step of Adam along
the gradient of the batch's loss there (`brenier.varpro.sampled`). A batch costs what it costs Adam:
a forward and a backward pass of each of its rows; the update sees the features of that pass.

That leaves one learning rate, the network's. It matters less than Adam's on all weights, and little
where Mechanic scales the steps (`brenier.optimizers.mechanic`).

References
----------
.. [1] E. Newman, J. Chung, M. Chung, L. Ruthotto, "slimTrain - A Stochastic Approximation Method
       for Training Separable Deep Neural Networks", SIAM J. Sci. Comput. 44, 2022,
       arXiv 2109.14002, algorithm 4.1.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array
from brenier.optimizers.adam import Adam
from brenier.optimizers.early_stopping import EarlyStopping
from brenier.optimizers.epochs import AbstractByEpochs, AbstractByGradients, Here, Rows, steps_over
from brenier.program import program
from brenier.varpro.function import AbstractFunction
from brenier.varpro.sample import PaddedSample
from brenier.varpro.sampled import begin, regularised_by, updated

# The authors' Lambda_0, and the memory of most of their experiments.
FIRST, DEPTH = 0.05, 5

Told = Callable[[Float[np.ndarray, " k"]], None]


@dataclass(frozen=True, kw_only=True)
class SlimTrain(AbstractByEpochs):
    """slimTrain.

    Parameters
    ----------
    memory_depth : int
        Batches that are remembered besides the present one, r.
    first : float
        Lambda_0.
    change : float, optional
        lambda_k of every batch; None: by sampled generalised cross-validation.
    steps : type
        Whose rule makes the network's steps.
    told : callable, optional
        Told the lambda_k of the batches of every compiled call; zero for those that were left out.
    """

    eliminates: bool = False
    memory_depth: int = DEPTH
    first: float = FIRST
    change: float | None = None
    steps: type[AbstractByGradients] = Adam
    told: Told | None = field(default=None, repr=False, compare=False)

    def begin(self, function: AbstractFunction, x: Float[np.ndarray, " p"]) -> Any:
        """Return the rule's state, of the network alone, and the last layer's."""
        last_layer = begin(function.problem, x, self.memory_depth, self.first)
        theta = x[: -last_layer.W.size]
        return self.steps.rule(self.learning_rate).init(theta), last_layer

    def go_on(
        self,
        function: AbstractFunction,
        x: Float[np.ndarray, " p"],
        state: Any,
        batches: list[Rows],
        early_stopping: EarlyStopping,
    ) -> tuple[Float[np.ndarray, " p"], Any, bool]:
        """Return where a step for every batch leads, and whether none gave a direction."""
        samples = self.padded(function, batches, early_stopping)
        regularisation = regularised_by(self.change)
        after, state, moves, changes = _descend(
            function.problem, self.steps, regularisation, self.rate, x, state, samples
        )
        if self.told is not None:
            self.told(np.where(moves, changes, 0.0))
        return np.asarray(after), state, not np.any(moves)


@program
def _descend(
    problem: Any,
    kind: type[AbstractByGradients],
    regularisation: Any,
    rate: Array,
    x: Array,
    state: Any,
    batches: PaddedSample,
) -> tuple[Array, Any, Array, Array]:
    """Return x and the state after a step for every batch, which were steps, and the lambda_k.

    Parameters
    ----------
    problem : SupervisedProblem
        What is minimised.
    kind : type
        Whose rule makes the network's steps.
    regularisation : AbstractRegularisation
        Chooses lambda_k.
    batches : PaddedSample
        A batch each chunk.
    """

    def step(here: Here, batch: PaddedSample) -> tuple[Here, Array, Array]:
        x, (of_rule, last_layer) = here
        batch_at = updated(problem, regularisation, x, last_layer, batch)
        gradient, q = batch_at.gradient, len(batch_at.gradient)
        finite = jnp.isfinite(batch_at.value) & jnp.all(jnp.isfinite(gradient))
        moves, of_rule = kind.rule(rate).update(gradient, of_rule, x[:q])
        x = jnp.concatenate([x[:q] + moves, batch_at.x[q:]])
        return (x, (of_rule, batch_at.last_layer)), finite, batch_at.change

    (x, state), moves, changes = steps_over(step, (x, state), batches)
    return x, state, moves, changes
