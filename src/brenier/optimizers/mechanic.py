r"""Adam whose learning rate is where it begins: Mechanic finds the size of steps along the way.

With Adam's steps u_1, u_2, ... at the learning rate, iterates are

    x_k = x_0 + s_k (u_1 + ... + u_k):

the scale s_k follows, by online learning, what gradients say of the way gone so far ([1]_,
algorithm 1). A rate that is too small grows by itself, and one that is too large shrinks. A step
costs an inner product more than Adam's.

References
----------
.. [1] A. Cutkosky, A. Defazio, H. Mehta, "Mechanic: A Learning Rate Tuner", NeurIPS 2023,
       arXiv 2306.00144.
"""

from dataclasses import dataclass
from typing import Any

from brenier.optimizers.adam import Adam

# The scale to begin with ("Optimisers" in benchmarks/NOTES.md).
FIRST_SCALE = 0.1


@dataclass(frozen=True)
class MechanicAdam(Adam):
    """Adam with Mechanic's scale; the learning rate is Adam's, a tenth of it the first step's."""

    @staticmethod
    def rule(learning_rate: Any) -> Any:
        """Return Adam's steps, scaled."""
        from optax.contrib import mechanize

        adam = Adam.rule(learning_rate)
        # It pulls towards zero for itself where it is not told otherwise; penalties are ours.
        return mechanize(adam, weight_decay=0.0, s_init=FIRST_SCALE)
