"""What a fit makes of a table: several networks that predict together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brenier.networks.basis import AbstractBasis
from brenier.supervised.scaling import InputScaling, TargetScaling

# Rows that are predicted at a time.
BATCH = 1 << 13


@dataclass(frozen=True)
class Member:
    """One network with its last layer.

    Attributes
    ----------
    basis : AbstractBasis
        f_mu, its arrays NumPy's.
    W : (m, o)
        The last layer's weights.
    """

    basis: AbstractBasis
    W: Float[np.ndarray, "m o"]

    def outputs(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N o"]:
        """Return W^T f_mu of scaled rows."""
        return np.asarray(self.basis.values(X)) @ self.W


@dataclass(frozen=True)
class Predictor:
    """Several networks.

    Attributes
    ----------
    inputs, targets : InputScaling, TargetScaling
        How columns are brought to a common scale, and outputs back.
    members : sequence of Member
        The networks.
    """

    inputs: InputScaling
    targets: TargetScaling
    members: Sequence[Member]

    def each(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "K N o"]:
        """Return what each network says of every row: targets in their units, or logits."""
        batches = [X[i : i + BATCH] for i in range(0, len(X), BATCH)]
        outputs = [
            np.stack([one.outputs(scaled) for one in self.members])
            for scaled in map(self.inputs, batches)
        ]
        return self.targets.back(np.concatenate(outputs, axis=1))
