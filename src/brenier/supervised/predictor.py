"""What a fit makes of a table: several networks that predict together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brenier.networks.basis import AbstractBasis
from brenier.supervised.scaling import InputScaling, TargetScaling


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
        scaled = self.inputs(X)
        return self.targets.back(np.stack([one.outputs(scaled) for one in self.members]))
