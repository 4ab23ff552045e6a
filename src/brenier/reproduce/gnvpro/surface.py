r"""Points in the plane with something to learn: the surface *peaks*, its levels, moons, spirals.

The surface on [-3, 3]^2, MATLAB's example of one,

    f(x, y) = 3 (1 - x)^2 e^(-x^2 - (y + 1)^2) - 10 (x/5 - x^3 - y^5) e^(-x^2 - y^2)
              - 1/3 e^(-(x + 1)^2 - y^2).

Its five classes are equally wide ranges of f, from its minimum to its maximum, with as many points
of each ([1]_): that of the plain between the peaks is most of the square, the outer two are small.

References
----------
.. [1] E. Haber, L. Ruthotto, "Stable Architectures for Deep Neural Networks", Inverse Problems 34,
       2018, section 6.
"""

import numpy as np
from jaxtyping import Float, Int

Points = Float[np.ndarray, "N 2"]

HALF = 3.0
N_CLASSES = 5
# Points that are drawn at a time until every class has enough: the rarest has few of them.
DRAWN = 1 << 14
# Points of a side of the grid on which the range of the surface is looked for.
N_GRID = 601
TURNS, SPIRAL_NOISE, MOON_NOISE = 1.25, 0.02, 0.15


def peaks(X: Points) -> Float[np.ndarray, " N"]:
    """Return the height of the surface at points of the plane."""
    x, y = X.T
    return (
        3 * (1 - x) ** 2 * np.exp(-(x**2) - (y + 1) ** 2)
        - 10 * (x / 5 - x**3 - y**5) * np.exp(-(x**2) - y**2)
        - np.exp(-((x + 1) ** 2) - y**2) / 3
    )


def peaks_regression(N: int, rng: np.random.Generator) -> tuple[Points, Float[np.ndarray, "N 1"]]:
    """Return points uniform in the square, and the surface's height."""
    X = _uniform(N, rng)
    return X, peaks(X)[:, None]


def level(heights: Float[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Return which of the five ranges heights are in."""
    line = np.linspace(-HALF, HALF, N_GRID)
    grid = peaks(np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2))
    inner = np.linspace(grid.min(), grid.max(), N_CLASSES + 1)[1:-1]
    return np.searchsorted(inner, heights)


def peaks_classes(N: int, rng: np.random.Generator) -> tuple[Points, Float[np.ndarray, "N k"]]:
    """Return points, uniform within each class, and which class they are of, as 0 and 1."""
    wanted = _shares(N, N_CLASSES)
    found: list[list[np.ndarray]] = [[] for _ in wanted]
    while any(sum(map(len, own)) < n for own, n in zip(found, wanted, strict=True)):
        X = _uniform(DRAWN, rng)
        labels = level(peaks(X))
        for k, own in enumerate(found):
            own.append(X[labels == k])
    points = [np.concatenate(own)[:n] for own, n in zip(found, wanted, strict=True)]
    return _shuffled(points, rng)


def moons(N: int, rng: np.random.Generator) -> tuple[Points, Float[np.ndarray, "N 2"]]:
    """Return points near two interleaved half circles, and which they are near."""
    upper, lower = (np.pi * rng.random(n) for n in _shares(N, 2))
    arcs = [
        np.column_stack([np.cos(upper), np.sin(upper)]),
        np.column_stack([1 - np.cos(lower), 0.5 - np.sin(lower)]),
    ]
    return _shuffled([arc + MOON_NOISE * rng.normal(size=arc.shape) for arc in arcs], rng)


def spirals(N: int, rng: np.random.Generator) -> tuple[Points, Float[np.ndarray, "N 2"]]:
    """Return points near the two arms of a spiral about the origin, and which they are near."""
    arms = []
    for n, first in zip(_shares(N, 2), (0.0, np.pi), strict=True):
        # The root makes points as dense outside as inside.
        radius = np.sqrt(rng.uniform(0.02, 1.0, size=n))
        angle = first + 2 * np.pi * TURNS * radius
        arm = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        arms.append(arm + SPIRAL_NOISE * rng.normal(size=arm.shape))
    return _shuffled(arms, rng)


def one_hot(labels: Int[np.ndarray, " N"], k: int) -> Float[np.ndarray, "N k"]:
    """Return labels 0 to k - 1 as rows of 0 and 1."""
    return np.eye(k)[labels]


def _uniform(N: int, rng: np.random.Generator) -> Points:
    return rng.uniform(-HALF, HALF, size=(N, 2))


def _shares(N: int, k: int) -> list[int]:
    """Return k numbers that differ by one at most and have the sum N."""
    return [len(part) for part in np.array_split(np.arange(N), k)]


def _shuffled(
    points: list[Float[np.ndarray, "_ 2"]], rng: np.random.Generator
) -> tuple[Points, Float[np.ndarray, "N k"]]:
    """Return the points of all classes in random order, and their classes."""
    labels = np.repeat(np.arange(len(points)), [len(own) for own in points])
    order = rng.permutation(len(labels))
    return np.concatenate(points)[order], one_hot(labels[order], len(points))
