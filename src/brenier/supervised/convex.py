r"""Convex regression: from rows with a target to a convex function.

    f(x) = sum_i w_i u_i(x) + sum_k v_k 1/2 (r_k . x)^2 + c . x + d,    w, v >= 0,

u an input convex network, fitted by least squares with w, v, c, d eliminated
(`brenier.varpro.supervised`). f is convex in x by construction, wherever it is asked; where it is
to be monotone in a column, no term decreases in it (`brenier.networks.convex`).

Columns and target are standardised; a column in which f is to decrease changes its sign, and so
does the target of a concave f. In turn each of K parts of the rows is held out, and a network is
trained on the others (`brenier.supervised.search`). The average of the networks is the model: an
average of convex functions is convex.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from brenier.arrays import Array, standardise
from brenier.data.rows import WeightedRows
from brenier.inner.losses import SquaredError
from brenier.inner.primal_dual import PrimalDual
from brenier.networks.basis import AbstractBasis
from brenier.networks.convex import ConvexBasis, MonotoneNetwork
from brenier.optimizers.early_stopping import Clock
from brenier.potential.activations import Softplus
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.initialise import initial_network
from brenier.potential.nonnegativity import Bounded
from brenier.program import program
from brenier.supervised.convex_settings import ConvexSettings
from brenier.supervised.fit import fold_by_fold, parts
from brenier.supervised.report import FoldReport
from brenier.supervised.search import Search
from brenier.supervised.settings import SupervisedSettings
from brenier.supervised.task import Regression

# What the network's units are, and how their weights stay non-negative.
_FORM = (Softplus(), Bounded())
# Rows that one compiled call predicts, the same however many there are.
BATCH = 512


class Shape(NamedTuple):
    """What shape a function is to have.

    Attributes
    ----------
    sign : float
        1: convex; -1: concave.
    monotone : (n,)
        1: increasing in the column; -1: decreasing; 0: either.
    """

    sign: float
    monotone: Int[np.ndarray, " n"]

    @property
    def signs(self) -> Float[np.ndarray, " n"]:
        """By which columns are multiplied so that the convex function increases in them."""
        return np.where(self.monotone * self.sign < 0, -1.0, 1.0)


class Member(NamedTuple):
    """A network and its last layer's weights."""

    basis: AbstractBasis
    w: Float[Array, " m"]


@dataclass(frozen=True)
class ConvexFunction:
    """A convex or concave function of rows in data units: the average of its members.

    Attributes
    ----------
    members : Member
        All of them, each array with one axis more, the first.
    centre, scale : (n,)
        Of the columns; the scale has the sign of `Shape.signs`.
    target : (2,)
        Mean and standard deviation of the target, the latter with the sign of `Shape`.
    """

    members: Member
    centre: Float[np.ndarray, " n"]
    scale: Float[np.ndarray, " n"]
    target: Float[np.ndarray, " 2"]

    def __call__(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
        """Return its values at rows."""
        return self.of_each(X).mean(axis=0)

    def of_each(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "K N"]:
        """Return every member's values at rows, NumPy in and out."""
        Z = (X - self.centre) / self.scale
        values = np.empty((len(self.members.w), len(Z)))
        with jax.enable_x64(True):
            for start in range(0, len(Z), BATCH):
                batch = Z[start : start + BATCH]
                padded = np.zeros((BATCH, Z.shape[1]))
                padded[: len(batch)] = batch
                of_batch = np.asarray(values_of(self.members, padded))[:, : len(batch)]
                values[:, start : start + BATCH] = of_batch
        mean, deviation = self.target
        return mean + deviation * values


class ConvexFit(NamedTuple):
    """What a fit leaves.

    Attributes
    ----------
    function : ConvexFunction
        The model.
    folds : list of FoldReport
        One a network.
    heldout : (N,)
        What the network says of every row that has not seen it.
    """

    function: ConvexFunction
    folds: list[FoldReport]
    heldout: Float[np.ndarray, " N"]


def fit_convex(
    rows: WeightedRows,
    shape: Shape,
    search: SupervisedSettings,
    settings: ConvexSettings,
    *,
    seed: int,
    clock: Clock,
) -> ConvexFit:
    """Return the convex function of least squares; to be called where float64 is enabled.

    Parameters
    ----------
    rows : WeightedRows
        Rows (x, y) in data units.
    shape : Shape
        Of the function.
    search, settings : SupervisedSettings, ConvexSettings
        All numbers.
    seed : int
        Of initial weights.
    clock : Clock
        The time that the fit has: runs end where they are.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, where not all runs had begun.
    """
    mean, deviation, Z = standardise(rows.X, rows.weights)
    # What rounding makes of a constant column is no deviation.
    varies = deviation > np.finfo(float).eps * len(Z) * np.abs(mean)
    signs = np.append(shape.signs, shape.sign)
    standard = rows.at(np.where(varies, Z, 0.0) * signs)
    targets = standard.X[:, -1:]
    part = parts(targets, search.n_folds)
    trivial_loss = Regression().trivial_loss(targets, rows.weights)

    def one_search(k: int, train: WeightedRows, heldout: WeightedRows) -> Search:
        rng = np.random.default_rng([seed, k])
        return Search(
            basis=_basis(train, shape.monotone != 0, search.widths, settings, rng),
            loss=SquaredError(),
            solver=PrimalDual(tau=settings.tau),
            train=train,
            heldout=heldout,
            trivial_loss=trivial_loss,
            clock=clock,
            settings=search,
        )

    found = fold_by_fold(standard, part, one_search, clock)
    members = jax.tree.map(
        lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]),
        *(Member(one.member.basis, one.member.W[:, 0]) for one in found),
    )
    # A constant column is of no influence, whatever it becomes.
    scale = signs * np.where(varies, deviation, np.inf)
    target = np.array([mean[-1], signs[-1] * deviation[-1] * varies[-1]])
    function = ConvexFunction(members, mean[:-1], scale[:-1], target)
    folds = [one.report for one in found]
    return ConvexFit(function, folds, function.of_each(rows.X[:, :-1])[part, np.arange(len(Z))])


@program
def values_of(members: Member, X: Float[Array, "N n"]) -> Float[Array, "K N"]:
    """Return every member's values at standardised rows."""
    return jax.vmap(lambda member: member.basis.values(X) @ member.w)(members)


def _basis(
    rows: WeightedRows,
    is_monotone: np.ndarray,
    widths: tuple[int, ...],
    settings: ConvexSettings,
    rng: np.random.Generator,
) -> ConvexBasis:
    """Return the basis functions that a search begins with."""
    network = _initial(rows.X[:, :-1], is_monotone, widths, settings.spread, rng)
    return ConvexBasis(network, quadratic_axes(rows, ~is_monotone, settings))


def _initial(
    X: Float[np.ndarray, "N n"],
    is_monotone: np.ndarray,
    widths: tuple[int, ...],
    spread: tuple[float, float],
    rng: np.random.Generator,
) -> MonotoneNetwork:
    """Return a network whose kinks pass through rows, and which increases where it is to."""
    network = initial_network(X, widths, *_FORM, rng, spread=spread)
    increasing = tuple(bool(is_one) for is_one in is_monotone)
    if not any(increasing):
        return MonotoneNetwork(network, increasing)
    K, b = [np.where(is_monotone, np.abs(K), K) for K in network.K], []
    for i, here in enumerate(K):
        a = X @ here.T
        if i:
            below = InputConvexNetwork(tuple(K[:i]), tuple(b), network.L[: i - 1], *_FORM)
            a = a + np.asarray(below.value(X)) @ network.L[i - 1].T
        b.append(-a[rng.integers(len(X), size=len(here)), np.arange(len(here))])
    return MonotoneNetwork(InputConvexNetwork(tuple(K), tuple(b), network.L, *_FORM), increasing)


def quadratic_axes(
    rows: WeightedRows, free: np.ndarray, settings: ConvexSettings
) -> Float[np.ndarray, "r n"]:
    """Return the axes of the quadratic form that is closest to the target, by ridge regression.

    Parameters
    ----------
    rows : WeightedRows
        Standardised rows (x, y).
    free : (n,)
        Columns in which there may be quadratics.
    settings : ConvexSettings
        Of more columns than its `quadratic_columns` the axes are those of the coordinates.
    """
    X, y = rows.X[:, :-1], rows.X[:, -1]
    axes = np.eye(X.shape[1])[free]
    if not 0 < len(axes) <= settings.quadratic_columns:
        return axes
    i, j = np.triu_indices(len(axes))
    Z = X[:, free]
    F = np.concatenate([X, Z[:, i] * Z[:, j]], axis=1)
    coefficients = ridge_by_gcv(F, y, rows.weights, settings.ridges)
    H = np.zeros((len(axes), len(axes)))
    H[i, j] = coefficients[X.shape[1] :]
    return np.linalg.eigh(H + H.T)[1].T @ axes


def ridge_by_gcv(
    F: Float[np.ndarray, "N m"],
    y: Float[np.ndarray, " N"],
    weights: Float[np.ndarray, " N"],
    ridges: Sequence[float],
) -> Float[np.ndarray, " m"]:
    r"""Return ridge regression's coefficients, the ridge by generalised cross-validation.

    With the singular values s of the weighted and centred F, and the target's coordinates b along
    its left singular vectors, ridge rho leaves sum (1 - g)^2 b^2 + rest, g = s^2 / (s^2 + rho),
    with sum g effective parameters; the criterion is what is left over (N - 1 - sum g)^2 ([1]_).

    References
    ----------
    .. [1] G. H. Golub, M. Heath, G. Wahba, "Generalized Cross-Validation as a Method for Choosing a
           Good Ridge Parameter", Technometrics 21, 1979.
    """
    root = np.sqrt(weights / np.sum(weights))[:, None]
    centred = root * (F - root.T**2 @ F)
    target = root[:, 0] * (y - root[:, 0] ** 2 @ y)
    U, s, Vt = np.linalg.svd(centred, full_matrices=False)
    # Columns are of variance one: what is below is rounding.
    s = np.maximum(s, np.finfo(float).eps)
    b = U.T @ target
    rest = max(target @ target - b @ b, 0.0)
    g = s**2 / (s**2 + np.array(ridges)[:, None])
    left = ((1.0 - g) ** 2) @ b**2 + rest
    freedom = len(F) - 1 - g.sum(axis=1)
    score = np.where(freedom > 0, left / np.where(freedom > 0, freedom, 1.0) ** 2, np.inf)
    return Vt.T @ (g[np.argmin(score)] * b / s)
