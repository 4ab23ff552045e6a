r"""Adam on mini-batches, with or without elimination of w, projected on the bounds.

With elimination every step solves the inner problem on its mini-batch (the thesis's Adam VarPro);
without, it is the usual stochastic training (the thesis's Full Adam). Every epoch goes through all
rows once, in a fresh random order, the last and smaller batch included.

References
----------
.. [1] D. P. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", 2015, arXiv 1412.6980.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.optimizers.base import AbstractOptimizer, OptimizerEnd
from brenier.optimizers.early_stopping import EarlyStopping, StopRun
from brenier.status import FitStatus
from brenier.varpro.function import AbstractFunction
from brenier.varpro.sample import AbstractSample, PaddedSample


@dataclass(frozen=True)
class Adam(AbstractOptimizer):
    """Adam.

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
    """

    eliminates: bool
    batch_rows: int
    learning_rate: float
    seed: int
    epochs: int | None = None

    def minimize(
        self, function: AbstractFunction, x: Float[np.ndarray, " p"], early_stopping: EarlyStopping
    ) -> OptimizerEnd:
        """Minimise from `x`, reporting every epoch's last iterate to `early_stopping`.

        What early stopping sees is evaluated on all rows and costs no work units.
        """
        # Here and not above, so that fits that do without Adam do not wait for it.
        import optax

        rng = np.random.default_rng(self.seed)
        lower = function.lower
        optimiser = optax.adam(self.learning_rate)
        state = optimiser.init(x)

        @jax.jit
        def move(x, gradient, state):
            updates, state = optimiser.update(gradient, state, x)
            return jnp.maximum(x + updates, lower), state

        whole, batch_function = function.uncounted(), function.on(function.sample, function.n_rows)
        epoch = 0
        try:
            while self.epochs is None or epoch < self.epochs:
                epoch += 1
                stuck = True
                for batch, n_rows in self._batches(function.sample, rng):
                    early_stopping.check_time()
                    batch_function.sample, batch_function.n_rows = batch, n_rows
                    here = batch_function.evaluate(x)
                    # A batch on which the density vanishes somewhere gives no direction.
                    if here.finite:
                        stuck = False
                        x, state = move(x, here.gradient, state)
                        x = np.asarray(x)
                if stuck:
                    return OptimizerEnd(x, FitStatus.NUMERICAL_FAILURE)
                early_stopping.observe(whole.evaluate(x), function)
        except StopRun as stop:
            return OptimizerEnd(x, stop.status)
        return OptimizerEnd(x, FitStatus.ITERATION_LIMIT)

    def _batches(
        self, sample: AbstractSample, rng: np.random.Generator
    ) -> Iterator[tuple[PaddedSample, int]]:
        X, omega = sample.rows()
        order = rng.permutation(len(X))
        for start in range(0, len(X), self.batch_rows):
            rows = order[start : start + self.batch_rows]
            yield (
                PaddedSample.of(X[rows], omega[rows], self.batch_rows, least=self.batch_rows),
                len(rows),
            )
