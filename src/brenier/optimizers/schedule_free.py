r"""Adam without a schedule, on mini-batches: the search on long tables.

What is reported is the average of all points (`brenier.varpro.mini_batches`), once every `STEPS`
steps. The last layer is solved for exactly where the run ends.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from brenier.optimizers.base import AbstractOptimizer, OptimizerEnd
from brenier.optimizers.early_stopping import EarlyStopping, StopRun
from brenier.status import FitStatus
from brenier.varpro.mini_batches import BATCH_ROWS, STEPS, Descent, MiniBatchFunction

# A run ends once the log-likelihood that iterates are chosen by has risen by less than this (nats)
# in the second half of its iterations, ...
LEAST_GAIN = 1e-2
# ... of which there must be so many.
LEAST_ITERATIONS = 50


@dataclass(frozen=True)
class ScheduleFreeAdam(AbstractOptimizer):
    """Adam without a schedule, in mu and w together.

    Parameters
    ----------
    seed : int
        Of the order of the rows.
    """

    seed: int
    eliminates: bool = False
    leaves_last_layer: ClassVar[bool] = True

    def iteration_rows(self, n_rows: int) -> int:
        """Return those of `STEPS` batches."""
        return STEPS * BATCH_ROWS

    @property
    def function(self) -> type[MiniBatchFunction]:
        """What is minimised."""
        return MiniBatchFunction

    def minimize(
        self, function: MiniBatchFunction, x: Float[np.ndarray, " p"], early_stopping: EarlyStopping
    ) -> OptimizerEnd:
        """Minimise from `x`, reporting the average after every `STEPS` steps."""
        descent = Descent.begin(x)
        try:
            for batches in function.batches(np.random.default_rng(self.seed)):
                early_stopping.check_time()
                descent, here = function.descend(descent, batches)
                x = here.x
                if int(descent.n_skipped) == STEPS:
                    return OptimizerEnd(x, FitStatus.NUMERICAL_FAILURE)
                early_stopping.observe(here, function)
                enough = len(early_stopping.iterations) >= LEAST_ITERATIONS
                if enough and early_stopping.recent_gain < LEAST_GAIN:
                    break
        except StopRun as stop:
            return OptimizerEnd(x, stop.status)
        is_held_out = early_stopping.heldout_loss is not None
        return OptimizerEnd(
            x, FitStatus.STOPPED_ON_VALIDATION if is_held_out else FitStatus.CONVERGED_LOOSELY
        )
