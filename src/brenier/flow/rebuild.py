"""A flow from the named arrays and the plain metadata that `brenier.flow.storage` made of it.

Every array is checked: its shape follows from what the metadata say and from the widths of the
layers, its entries from what it is. Of n columns and q of context, widths are `d`, `k` and `width`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from brenier.flow.column_order import OrderedPreprocessing, context_scaling
from brenier.flow.context import ContextScaling, Curve
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import (
    AbstractPreprocessing,
    ColumnBounds,
    ConditionalPreprocessing,
    Preprocessing,
    Whitening,
)
from brenier.flow.shelf import (
    ASCENDING,
    FINITE,
    NONNEGATIVE,
    NUMBERS,
    ORTHONORMAL,
    POSITIVE,
    SCALES,
    SIGNS,
    TRIANGULAR,
    Shelf,
)
from brenier.flow.spread import ContextSpread
from brenier.flow.storage import ORDERS
from brenier.flow.tail import Tail
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.composition import Composition
from brenier.potential.conditional import ConditionalFeatures, GatedNetwork
from brenier.potential.features import (
    AbstractFeatures,
    AbstractMap,
    AbstractPotential,
    ConvexPotential,
)
from brenier.potential.gaussian import AbstractGaussian, ConditionalGaussian, Gaussian
from brenier.potential.head import SeparableFeatures
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.nonnegativity import NONNEGATIVITY, Bounded
from brenier.potential.picnn import Affine, PartiallyConvexNetwork
from brenier.potential.radial import RadialUnits
from brenier.potential.sums import SumPotential
from brenier.potential.units import AbstractUnits, ConcatenatedUnits

Structure = Mapping[str, Any]


def take_flow(shelf: Shelf, structure: Structure) -> ConvexFlow:
    """Return a flow, its arrays taken off the shelf.

    Raises
    ------
    ValueError
        If an array is missing or not what it must be, or the metadata say what no flow is.
    """
    conditional = is_conditional(structure)
    # Older files say nothing of it.
    probit = entry(structure, "probit", bool) if "probit" in structure else False
    preprocessing, q = _preprocessing(shelf, conditional=conditional, probit=probit)
    parts = _Parts(shelf, preprocessing.n, q if conditional else None)
    map_ = parts.map(entry(structure, "map", Mapping), "map")
    tail = Tail(shelf.take("tail.h", law=POSITIVE)) if "tail.h" in shelf else None
    return ConvexFlow(_ordered(preprocessing, structure, q), map_, tail)


def _ordered(
    preprocessing: AbstractPreprocessing, structure: Structure, q: int
) -> AbstractPreprocessing:
    """Return the preprocessing of columns in their own order; older files have none."""
    if not any(name in structure for name in ORDERS):
        return preprocessing
    orders = []
    for name, length in zip(ORDERS, (preprocessing.n, q), strict=True):
        order = entry(structure, name, list)
        are_whole = all(isinstance(place, int) and not isinstance(place, bool) for place in order)
        if not are_whole or sorted(order) != list(range(length)):
            raise ValueError(f"Expected {name} of {length} columns; got {order!r:.80}.")
        orders.append(np.array(order, dtype=int))
    return OrderedPreprocessing(preprocessing, *orders)


def take_gaussian(shelf: Shelf, flow: ConvexFlow) -> AbstractGaussian:
    """Return the baseline of a flow, its arrays taken off the shelf."""
    n, preprocessing = flow.n, flow.preprocessing
    axes = shelf.take("baseline.axes", n, n, law=ORTHONORMAL)
    sd = shelf.take("baseline.sd", n, law=POSITIVE)
    scaling = context_scaling(preprocessing)
    if scaling is None:
        return Gaussian(axes, sd, shelf.take("baseline.linear", n))
    q = len(scaling.mean)
    coefficients = shelf.take("baseline.coefficients", n, q)
    return ConditionalGaussian(axes, sd, coefficients, shelf.take("baseline.intercept", n))


def is_conditional(structure: Structure) -> bool:
    """Return whether a flow is of columns given others."""
    kind = entry(structure, "kind", str)
    if kind not in ("joint", "conditional"):
        raise ValueError(f"Expected a flow of a kind that is known; got {kind!r}.")
    return kind == "conditional"


def entry(structure: Structure, name: str, kind: type) -> Any:
    """Return an entry of metadata, which must be there and of a type."""
    value = structure.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"Expected {name} as {kind.__name__}; got {value!r:.80}.")
    return value


def _preprocessing(
    shelf: Shelf, *, conditional: bool, probit: bool
) -> tuple[AbstractPreprocessing, int]:
    """Return the preprocessing and the number of the context's columns."""
    n = shelf.length("whitening.mean")
    low = shelf.take("bounds.low", n, law=NUMBERS)
    bounds = ColumnBounds(low, shelf.take("bounds.high", n, law=NUMBERS), probit)
    if not np.all((bounds.low < bounds.high) & (bounds.low < np.inf) & (bounds.high > -np.inf)):
        raise ValueError(f"Expected low < high as bounds; got {bounds.low} and {bounds.high}.")
    own = Preprocessing(
        bounds,
        Whitening(
            mean=shelf.take("whitening.mean", n),
            scale=shelf.take("whitening.scale", n, law=POSITIVE),
            factor=shelf.take("whitening.factor", n, n, law=TRIANGULAR),
        ),
        Tail(shelf.take("far.h", law=POSITIVE)) if "far.h" in shelf else None,
    )
    if not conditional:
        return own, 0
    q = shelf.length("context.mean")
    scaling = ContextScaling(
        mean=shelf.take("context.mean", q),
        scale=shelf.take("context.scale", q, law=SCALES),
        low=shelf.take("context.low", q, law=NUMBERS),
        high=shelf.take("context.high", q, law=NUMBERS),
        curve=_curve(shelf, q) if "curve.sign" in shelf else None,
    )
    if not np.all(scaling.low <= scaling.high):
        raise ValueError(f"Expected low <= high of a context; got {scaling.low}, {scaling.high}.")
    spread = None
    if "spread.location" in shelf:
        names = ("spread.location", "spread.log_scale")
        spread = ContextSpread(*(shelf.take(name, n, q + 1) for name in names))
    return ConditionalPreprocessing(own, scaling, spread), q


def _curve(shelf: Shelf, q: int) -> Curve:
    """Return how a context is bent; columns that are not by ranks have NaN for these."""
    k = shelf.length("curve.values")
    sign = shelf.take("curve.sign", q, law=SIGNS)
    values = shelf.take("curve.values", k, q, law=ASCENDING)
    return Curve(sign, values, shelf.take("curve.scores", k, q, law=ASCENDING))


class _Parts:
    """Takes maps, potentials and features of n columns, given q, off a shelf; q None for none."""

    def __init__(self, shelf: Shelf, n: int, q: int | None):
        self._shelf, self._n, self._q = shelf, n, q

    def map(self, structure: Structure, path: str) -> AbstractMap:
        """Return a composition, or the gradient of one potential."""
        if structure.get("kind") != "composition":
            return self._potential(structure, path)
        maps = self._several(structure, "maps", path)
        return Composition(tuple(self._potential(part, at) for at, part in maps))

    def _several(self, structure: Structure, name: str, path: str) -> list[tuple[str, Structure]]:
        parts = entry(structure, name, list)
        if not parts or not all(isinstance(part, Mapping) for part in parts):
            raise ValueError(f"Expected the parts of {path}; got {parts!r:.80}.")
        return [(f"{path}.{i}", part) for i, part in enumerate(parts)]

    def _potential(self, structure: Structure, path: str) -> AbstractPotential:
        if structure.get("kind") != "sum":
            return self._single(structure, path)
        parts = self._several(structure, "members", path)
        members = tuple(self._single(part, at) for at, part in parts)
        shares = self._shelf.take(f"{path}.shares", len(members), law=NONNEGATIVE)
        return SumPotential.of(members, shares)

    def _single(self, structure: Structure, path: str) -> ConvexPotential:
        kind = entry(structure, "kind", str)
        own = entry(structure, "features", Mapping)
        expected = "separable" if self._q is None else "conditional"
        if kind != "potential" or own.get("kind") != expected:
            raise ValueError(f"Expected {path} of {expected} features; got {kind!r} {own!r:.80}.")
        features = self._separable(own, path) if self._q is None else self._gated(own, path)
        w = self._shelf.take(f"{path}.w", features.n_features)
        if not NONNEGATIVE.holds(w[: features.n_constrained]):
            raise ValueError(f"Expected no negative weights of convex features in {path}.w.")
        return ConvexPotential(features, w)

    def _separable(self, structure: Structure, path: str) -> AbstractFeatures:
        n, shelf, axes = self._n, self._shelf, f"{path}.axes"
        units = self._units(structure, path)
        n_axes = n if shelf.length(axes, least=0) else 0
        normalised = entry(structure, "normalised", bool)
        head = SeparableFeatures(units, shelf.take(axes, n_axes, n, law=ORTHONORMAL), normalised)
        return head.with_n_curved()

    def _units(self, structure: Structure, path: str) -> AbstractUnits:
        shelf, n = self._shelf, self._n
        nonnegativity = NONNEGATIVITY[entry(structure, "nonnegativity", str)]
        bounded = isinstance(nonnegativity, Bounded)
        widths = self._widths(structure, "n_layers", f"{path}.K.{{}}")
        network = InputConvexNetwork(
            K=tuple(shelf.take(f"{path}.K.{i}", d, n) for i, d in enumerate(widths)),
            b=tuple(shelf.take(f"{path}.b.{i}", d) for i, d in enumerate(widths)),
            L=self._between(widths, path, nonnegative=bounded),
            activation=ACTIVATIONS[entry(structure, "activation", str)],
            nonnegativity=nonnegativity,
        )
        if not entry(structure, "radial", bool):
            return network
        width, p = shelf.shape(f"{path}.radial.e", 2)
        B = shelf.take(f"{path}.radial.B", width, p, n)
        return ConcatenatedUnits(
            (network, RadialUnits(B, shelf.take(f"{path}.radial.e", width, p)))
        )

    def _widths(self, structure: Structure, name: str, arrays: str) -> list[int]:
        """Return the widths of layers, at least one, by the arrays that are there."""
        n_layers = entry(structure, name, int)
        if n_layers < 1:
            raise ValueError(f"Expected {name} >= 1; got {n_layers}.")
        return [self._shelf.length(arrays.format(i)) for i in range(n_layers)]

    def _between(
        self, widths: Sequence[int], path: str, *, nonnegative: bool
    ) -> tuple[np.ndarray, ...]:
        """Return L of every layer but the first."""
        law = NONNEGATIVE if nonnegative else FINITE
        pairs = enumerate(zip(widths[1:], widths[:-1], strict=True))
        return tuple(
            self._shelf.take(f"{path}.L.{i}", d, below, law=law) for i, (d, below) in pairs
        )

    def _affine(self, path: str, n_out: int, n_in: int) -> Affine:
        W = self._shelf.take(f"{path}.W", n_out, n_in)
        return Affine(W, self._shelf.take(f"{path}.b", n_out))

    def _gated(self, structure: Structure, path: str) -> AbstractFeatures:
        n, shelf = self._n, self._shelf
        units = self._partially_convex(structure, f"{path}.units")
        k = units.S.shape[1]
        gates = f"{path}.quadratic_gates"
        n_gated = shelf.length(f"{gates}.b", least=0)
        if n_gated % n:
            raise ValueError(f"Expected gates for each of {n} axes in {gates}; got {n_gated}.")
        network = GatedNetwork(
            units,
            unit_gates=self._affine(f"{path}.unit_gates", units.width, k),
            quadratic_gates=self._affine(gates, n_gated, k),
        )
        return ConditionalFeatures(network, shelf.take(f"{path}.axes", n, n, law=ORTHONORMAL))

    def _partially_convex(self, structure: Structure, path: str) -> PartiallyConvexNetwork:
        n, q, shelf = self._n, int(self._q or 0), self._shelf
        widths = self._widths(structure, "n_layers", f"{path}.K.{{}}")
        of_context = self._widths(structure, "n_context_layers", f"{path}.context.{{}}.b")
        k = of_context[-1]
        return PartiallyConvexNetwork(
            context=tuple(
                self._affine(f"{path}.context.{i}", d, below)
                for i, (d, below) in enumerate(zip(of_context, [q, *of_context[:-1]], strict=True))
            ),
            shift=self._affine(f"{path}.shift", n, q + k),
            S=shelf.take(f"{path}.S", n, k),
            K=tuple(shelf.take(f"{path}.K.{i}", d, n) for i, d in enumerate(widths)),
            bias=tuple(self._affine(f"{path}.bias.{i}", d, k) for i, d in enumerate(widths)),
            L=self._between(widths, path, nonnegative=True),
            gate=tuple(self._affine(f"{path}.gate.{i}", d, k) for i, d in enumerate(widths[:-1])),
            activation=ACTIVATIONS[entry(structure, "activation", str)],
        )
