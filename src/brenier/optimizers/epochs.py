r"""Descent by mini-batches in epochs: what Adam, SGD and slimTrain share.

Every epoch goes through all rows once, in a fresh random order, the last and smaller batch
included. With elimination every step solves the inner problem on its mini-batch; without, the steps
of an epoch are one compiled call.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array
from brenier.optimizers.base import AbstractOptimizer, OptimizerEnd
from brenier.optimizers.early_stopping import EarlyStopping, StopRun
from brenier.program import program
from brenier.status import FitStatus
from brenier.varpro.function import AbstractFunction
from brenier.varpro.sample import AbstractSample, PaddedSample

Rows = tuple[Float[np.ndarray, "_ n"], Float[np.ndarray, " _"]]
Here = tuple[Array, Any]
"""x, and what else a step depends on."""


@dataclass(frozen=True, kw_only=True)
class AbstractByEpochs(AbstractOptimizer):
    """A descent by mini-batches.

    Parameters
    ----------
    eliminates : bool
        Whether w is eliminated.
    batch_rows : int
        Rows of a mini-batch.
    learning_rate : float
        Step size.
    seed : int
        Of the order of the rows.
    epochs : int, optional
        Passes through the rows; None: until early stopping ends the run.
    reported_every : int
        Epochs from one iterate that early stopping sees to the next.
    """

    eliminates: bool
    batch_rows: int
    learning_rate: float
    seed: int
    epochs: int | None = None
    reported_every: int = 1

    @abstractmethod
    def begin(self, function: AbstractFunction, x: Float[np.ndarray, " p"]) -> Any:
        """Return what the first step depends on besides x."""

    @abstractmethod
    def go_on(
        self,
        function: AbstractFunction,
        x: Float[np.ndarray, " p"],
        state: Any,
        batches: list[Rows],
        early_stopping: EarlyStopping,
    ) -> tuple[Float[np.ndarray, " p"], Any, bool]:
        """Return where a step for every batch leads, and whether none gave a direction."""

    def minimize(
        self, function: AbstractFunction, x: Float[np.ndarray, " p"], early_stopping: EarlyStopping
    ) -> OptimizerEnd:
        """Minimise from `x`, reporting epochs' last iterates to `early_stopping`.

        What early stopping sees is evaluated on all rows and costs no work units.
        """
        rng = np.random.default_rng(self.seed)
        state, whole = self.begin(function, x), function.uncounted()
        epoch = 0
        try:
            while self.epochs is None or epoch < self.epochs:
                n = self._epochs_at_once(epoch)
                epoch += n
                batches = [rows for _ in range(n) for rows in self._batches(function.sample, rng)]
                x, state, stuck = self.go_on(function, x, state, batches, early_stopping)
                if stuck:
                    return OptimizerEnd(x, FitStatus.NUMERICAL_FAILURE)
                early_stopping.observe(whole.evaluate(x), function)
        except StopRun as stop:
            return OptimizerEnd(x, stop.status)
        return OptimizerEnd(x, FitStatus.ITERATION_LIMIT)

    def _epochs_at_once(self, done: int) -> int:
        """Return how many epochs there are until the next report."""
        left = self.reported_every if self.epochs is None else self.epochs - done
        return min(self.reported_every, left)

    def _batches(self, sample: AbstractSample, rng: np.random.Generator) -> Iterator[Rows]:
        X, omega = sample.rows()
        order = rng.permutation(len(X))
        for start in range(0, len(X), self.batch_rows):
            rows = order[start : start + self.batch_rows]
            yield X[rows], omega[rows]

    def padded(
        self, function: AbstractFunction, batches: list[Rows], early_stopping: EarlyStopping
    ) -> PaddedSample:
        """Return the batches of a compiled call, a chunk each, and count what it costs."""
        early_stopping.check_time()
        X, omega = (np.stack(parts) for parts in zip(*map(self._padded, batches), strict=True))
        counters = function.counters
        counters.evaluations += len(batches)
        counters.work_units += sum(len(rows) for rows, _ in batches)
        return PaddedSample(X, omega)

    def _padded(self, batch: Rows) -> Rows:
        """Return a batch with rows of weight zero at its end, if it is the smaller one."""
        X, omega = batch
        missing = self.batch_rows - len(X)
        # Padding repeats a row, as `PaddedSample` does.
        X = np.concatenate([X, np.repeat(X[:1], missing, axis=0)])
        return X, np.concatenate([omega / omega.sum(), np.zeros(missing)])

    @property
    def rate(self) -> Float[np.ndarray, ""]:
        """The learning rate as an array: one program serves all rates."""
        return np.asarray(self.learning_rate)


@dataclass(frozen=True, kw_only=True)
class AbstractByGradients(AbstractByEpochs):
    """Steps that a rule makes of gradients, projected on the bounds."""

    @staticmethod
    @abstractmethod
    def rule(learning_rate: Any) -> Any:
        """Return what makes steps of gradients, an `optax.GradientTransformation`."""

    def begin(self, function: AbstractFunction, x: Float[np.ndarray, " p"]) -> Any:
        """Return the rule's state."""
        return self.rule(self.learning_rate).init(x)

    def go_on(
        self,
        function: AbstractFunction,
        x: Float[np.ndarray, " p"],
        state: Any,
        batches: list[Rows],
        early_stopping: EarlyStopping,
    ) -> tuple[Float[np.ndarray, " p"], Any, bool]:
        """Return where a step for every batch leads, and whether none gave a direction."""
        if self.eliminates:
            return self._one_by_one(function, x, state, batches, early_stopping)
        samples, kind = self.padded(function, batches, early_stopping), type(self)
        after, state, moves = _descend(
            function.problem, kind, self.rate, x, state, samples, function.lower
        )
        return np.asarray(after), state, not np.any(moves)

    def _one_by_one(
        self,
        function: AbstractFunction,
        x: Float[np.ndarray, " p"],
        state: Any,
        batches: list[Rows],
        early_stopping: EarlyStopping,
    ) -> tuple[Float[np.ndarray, " p"], Any, bool]:
        """Return the same with steps that are calls each."""
        on_batch, stuck = function.on(function.sample, function.n_rows), True
        for X, omega in batches:
            early_stopping.check_time()
            on_batch.sample = PaddedSample.of(X, omega, self.batch_rows, least=self.batch_rows)
            on_batch.n_rows = len(X)
            here = on_batch.evaluate(x)
            # A batch on which the density vanishes somewhere gives no direction.
            if here.finite:
                stuck = False
                moved, state = _moved(
                    type(self), self.rate, x, here.gradient, state, function.lower
                )
                x = np.asarray(moved)
        return x, state, stuck


def steps_over(
    step: Callable[[Here, PaddedSample], tuple[Here, Array, Any]],
    here: Here,
    batches: PaddedSample,
) -> tuple[Here, Array, Any]:
    """Return where a step for every batch leads, which were steps, and what they told.

    Parameters
    ----------
    step : callable
        Returns where a batch leads, whether its value and gradient are finite, and anything else.
        A batch on which they are not gives no direction, and is left out.
    here : (x, state)
        Where the first begins.
    batches : PaddedSample
        A batch each chunk.
    """

    def guarded(here: Here, batch: PaddedSample) -> tuple[Here, tuple[Array, Any]]:
        after, finite, told = step(here, PaddedSample(batch.X[None], batch.omega[None]))
        return jax.tree.map(lambda a, b: jnp.where(finite, a, b), after, here), (finite, told)

    here, (moves, told) = jax.lax.scan(guarded, here, batches)
    return here, moves, told


@program
def _moved(
    kind: type[AbstractByGradients],
    rate: Array,
    x: Array,
    gradient: Array,
    state: Any,
    lower: Array,
) -> tuple[Array, Any]:
    """Return x and the rule's state after a step."""
    updates, state = kind.rule(rate).update(gradient, state, x)
    return jnp.maximum(x + updates, lower), state


@program
def _descend(
    problem: Any,
    kind: type[AbstractByGradients],
    rate: Array,
    x: Array,
    state: Any,
    batches: PaddedSample,
    lower: Array,
) -> tuple[Array, Any, Array]:
    """Return x and the rule's state after a step for every batch, and which were steps.

    Parameters
    ----------
    problem : AbstractProblem
        What is minimised.
    kind : type
        Whose rule makes steps.
    batches : PaddedSample
        A batch each chunk.
    """

    def step(here: Here, batch: PaddedSample) -> tuple[Here, Array, None]:
        x, state = here
        _, value, gradient, _ = problem.full_value_and_gradient(x, batch)
        finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
        return _moved(kind, rate, x, gradient, state, lower), finite, None

    (x, state), moves, _ = steps_over(step, (x, state), batches)
    return x, state, moves
