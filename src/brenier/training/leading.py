r"""Potentials of a few leading directions, where rows are few for their columns.

Columns z of mean m and covariance C C^T are whitened, x = C^{-1} (z - m), and turned, (t, r) = A x,
A orthonormal, t the k principal components of z, in the units that its covariance was shrunk in. A
table of N rows and k columns t is fitted like
any other, and

    Phi(x) = phi(t) + 1/2 |r|^2

is a convex potential of all columns, the density of r the Gaussian's. What it has to learn is of k
columns, whatever n is.

The leading directions of rows are drawn towards every one of them, the more the fewer they are: on
directions that have seen it, a held-out row says that more was learnt than was. So every fold has
the mean, covariance and components of its own training rows, turned to be most like those of all
rows [1]_, as components may come in any order and sign. What the folds have learnt is then put
where all rows lead.

References
----------
.. [1] P. H. Schoenemann, "A Generalized Solution of the Orthogonal Procrustes Problem",
       Psychometrika 31, 1966.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular

from brenier.arrays import LOG_2_PI
from brenier.data.rows import Split, WeightedRows
from brenier.flow.evaluation import in_batches, log_density
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import (
    AbstractPreprocessing,
    ColumnBounds,
    Preprocessing,
    Whitening,
)
from brenier.optimizers.progress import Offsets
from brenier.potential.composition import Composition
from brenier.potential.features import AbstractMap, AbstractPotential, ConvexPotential
from brenier.potential.gaussian import Gaussian
from brenier.potential.head import SeparableFeatures
from brenier.potential.merge import combine
from brenier.potential.sums import SumPotential
from brenier.training.candidate import Trained
from brenier.training.covariance import Transformed
from brenier.training.folds import Fold, preprocessed


def standard_normal(n: int) -> Gaussian:
    """Return the Gaussian of whitened columns."""
    return Gaussian(np.eye(n), np.ones(n), np.zeros(n))


@dataclass(frozen=True)
class Components:
    """The leading principal components of some rows, scaled to variance one, and what is left.

    Attributes
    ----------
    mean : (n,)
        Of columns z.
    L : (n, n)
        The lower factor of their covariance.
    P : (k, n)
        t = P (z - mean).
    """

    mean: Float[np.ndarray, " n"]
    L: Float[np.ndarray, "n n"]
    P: Float[np.ndarray, "k n"]

    @staticmethod
    def of(rows: WeightedRows, covariance: Transformed, k: int) -> "Components":
        """Return those of whitened rows, in columns z = F x."""
        Z, omega = rows.X @ covariance.F.T, rows.weights / np.sum(rows.weights)
        mean = omega @ Z
        own = covariance.own
        whole = own.of(Z - mean, omega)
        variances, axes = np.linalg.eigh(own.in_units(own.in_units(whole).T))
        leading = slice(-1, -k - 1, -1)
        P = own.in_units(axes[:, leading]).T / np.sqrt(variances[leading])[:, None]
        return Components(mean, np.linalg.cholesky(whole), P)

    def __call__(
        self, Z: Float[np.ndarray, "N n"]
    ) -> tuple[Float[np.ndarray, "N k"], Float[np.ndarray, " N"]]:
        """Return t of rows, and their log-density (nats) less that of t and of n normal columns."""
        centred = Z - self.mean
        T = centred @ self.P.T
        x = solve_triangular(self.L, centred.T, lower=True)
        squares = np.sum(x**2, axis=0) - np.sum(T**2, axis=1)
        return T, -0.5 * squares - np.sum(np.log(np.diag(self.L)))

    def turned(
        self, T: Float[np.ndarray, "N k"], rows: WeightedRows, F: np.ndarray
    ) -> "Components":
        """Return the same components, turned to be most like T on whitened rows."""
        own, _ = self(rows.X @ F.T)
        U, _, V = np.linalg.svd((rows.weights[:, None] * T).T @ own)
        return replace(self, P=U @ V @ self.P)


@dataclass(frozen=True)
class Leading:
    """The leading directions of whitened columns x.

    Parameters
    ----------
    A : (n, n)
        Orthonormal rows, the leading ones first.
    k : int
        How many are leading.
    covariance : Transformed
        Of x, by the columns z.
    """

    A: Float[np.ndarray, "n n"]
    k: int
    covariance: Transformed

    @staticmethod
    def of(covariance: Transformed, k: int) -> "Leading":
        """Return the principal axes of columns z = F x, if x is white."""
        return Leading(np.linalg.svd(covariance.own.in_units(covariance.F))[2], k, covariance)

    @property
    def directions(self) -> Float[np.ndarray, "k n"]:
        """The leading ones."""
        return self.A[: self.k]

    def components(self, train: WeightedRows) -> Components:
        """Return the components of whitened training rows, much like those of all."""
        own = Components.of(train, self.covariance, self.k)
        return own.turned(train.X @ self.directions.T, train, self.covariance.F)

    def along(self, split: Split, offsets: Offsets) -> tuple[Split, Offsets]:
        """Return rows t of whitened ones, and offsets with the density of the rest in them."""
        components, parts, own = self.components(split.train), [], []
        for rows, offset in zip(split, offsets, strict=True):
            if rows is None:
                parts.append(None)
                own.append(offset)
                continue
            T, rest = self._of(components, rows)
            parts.append(rows.at(T))
            own.append(offset + rows.mean(rest))
        return Split(*parts), Offsets(*own)

    def rest(self, split: Split) -> Float[np.ndarray, " M"]:
        """Return what is to be added to log-densities of held-out rows t, whitened as `split`."""
        if split.heldout is None:
            raise ValueError("Expected held-out rows; got none.")
        return self._of(self.components(split.train), split.heldout)[1]

    def _of(
        self, components: Components, rows: WeightedRows
    ) -> tuple[Float[np.ndarray, "N k"], Float[np.ndarray, " N"]]:
        """Return t of whitened rows, and what is to be added to the offsets of x."""
        F = self.covariance.F
        T, rest = components(rows.X @ F.T)
        return T, rest + np.sum(np.log(np.diag(F)))


@dataclass(frozen=True)
class InDirections:
    """What was fitted to leading directions.

    Attributes
    ----------
    leading : Leading
        The directions.
    preprocessing : AbstractPreprocessing
        To whitened columns.
    kept, everyone : list of Trained
        What the flow's map is the average of, and what was trained on every fold.
    whole : Fold
        The one fold; of several, all rows, none held out.
    """

    leading: Leading
    preprocessing: AbstractPreprocessing
    kept: Sequence[Trained]
    everyone: Sequence[Trained]
    whole: Fold

    def lifted(self) -> tuple[list[Trained], list[Trained], Fold]:
        """Return what is kept, everyone and the fold of all rows, of all columns."""
        folds = {id(one.fold): one.fold for one in (*self.everyone, *self.kept)}
        folds |= {id(self.whole): self.whole}
        lifted = {key: self._fold(fold) for key, fold in folds.items()}

        def of(trained: Sequence[Trained]) -> list[Trained]:
            return [self._trained(one, lifted[id(one.fold)]) for one in trained]

        return of(self.kept), of(self.everyone), lifted[id(self.whole)]

    def heldout_log_density(self, k: int, *, gaussian: bool) -> Float[np.ndarray, " M"]:
        """Return log p of a fold's held-out rows, in data units, under what was trained on it.

        Parameters
        ----------
        k : int
            Which of `everyone`.
        gaussian : bool
            Whether under its Gaussian.
        """
        one, n = self.everyone[k], self.preprocessing.n
        data, split = one.fold.data.heldout, one.fold.split.heldout
        if data is None or split is None:
            raise ValueError("Expected held-out rows; got none.")
        whitened, _ = preprocessed(self.preprocessing, one.fold.data)
        rest = self.leading.rest(whitened)
        log_det = np.asarray(self.preprocessing.forward(data.X)[1])
        if gaussian:
            own = one.fold.gaussian.losses(split.X)
            return log_det + rest - own - 0.5 * n * LOG_2_PI
        own = in_batches(log_density, ConvexFlow(_nothing(self.leading.k), one.map), split.X)
        return log_det + rest + own - 0.5 * (n - self.leading.k) * LOG_2_PI

    def _fold(self, fold: Fold) -> Fold:
        split, offsets = preprocessed(self.preprocessing, fold.data)
        gaussian = standard_normal(len(self.leading.A))
        return replace(fold, split=split, seen=split.train, gaussian=gaussian, offsets=offsets)

    def _trained(self, one: Trained, fold: Fold) -> Trained:
        """Return the same of all columns; log-likelihoods stay those in the fold's directions."""
        rest = (whole - own for whole, own in zip(fold.offsets, one.fold.offsets, strict=True))
        losses = (one.chosen.loss, one.chosen.heldout_loss)
        loss, heldout_loss = (J + more for J, more in zip(losses, rest, strict=True))
        map_ = lifted_map(one.map, self.leading)
        chosen = replace(one.chosen, map=map_, loss=loss, heldout_loss=heldout_loss)
        return replace(one, fold=fold, chosen=chosen)


def _nothing(k: int) -> Preprocessing:
    """Return preprocessing of k columns that leaves them as they are."""
    bounds = ColumnBounds(np.full(k, -np.inf), np.full(k, np.inf))
    return Preprocessing(bounds, Whitening(np.zeros(k), np.ones(k), np.eye(k)))


def lifted_map(map_: AbstractMap, leading: Leading) -> AbstractMap:
    """Return the map of all columns that is `map_` along leading directions, else the identity."""
    lifted = tuple(_lifted(potential, leading) for potential in map_.potentials)
    return lifted[0] if len(lifted) == 1 else Composition(lifted)


def _lifted(potential: AbstractPotential, leading: Leading) -> AbstractPotential:
    if not isinstance(potential, SumPotential):
        return _convex(potential, leading, 1.0)
    shares = np.asarray(potential.shares)
    rest = 1.0 / float(np.sum(shares))
    return combine([_convex(member, leading, rest) for member in potential.members], shares)


def _convex(potential: AbstractPotential, leading: Leading, rest: float) -> ConvexPotential:
    """Return the potential of all columns, `rest` the weight of |r|^2 / 2 in it."""
    if not isinstance(potential, ConvexPotential):
        raise TypeError(f"Expected a potential of separable features; got {potential}.")
    features, A, k = potential.features, leading.A, leading.k
    if not isinstance(features, SeparableFeatures):
        raise TypeError(f"Expected separable features; got {features}.")
    network, quadratic, free = features.split(np.asarray(potential.w))
    axes = np.concatenate([np.asarray(features.axes) @ A[:k], A[k:]])
    units = features.network.through(A[:k])
    w = np.concatenate([network, quadratic, np.full(len(A) - k, rest), free @ A[:k]])
    return ConvexPotential(SeparableFeatures(units, axes, features.normalised).with_n_curved(), w)
