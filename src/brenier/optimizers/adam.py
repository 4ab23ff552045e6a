r"""Adam on mini-batches, with or without elimination of w, projected on the bounds.

With elimination every step solves the inner problem on its mini-batch (the thesis's Adam VarPro);
without, it is the usual stochastic training (the thesis's Full Adam).

References
----------
.. [1] D. P. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", 2015, arXiv 1412.6980.
"""

from dataclasses import dataclass
from typing import Any

from brenier.optimizers.epochs import AbstractByGradients


@dataclass(frozen=True)
class Adam(AbstractByGradients):
    """Adam; its parameters are those of every descent by gradients."""

    @staticmethod
    def rule(learning_rate: Any) -> Any:
        """Return Adam's steps."""
        # Here and not above, so that fits that do without Adam do not wait for it.
        import optax

        return optax.adam(learning_rate)
