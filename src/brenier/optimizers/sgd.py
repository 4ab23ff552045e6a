r"""Stochastic gradient descent on mini-batches with Nesterov's momentum, projected on the bounds.

References
----------
.. [1] I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the Importance of Initialization and
       Momentum in Deep Learning", ICML 2013.
"""

from dataclasses import dataclass
from typing import Any

from brenier.optimizers.epochs import AbstractByGradients

MOMENTUM = 0.9


@dataclass(frozen=True)
class SGD(AbstractByGradients):
    """SGD with momentum; its parameters are those of every descent by gradients."""

    @staticmethod
    def rule(learning_rate: Any) -> Any:
        """Return SGD's steps."""
        # Here and not above, so that fits that do without SGD do not wait for it.
        import optax

        return optax.sgd(learning_rate, momentum=MOMENTUM, nesterov=True)
