r"""Regression and classification as separable problems: the roots of the thesis's method.

    J(mu, W) = sum_j omega_j l(W^T f_mu(x_j), y_j) + 1/2 sum_i rho_i w_i^2 + decay / 2 |D mu|^2,

f_mu in R^m basis functions, W an (m, o) matrix of which w = vec W by rows is the vector, l a convex
loss of the outputs given the targets y_j in R^o. Eliminating W is variable projection as its
authors had it ([1]_, least squares), and as [2]_ carried it over to classes.

A row is (x, y): the inputs, then the targets.

References
----------
.. [1] G. H. Golub, V. Pereyra, "The Differentiation of Pseudo-Inverses and Nonlinear Least Squares
       Problems Whose Variables Separate", SIAM J. Numer. Anal. 10, 1973.
.. [2] E. Newman, L. Ruthotto, J. Hart, B. van Bloemen Waanders, "Train Like a (Var)Pro: Efficient
       Training of Neural Networks with Variable Projection", 2021, arXiv 2007.13171.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array
from brenier.inner.losses import AbstractLoss
from brenier.inner.objective import AbstractObjective
from brenier.inner.solution import AbstractInnerSolver, WarmStart
from brenier.networks.basis import AbstractBasis
from brenier.potential.features import AbstractTrained
from brenier.program import program
from brenier.varpro.problem import AbstractProblem
from brenier.varpro.sample import AbstractSample, PaddedSample

# Rows of a chunk, of which a network's units are held in memory while gradients go back.
CHUNK_ROWS = 1 << 14


class SupervisedProblem(AbstractProblem):
    """The separable problem of a loss of outputs.

    Parameters
    ----------
    template : AbstractBasis
        Basis functions whose trained arrays give the shapes of mu; its values do not matter.
    lower : (m o,)
        Lower bounds of w, minus infinity where free.
    ridge : (m o,)
        rho.
    solver : AbstractInnerSolver
        Solves for w.
    decay : () or (d,)
        Weight of half the squared slopes in mu: of all of them, or of each.
    loss_of_rows : AbstractLoss
        l.
    """

    template: AbstractBasis
    lower: Float[Array, " mo"]
    ridge: Float[Array, " mo"]
    solver: AbstractInnerSolver = eqx.field(static=True)
    decay: Float[Array, "*d"]
    loss_of_rows: AbstractLoss = eqx.field(static=True)

    @property
    def network(self) -> AbstractTrained:
        """The template's."""
        return self.template.network

    @property
    def n_outputs(self) -> int:
        """The targets of a row."""
        return self.lower.shape[0] // self.template.n_functions

    @property
    def row_bits(self) -> type[np.floating]:
        """64 bits: small problems are solved to the end."""
        return np.float64

    @property
    def in_tiles(self) -> bool:
        """A chunk at a time: a few products of matrices are all that there is."""
        return False

    @property
    def cold(self) -> WarmStart:
        """Weights to start from: zero, or one above the bound."""
        constrained = np.isfinite(self.lower)
        return WarmStart.cold(np.where(constrained, np.where(constrained, self.lower, 0) + 1, 0.0))

    def sample(
        self, X: Float[np.ndarray, "N d"], weights: Float[np.ndarray, " N"], *, least: int = 1
    ) -> AbstractSample:
        """Return rows (x, y), padded to `least` or more."""
        return PaddedSample.of(X, weights, CHUNK_ROWS, least=least)

    def objective(
        self, theta: Float[Array, " p"], sample: AbstractSample, *, exact: bool = False
    ) -> AbstractObjective:
        """Return J(mu, .), its Hessian exact; the basis functions of all rows are in memory."""
        rows = jnp.reshape(sample.X, (-1, sample.X.shape[-1]))
        X, Y = self._parts(rows)
        omega = jnp.ravel(sample.omega)
        return self.loss_of_rows.objective(self._values(theta, X), Y, omega, self.ridge)

    def chunk_loss(
        self, theta: Float[Array, " p"], w: Float[Array, " m"], chunk: PaddedSample
    ) -> Float[Array, ""]:
        """Return J without ridge and decay over some rows."""
        return self.loss_of_outputs(self.outputs(theta, w, chunk), chunk)

    def outputs(
        self, theta: Float[Array, " p"], w: Float[Array, " m"], chunk: PaddedSample
    ) -> Float[Array, "N o"]:
        """Return W^T f_mu at every row."""
        return self._outputs(theta, w, self._parts(chunk.X)[0])

    def basis_and_targets(
        self, theta: Float[Array, " p"], chunk: PaddedSample
    ) -> tuple[Float[Array, "N m"], Float[Array, "N o"]]:
        """Return f_mu and the targets of every row."""
        X, Y = self._parts(chunk.X)
        return self._values(theta, X), Y

    def loss_of_outputs(
        self, outputs: Float[Array, "N o"], chunk: PaddedSample
    ) -> Float[Array, ""]:
        """Return J without ridge and decay of outputs."""
        return chunk.omega @ self.loss_of_rows.per_row(outputs, self._parts(chunk.X)[1])

    @program
    def loss(
        self, theta: Float[Array, " p"], w: Float[Array, " m"], sample: AbstractSample
    ) -> Float[Array, ""]:
        """Return J without ridge and decay at (mu, w)."""
        return sample.total(lambda chunk: self.chunk_loss(theta, w, chunk), tiled=False)

    @program
    def predictions(
        self, theta: Float[Array, " p"], w: Float[Array, " m"], X: Float[Array, "N n"]
    ) -> Float[Array, "N o"]:
        """Return the outputs at rows of inputs."""
        return self._outputs(theta, w, X)

    def _parts(self, rows: Float[Array, "N d"]) -> tuple[Float[Array, "N n"], Float[Array, "N o"]]:
        n = self.template.n
        return rows[:, :n], rows[:, n:]

    def _values(self, theta: Array, X: Float[Array, "N n"]) -> Float[Array, "N m"]:
        return self.template.with_network(self.network_at(theta)).values(X)

    def _outputs(self, theta: Array, w: Array, X: Float[Array, "N n"]) -> Float[Array, "N o"]:
        return self._values(theta, X) @ w.reshape(-1, self.n_outputs)
