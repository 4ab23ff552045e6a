"""A flow taken apart into arrays and metadata, and put together again from a model file."""

import jax
import numpy as np
import pytest

from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import ColumnBounds, Preprocessing, whitening
from brenier.flow.rebuild import take_flow
from brenier.flow.shelf import Shelf
from brenier.flow.storage import flow_to_arrays
from brenier.io.model_file import read_model, write_model
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.features import ConvexPotential
from brenier.potential.head import SeparableFeatures
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.potential.radial import RadialUnits
from brenier.potential.units import ConcatenatedUnits


def flow(n_radial):
    """Return a flow of two columns, a network with radial units beside it or without."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 2))
    units = InputConvexNetwork(
        K=(rng.normal(size=(4, 2)), rng.normal(size=(3, 2))),
        b=(rng.normal(size=4), rng.normal(size=3)),
        L=(rng.exponential(size=(3, 4)),),
        activation=ACTIVATIONS["gaussian-softplus"],
        nonnegativity=NONNEGATIVITY["bounds"],
    )
    if n_radial:
        radial = RadialUnits(rng.normal(size=(n_radial, 2, 2)), rng.normal(size=(n_radial, 2)))
        units = ConcatenatedUnits((units, radial))
    w = np.concatenate([rng.exponential(size=units.width + 2), rng.normal(size=2)])
    potential = ConvexPotential(SeparableFeatures(units, np.eye(2)), w)
    bounds = ColumnBounds(np.array([-np.inf, -9.0]), np.array([np.inf, 9.0]))
    whitened = whitening(np.asarray(bounds.forward(X)[0]), np.ones(50), "full")
    return ConvexFlow(Preprocessing(bounds, whitened), potential)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("n_radial", [0, 1, 3])
def test_a_flow_comes_back_with_its_radial_units(n_radial, tmp_path):
    saved = flow(n_radial)
    arrays, structure = flow_to_arrays(saved)
    write_model(tmp_path / "m", {"structure": structure}, arrays)
    metadata, arrays = read_model(tmp_path / "m")
    assert {name for name in arrays if name.startswith("map.radial")} == (
        {"map.radial.B", "map.radial.e"} if n_radial else set()
    )
    back = take_flow(Shelf(arrays), metadata["structure"])
    assert jax.tree.structure(back) == jax.tree.structure(saved)
    for one, other in zip(jax.tree.leaves(back), jax.tree.leaves(saved), strict=True):
        np.testing.assert_array_equal(one, other)
