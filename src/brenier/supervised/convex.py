r"""Convex regression: from rows with a target to a convex function.

    f(x) = sum_i w_i u_i(x) + sum_k v_k 1/2 (r_k . x)^2 + c . x + d,    w, v >= 0,

u an input convex network, fitted by least squares with w, v, c, d eliminated
(`brenier.varpro.supervised`). f is convex in x by construction, wherever it is asked; where it is
to be monotone in a column, no term decreases in it (`brenier.networks.monotone`).

Columns and target are standardised; a column in which f is to decrease changes its sign, and so
does the target of a concave f. The rows are cut into folds by their contents. For every strength of
the regularisation (weight decay and ridge alike) and every fold a network is trained on the other
rows, until the loss on the fold's own no longer falls. The strength is the one of the least
held-out loss of all folds together, and the model the average of its networks: an average of convex
functions is convex.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from brenier.arrays import Array, standardise
from brenier.data.rows import WeightedRows
from brenier.inner.losses import SquaredError
from brenier.inner.primal_dual import PrimalDual
from brenier.networks.monotone import MonotoneBasis, MonotoneNetwork
from brenier.optimizers.early_stopping import Clock, EarlyStopping, StoppingCriteria, StopRun
from brenier.optimizers.lbfgs import LBFGS
from brenier.potential.activations import Softplus
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.initialise import initial_network
from brenier.potential.nonnegativity import Bounded
from brenier.program import program
from brenier.supervised.convex_settings import ConvexSettings
from brenier.training.parallel import run_parallel
from brenier.varpro.function import ReducedFunction
from brenier.varpro.parameters import to_vector
from brenier.varpro.supervised import SupervisedProblem

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

    basis: MonotoneBasis
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
        """Return its values at rows, NumPy in and out."""
        Z = (X - self.centre) / self.scale
        values = np.empty(len(Z))
        with jax.enable_x64(True):
            for start in range(0, len(Z), BATCH):
                batch = Z[start : start + BATCH]
                padded = np.zeros((BATCH, Z.shape[1]))
                padded[: len(batch)] = batch
                values[start : start + BATCH] = mean_of(self.members, padded)[: len(batch)]
        mean, deviation = self.target
        return mean + deviation * values


class ConvexFit(NamedTuple):
    """What a fit leaves.

    Attributes
    ----------
    function : ConvexFunction
        The model.
    strength : float
        The regularisation that held-out rows chose.
    heldout : dict
        Mean squared errors on held-out rows by strength, in units of the target's variance.
    n_iter : int
        Iterations of its networks, on the average.
    """

    function: ConvexFunction
    strength: float
    heldout: dict[float, float]
    n_iter: int


class _Fold(NamedTuple):
    """Standardised rows (x, y) to train on and to hold out, and the start of a network."""

    train: WeightedRows
    heldout: WeightedRows
    basis: MonotoneBasis


class _Trained(NamedTuple):
    member: Member
    heldout_loss: float
    n_iter: int


def fit_convex(
    rows: WeightedRows,
    shape: Shape,
    settings: ConvexSettings,
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
    settings : ConvexSettings
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
    folds = _folds(standard, shape.monotone != 0, settings, seed)
    found = _of_strengths(folds, settings, clock)
    strength = min(found, key=lambda strength: found[strength].heldout_loss)
    best = found[strength].trained
    members = jax.tree.map(
        lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]),
        *(one.member for one in best),
    )
    # A constant column is of no influence, whatever it becomes.
    scale = signs * np.where(varies, deviation, np.inf)
    target = np.array([mean[-1], signs[-1] * deviation[-1] * varies[-1]])
    function = ConvexFunction(members, mean[:-1], scale[:-1], target)
    n_iter = round(float(np.mean([one.n_iter for one in best])))
    errors = {strength: 2.0 * one.heldout_loss for strength, one in found.items()}
    return ConvexFit(function, strength, errors, n_iter)


class _OfStrength(NamedTuple):
    """Networks of a strength, a fold each, and their mean held-out loss."""

    trained: list[_Trained]
    heldout_loss: float


def _of_strengths(
    folds: Sequence[_Fold], settings: ConvexSettings, clock: Clock
) -> dict[float, _OfStrength]:
    """Return the networks of the strengths that the first folds found best, of all folds each.

    All others have lost by then (successive halving [1]_).

    References
    ----------
    .. [1] K. Jamieson, A. Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
           Optimization", 2016, arXiv 1502.07943.
    """

    def trained(strengths: Sequence[float], some: Sequence[_Fold]) -> list[list[_Trained]]:
        jobs = [
            partial(_trained, fold, strength, settings, clock)
            for strength in strengths
            for fold in some
        ]
        results = run_parallel(jobs, clock.stop)
        if len(results) < len(jobs):
            raise KeyboardInterrupt
        return [results[k : k + len(some)] for k in range(0, len(results), len(some))]

    first, others = folds[: settings.first_folds], folds[settings.first_folds :]
    of_first = dict(zip(settings.strengths, trained(settings.strengths, first), strict=True))
    order = sorted(of_first, key=lambda strength: _heldout_loss(of_first[strength], first))
    kept = order[: settings.kept_strengths]
    of_others = trained(kept, others) if others else [[] for _ in kept]
    found = {}
    for strength, more in zip(kept, of_others, strict=True):
        both = [*of_first[strength], *more]
        found[strength] = _OfStrength(both, _heldout_loss(both, folds))
    return found


@program
def mean_of(members: Member, X: Float[Array, "N n"]) -> Float[Array, " N"]:
    """Return the members' average at standardised rows."""
    values = jax.vmap(lambda member: member.basis.values(X) @ member.w)(members)
    return values.mean(axis=0)


def _folds(
    rows: WeightedRows, is_monotone: np.ndarray, settings: ConvexSettings, seed: int
) -> list[_Fold]:
    """Return the folds: every row is held out once; a row alone is both."""
    N, n = rows.X.shape[0], rows.X.shape[1] - 1
    parts = min(settings.n_folds, N)
    # The order of the rows is random, and that of their contents.
    fold_of = np.arange(N) * parts // N
    folds = []
    for k in range(parts):
        train, heldout = (rows, rows) if parts < 2 else (rows[fold_of != k], rows[fold_of == k])
        rng = np.random.default_rng([seed % (1 << 32), k])
        network = _initial(train.X[:, :n], is_monotone, settings, rng)
        axes = quadratic_axes(train, ~is_monotone, settings)
        folds.append(_Fold(train, heldout, MonotoneBasis(network, axes)))
    return folds


def _initial(
    X: Float[np.ndarray, "N n"],
    is_monotone: np.ndarray,
    settings: ConvexSettings,
    rng: np.random.Generator,
) -> MonotoneNetwork:
    """Return a network whose kinks pass through rows, and which increases where it is to."""
    network = initial_network(X, settings.widths, *_FORM, rng, spread=settings.spread)
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


def _trained(fold: _Fold, strength: float, settings: ConvexSettings, clock: Clock) -> _Trained:
    """Return the best network of a run, by its held-out loss."""
    basis = fold.basis
    lower = basis.lower
    problem = SupervisedProblem(
        template=basis,
        lower=lower,
        ridge=np.append(np.full(len(lower) - 1, strength), 0.0),
        solver=PrimalDual(tau=settings.tau),
        decay=np.asarray(strength),
        loss_of_rows=SquaredError(),
    )
    heldout = problem.sample(fold.heldout.X, fold.heldout.weights)
    function = ReducedFunction(
        problem,
        problem.sample(fold.train.X, fold.train.weights),
        problem.cold,
        len(fold.train.X),
    )
    stopping = EarlyStopping(
        StoppingCriteria(settings.max_iter, settings.patience, settings.patience_share),
        lambda theta, w: float(problem.loss(theta, w, heldout)),
        clock,
    )
    start = to_vector(basis.network)
    try:
        stopping.observe(function.evaluate(start), function)
        LBFGS().minimize(function, start, stopping)
    except StopRun:
        pass
    best: Any = stopping.best
    network = problem.network_at(best.theta)
    return _Trained(Member(basis.with_network(network), best.w), best.heldout_loss, best.number)


def _heldout_loss(trained: Sequence[_Trained], folds: Sequence[_Fold]) -> float:
    """Return the mean loss of all rows, each held out once."""
    return float(
        np.average(
            [one.heldout_loss for one in trained],
            weights=[np.sum(fold.heldout.weights) for fold in folds],
        )
    )
