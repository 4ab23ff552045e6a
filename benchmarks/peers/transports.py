"""Maps between samples of other packages: POT's exact plan, ott's entropic map."""

from collections.abc import Iterator

import numpy as np

# Regularisation, in the mean squared distance of the two samples.
EPSILONS = (0.003, 0.01, 0.03, 0.1)
MOST_ITERATIONS = 5000


def barycentric(X: np.ndarray, Z: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Return fresh rows' images under POT's optimal plan; each moves as the nearest row does."""
    import ot

    return ot.da.EMDTransport().fit(Xs=X, Xt=Z).transform(Xs=fresh)


def entropic(X: np.ndarray, Z: np.ndarray, fresh: np.ndarray) -> Iterator[np.ndarray]:
    """Yield fresh rows' images under ott's entropic map, for several strengths."""
    import jax
    import jax.numpy as jnp
    from ott.geometry import pointcloud
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    with jax.enable_x64(True):
        rows, points, new = (jnp.asarray(part) for part in (X, Z, fresh))
        mean = float(jnp.mean(jnp.sum((rows[:, None] - points[None]) ** 2, axis=2)))
        for epsilon in EPSILONS:
            cloud = pointcloud.PointCloud(rows, points, epsilon=epsilon * mean)
            solver = sinkhorn.Sinkhorn(max_iterations=MOST_ITERATIONS)
            solved = solver(linear_problem.LinearProblem(cloud))
            yield np.asarray(solved.to_dual_potentials().transport(new))
