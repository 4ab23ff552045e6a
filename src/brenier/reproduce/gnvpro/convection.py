r"""A small two-dimensional convection-diffusion-reaction equation, and observations of it.

    -d Laplace(u) + v . grad u + r u = f  in the unit square,  u = 0 on its boundary.

The twelve parameters y in [-1, 1]^12 are the logarithm of the diffusion d, speed and direction of
the velocity v, and nine coefficients of the reaction, bilinear between the points of a 3 x 3 grid:

    d = 0.1 2^y_1,   |v| = 2 + y_2,   angle of v = pi/4 (1 + y_3),   r = 10 (1 + y_4..12).

f has three narrow sources near the corner that the velocity comes from. Observed is u at a 6 x 6
grid of points: y -> u at these points is what a surrogate has to learn. That is the
convection-diffusion-reaction problem of [1]_ scaled down: there 55 reaction coefficients and 72
observations in time.

Central differences of second order on a grid of h = 1/32: with d and v as above |v| h / (2 d) < 1,
so that solutions do not oscillate.

References
----------
.. [1] E. Newman, L. Ruthotto, J. Hart, B. van Bloemen Waanders, "Train Like a (Var)Pro: Efficient
       Training of Neural Networks with Variable Projection", SIAM J. Math. Data Sci. 3, 2021,
       section 4.
"""

from functools import cache

import numpy as np
from jaxtyping import Float
from scipy import sparse
from scipy.interpolate import RegularGridInterpolator
from scipy.sparse.linalg import spsolve

Field = Float[np.ndarray, "k k"]

N_PARAMETERS, N_CELLS = 12, 32
# Places, width and strength of the sources.
SOURCES = ((0.2, 0.2), (0.5, 0.15), (0.15, 0.55))
WIDTH, STRENGTH = 0.05, 100.0
# Points at which u is seen, of a side, and where.
N_SEEN, FIRST_SEEN, LAST_SEEN = 6, 1 / 8, 7 / 8
N_REACTIONS = 3


def observations(N: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return parameters, (N, 12), uniform in the cube, and what is seen of u, (N, 36)."""
    Y = rng.uniform(-1.0, 1.0, size=(N, N_PARAMETERS))
    return Y, np.array([observed(y) for y in Y])


def observed(y: Float[np.ndarray, "12"]) -> Float[np.ndarray, "36"]:
    """Return u at the points where it is seen, for parameters y."""
    diffusion, speed, angle = 0.1 * 2 ** y[0], 2 + y[1], np.pi / 4 * (1 + y[2])
    velocity = speed * np.array([np.cos(angle), np.sin(angle)])
    line = nodes(N_CELLS)
    corners = np.linspace(0, 1, N_REACTIONS)
    coefficients = 10 * (1 + y[3:]).reshape(N_REACTIONS, N_REACTIONS)
    between = RegularGridInterpolator((corners, corners), coefficients)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1)
    u = solve(diffusion, velocity, between(grid), _sources())
    whole, seen = np.linspace(0, 1, N_CELLS + 1), np.linspace(FIRST_SEEN, LAST_SEEN, N_SEEN)
    points = np.stack(np.meshgrid(seen, seen, indexing="ij"), axis=-1)
    # u is zero on the boundary, where it is no unknown.
    return RegularGridInterpolator((whole, whole), np.pad(u, 1))(points).ravel()


def nodes(n_cells: int) -> Float[np.ndarray, " k"]:
    """Return the coordinates of the inner points of a grid."""
    return np.linspace(0, 1, n_cells + 1)[1:-1]


def solve(
    diffusion: float, velocity: Float[np.ndarray, "2"], reaction: Field, source: Field
) -> Field:
    """Return u at the inner points of a grid, of reaction and source at these.

    The first axis is that of the first coordinate.
    """
    k = len(source)
    laplace, gradient_x, gradient_y = _differences(k)
    operator = (
        -diffusion * laplace
        + velocity[0] * gradient_x
        + velocity[1] * gradient_y
        + sparse.diags_array(reaction.ravel())
    )
    return np.asarray(spsolve(sparse.csc_array(operator), source.ravel())).reshape(k, k)


@cache
def _differences(k: int) -> tuple[sparse.csr_array, sparse.csr_array, sparse.csr_array]:
    """Return Laplace and both first derivatives on k x k inner points, zero on the boundary."""
    h, one = 1 / (k + 1), np.eye(k)
    above = np.eye(k, k=1)
    first = (above - above.T) / (2 * h)
    second = (above + above.T - 2 * one) / h**2
    laplace = sparse.kron(second, one) + sparse.kron(one, second)
    along_x, along_y = sparse.kron(first, one), sparse.kron(one, first)
    return sparse.csr_array(laplace), sparse.csr_array(along_x), sparse.csr_array(along_y)


@cache
def _sources() -> Field:
    line = nodes(N_CELLS)
    x, y = np.meshgrid(line, line, indexing="ij")
    distances = [(x - a) ** 2 + (y - b) ** 2 for a, b in SOURCES]
    return STRENGTH * np.sum([np.exp(-d / (2 * WIDTH**2)) for d in distances], axis=0)
