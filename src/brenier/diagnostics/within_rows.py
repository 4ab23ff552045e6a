"""Targets against draws at their own rows: if the model is right, each is one of them.

At a row the target and L draws of a right model are exchangeable, so that the target's rank among
them, by whatever number, is uniform on 0, ..., L: by the number itself (simulation-based
calibration, [1]_), by the density (expected coverage of highest-density regions), by the distance
from a point that was chosen without the target (TARP, [2]_). A random one of the L + 1 in the
target's place gives the null distribution of all statistics together.

References
----------
.. [1] S. Talts, M. Betancourt, D. Simpson, A. Vehtari, A. Gelman, "Validating Bayesian Inference
       Algorithms with Simulation-Based Calibration", 2018, arXiv 1804.06788: theorem 1.
.. [2] P. Lemos, A. Coogan, Y. Hezaveh, L. Perreault-Levasseur, "Sampling-Based Accuracy Testing of
       Posterior Estimators for General Inference", ICML 2023: section 3, algorithm 2.
.. [3] T. Gneiting, A. E. Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation", J.
       Am. Stat. Assoc. 102, 2007: equation 21.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from brenier.diagnostics.uniform import tail_scores


def ranks_within(
    values: Float[np.ndarray, "N K"], rng: np.random.Generator
) -> Int[np.ndarray, "N K"]:
    """Return how many of a row's numbers are less than each, ties broken at random."""
    order = np.lexsort((rng.random(values.shape), values), axis=1)
    ranks = np.empty(values.shape, dtype=int)
    np.put_along_axis(ranks, order, np.arange(values.shape[1])[None], axis=1)
    return ranks


def stand_ins(N: int, L: int, P: int, rng: np.random.Generator) -> Int[np.ndarray, "Q N"]:
    """Return who takes the target's place in every row: itself first, then P times any of L + 1."""
    return np.concatenate([np.zeros((1, N), int), rng.integers(L + 1, size=(P, N))])


def of_stand_ins(
    values: Int[np.ndarray, "N K"], members: Int[np.ndarray, "P N"]
) -> Int[np.ndarray, "P N"]:
    """Return the numbers of those who take the target's place."""
    return values[np.arange(len(values)), members]


def distances_to_others(
    members: Float[np.ndarray, "N K n"], rng: np.random.Generator
) -> Float[np.ndarray, "N K"]:
    """Return how far the target and draws of a row are from the target of another row, [2]_.

    Targets are divided by their standard deviations.

    Parameters
    ----------
    members : (N, K, n)
        The target, then draws.
    rng : Generator
        Where random numbers come from.
    """
    targets = members[:, 0]
    deviation = targets.std(axis=0)
    N = len(targets)
    # No row is its own reference: the next one in a random circle.
    circle = rng.permutation(N)
    reference = np.empty_like(targets)
    reference[circle] = targets[np.roll(circle, 1)]
    gap = (members - reference[:, None]) / np.where(deviation > 0, deviation, 1.0)
    return np.linalg.norm(gap, axis=2)


def ranked_scores(
    y: Float[np.ndarray, " N"], draws: Float[np.ndarray, "N L"]
) -> Float[np.ndarray, " N"]:
    """Return the continuous ranked probability score of every row, unbiased in L, [3]_.

    E|s - y| - E|s - s'| / 2, the second mean over different draws.
    """
    L = draws.shape[1]
    signs = 2 * np.arange(1, L + 1) - L - 1
    apart = np.sort(draws, axis=1) @ signs / (L * (L - 1))
    return np.mean(np.abs(draws - y[:, None]), axis=1) - apart


def climatology_score(y: Float[np.ndarray, " N"]) -> float:
    """Return the mean score of the targets of all other rows as a forecast: E|y - y'| / 2."""
    N = len(y)
    signs = 2 * np.arange(1, N + 1) - N - 1
    return float(np.sort(y) @ signs / (N * (N - 1)))


def tenths(
    context: Float[np.ndarray, "N q"], n_parts: int
) -> tuple[Float[np.ndarray, "q E"], Bool[np.ndarray, "q T N"]]:
    """Return the ends of equal parts of every column of the context, and which rows are in each."""
    edges = np.quantile(context, np.linspace(0, 1, n_parts + 1), axis=0).T
    part = np.stack(
        [
            np.searchsorted(ends[1:-1], x, side="right")
            for ends, x in zip(edges, context.T, strict=True)
        ]
    )
    return edges, part[:, None, :] == np.arange(n_parts)[:, None]


def within_levels(
    ranks: Int[np.ndarray, "*S"], L: int, levels: Float[np.ndarray, " k"]
) -> Bool[np.ndarray, "*S k"]:
    """Return whether ranks 0, ..., L are in central intervals of so many of L + 1."""
    off = np.abs(2 * ranks - L)
    return off[..., None] < np.round(levels * (L + 1))


def interval_scores(
    inside: Bool[np.ndarray, "P N k"],
    parts: Bool[np.ndarray, "q T N"],
    levels: Float[np.ndarray, " k"],
) -> Float[np.ndarray, "P q T k"]:
    """Return how far the counts within intervals are from binomial, part by part of the context.

    Parameters
    ----------
    inside : (P, N, k)
        Whether those in the targets' places are in intervals of k levels.
    parts : (q, T, N)
        Rows of every part.
    levels : (k,)
        Their probabilities.
    """
    P, N, k = inside.shape
    q, T, _ = parts.shape
    member = parts.reshape(q * T, N).astype(np.float32)
    counts = np.einsum("pnk,tn->ptk", inside.astype(np.float32), member, optimize=True)
    counts, sizes = np.round(counts).astype(int), parts.sum(axis=2).ravel()
    scores = np.zeros((P, q * T, k))
    for size in np.unique(sizes[sizes > 0]):
        table = tail_scores(
            np.broadcast_to(np.arange(size + 1), (k, size + 1)), int(size), levels[:, None]
        )
        here = sizes == size
        scores[:, here] = table[np.arange(k), counts[:, here]]
    return scores.reshape(P, q, T, k)
