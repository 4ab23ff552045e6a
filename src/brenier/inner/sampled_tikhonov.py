r"""Sampled limited-memory Tikhonov for a last layer that sees its rows in mini-batches (slimTik).

Batch k has N rows with features F_k (N, m), targets Y_k (N, o) and weights omega_j of sum one, and

    A_k = diag(sqrt(omega)) F_k,    B_k = diag(sqrt(omega)) Y_k.

M_k stacks A_{k-r}, ..., A_k, the features as they were when their batches came. The update of the
last layer W (m, o) is, with a regularisation lambda that may be negative ([1]_, algorithm 3.1),

    W_k = W_{k-1} - S_k(lambda),    Lambda_k = Lambda_{k-1} + lambda > 0,
    S_k(lambda) = (M_k^T M_k + Lambda_k I)^{-1} (A_k^T (A_k W_{k-1} - B_k) + lambda W_{k-1}).

W_k is therefore the minimiser of

    |A_k W - B_k|^2 + |M' (W - W_{k-1})|^2 + Lambda_{k-1} |W - W_{k-1}|^2 + lambda |W|^2,

where M' stacks the remembered batches: Tikhonov on the batch, held near W_{k-1} by what is
remembered. With all batches in memory it is the minimiser of sum_i |A_i W - B_i|^2 + Lambda_k
|W|^2 ([2]_).

lambda is that of a list at which sampled generalised cross-validation is least,

    G_k(lambda) = |A_k W_k(lambda) - B_k|^2 / (1 - tr H_k(lambda) / N)^2,
    H_k(lambda) = A_k (M_k^T M_k + (Lambda_{k-1} + lambda) I)^{-1} A_k^T:

the (weighted) mean squared error of leaving out one of the batch's rows after the other, where all
diagonal entries of H_k are the same. H_k acts on every column of B_k alike, so that the formula
holds for any o (the authors' program subtracts o tr H_k from N; for o = 1 both are the same).

M_k^T M_k is a sum over batches: what is kept of a batch is A_i^T A_i (m, m).

References
----------
.. [1] E. Newman, J. Chung, M. Chung, L. Ruthotto, "slimTrain - A Stochastic Approximation Method
       for Training Separable Deep Neural Networks", SIAM J. Sci. Comput. 44, 2022,
       arXiv 2109.14002.
.. [2] J. T. Slagel, J. Chung, M. Chung, D. Kozak, L. Tenorio, "Sampled Tikhonov Regularization for
       Large Linear Inverse Problems", Inverse Problems 35, 2019, arXiv 1812.06165.
"""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array

# The range that changes of Lambda are looked for in, as the authors' program has it.
LEAST, MOST = 1e-7, 1e3
# Changes of either sign that are tried: neighbours differ by half.
N_TRIED = 100
# Lambda is at most halved at a step (the authors' program, for numerical stability).
SHRINK = 0.5


class BatchProblem(eqx.Module):
    """A batch's problem in the eigenvectors V of M_k^T M_k.

    Attributes
    ----------
    sigma, V : (m,), (m, m)
        M_k^T M_k = V diag(sigma) V^T.
    AV : (N, m)
        A_k V.
    residual : (N, o)
        A_k W_{k-1} - B_k.
    gradient, VW : (m, o)
        V^T A_k^T (A_k W_{k-1} - B_k), and V^T W_{k-1}.
    Lambda : ()
        Lambda_{k-1}.
    n_rows : ()
        N, the rows with weights above zero.
    """

    sigma: Float[Array, " m"]
    V: Float[Array, "m m"]
    AV: Float[Array, "N m"]
    residual: Float[Array, "N o"]
    gradient: Float[Array, "m o"]
    VW: Float[Array, "m o"]
    Lambda: Float[Array, ""]
    n_rows: Float[Array, ""]

    def step(self, change: Float[Array, ""]) -> Float[Array, "m o"]:
        """Return V^T S_k(lambda)."""
        divisor = self.sigma + self.Lambda + change
        return (self.gradient + change * self.VW) / divisor[:, None]

    def gcv(self, change: Float[Array, ""]) -> Float[Array, ""]:
        """Return G_k(lambda)."""
        residual = self.residual - self.AV @ self.step(change)
        trace = jnp.sum(self.AV**2 / (self.sigma + self.Lambda + change))
        return jnp.sum(residual**2) / (1.0 - trace / self.n_rows) ** 2


class AbstractRegularisation(eqx.Module):
    """Chooses lambda for a batch."""

    @abstractmethod
    def change(self, batch: BatchProblem) -> Float[Array, ""]:
        """Return lambda, with Lambda_{k-1} + lambda above zero."""


class FixedChange(AbstractRegularisation):
    """The same lambda at every step: Lambda grows by it.

    Parameters
    ----------
    value : float
        lambda >= 0.
    """

    value: float | Float[Array, ""]

    def change(self, batch: BatchProblem) -> Float[Array, ""]:
        """Return it."""
        return jnp.full_like(batch.Lambda, self.value)


class SampledGCV(AbstractRegularisation):
    """The lambda of a list with the least G_k.

    The list is geometric in |lambda| from rounding to `most` above zero, and below zero to what
    leaves Lambda half of what it was, or `least`.

    Parameters
    ----------
    least : float
        Of Lambda; where it is below twice that, no negative lambda is tried.
    most : float
        Largest lambda.
    n_tried : int
        Candidates of either sign.
    """

    least: float = LEAST
    most: float = MOST
    n_tried: int = N_TRIED

    def candidates(self, Lambda: Float[Array, ""]) -> Float[Array, " c"]:
        """Return the list; where no negative lambda may be tried, those are near zero."""
        rounding = jnp.finfo(Lambda.dtype).eps
        share = jnp.linspace(0.0, 1.0, self.n_tried, dtype=Lambda.dtype)
        deepest = jnp.maximum(SHRINK * Lambda - self.least, rounding)
        down = rounding * (deepest / rounding) ** share
        up = rounding * (self.most / rounding) ** share
        return jnp.concatenate([-down, up])

    def change(self, batch: BatchProblem) -> Float[Array, ""]:
        """Return the candidate with the least G_k, which are looked at together."""
        tried = self.candidates(batch.Lambda)
        found = jax.vmap(batch.gcv)(tried)
        # 0 / 0 where a batch is interpolated.
        return tried[jnp.argmin(jnp.where(jnp.isfinite(found), found, jnp.inf))]


class SampledTikhonov(eqx.Module):
    """Where the updates have come to.

    Attributes
    ----------
    W : (m, o)
        The last layer.
    memory : (r, m, m)
        A_i^T A_i of the last r batches, the latest first; zeros before there were so many.
    Lambda : ()
        The sum of Lambda_0 and all lambdas.
    """

    W: Float[Array, "m o"]
    memory: Float[Array, "r m m"]
    Lambda: Float[Array, ""]

    @staticmethod
    def begin(W: Float[Array, "m o"], depth: int, first: float) -> "SampledTikhonov":
        """Return the state before the first batch: `depth` is r, `first` Lambda_0."""
        m = len(W)
        return SampledTikhonov(W, np.zeros((depth, m, m)), np.asarray(first))

    def batch(
        self, F: Float[Array, "N m"], Y: Float[Array, "N o"], omega: Float[Array, " N"]
    ) -> BatchProblem:
        """Return the problem of a batch: features, targets, and weights (zero for padding)."""
        scale = jnp.sqrt(omega)[:, None]
        A, B = scale * F, scale * Y
        sigma, V = jnp.linalg.eigh(jnp.sum(self.memory, axis=0) + A.T @ A)
        residual, AV = A @ self.W - B, A @ V
        n_rows = jnp.sum(omega > 0).astype(A.dtype)
        return BatchProblem(
            sigma=jnp.maximum(sigma, 0.0),
            V=V,
            AV=AV,
            residual=residual,
            gradient=AV.T @ residual,
            VW=V.T @ self.W,
            Lambda=jnp.asarray(self.Lambda),
            n_rows=n_rows,
        )

    def update(
        self,
        F: Float[Array, "N m"],
        Y: Float[Array, "N o"],
        omega: Float[Array, " N"],
        regularisation: AbstractRegularisation,
    ) -> tuple["SampledTikhonov", Float[Array, ""]]:
        """Return the state after a batch, and the lambda that was chosen."""
        batch = self.batch(F, Y, omega)
        change = regularisation.change(batch)
        W = self.W - batch.V @ batch.step(change)
        A = jnp.sqrt(omega)[:, None] * F
        depth = len(self.memory)
        memory = jnp.concatenate([(A.T @ A)[None], self.memory])[:depth]
        return SampledTikhonov(W, memory, batch.Lambda + change), change
