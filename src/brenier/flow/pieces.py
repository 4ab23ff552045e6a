r"""Connected pieces of a mixture of Gaussians: between two of them the density dips.

Centres are the vertices of a graph, an edge is as high as the density is at its lowest on the
straight line between two neighbours. From the highest edge down, two pieces become one unless the
dip from the lower of their peaks is deep: peaks less prominent are none (persistence, [1]_), nor is
a faint piece, which few rows of a tail may make. Pieces of any shape come together so, and a faint
component between two pieces joins one of them without joining them.

A dip is deep below `DIP` of the peak, and beyond chance. A logarithm of a density that was learnt
from m rows errs by about 1 / sqrt(m): a component's are its share of the rows in the mixture that
it is from, and at a place components count by their responsibilities. So a density of a few broad
components needs no more than the former, one of many small ones deeper dips.

References
----------
.. [1] F. Chazal, L. J. Guibas, S. Y. Oudot, P. Skraba, "Persistence-Based Clustering in Riemannian
       Manifolds", Journal of the ACM 60, 2013.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist

from brenier.arrays import log_sums
from brenier.flow.gaussians import Gaussians, blocks

# How deep the density must dip between two pieces, of the lower peak, ...
DIP = 0.5
# ... and by how many standard errors of the dip's logarithm.
ERRORS = 6.0
# Share of all weight below which a piece is none: it joins the one that it is nearest to.
FAINT = 0.01
# Neighbours of every centre, and places between two of them that are looked at.
NEIGHBOURS, PLACES = 48, 5


class Places(NamedTuple):
    """Places, and what is known of the density there.

    Attributes
    ----------
    log_density : (M,)
        There.
    n_rows : (M,)
        Rows that it was learnt from.
    """

    log_density: Float[np.ndarray, " M"]
    n_rows: Float[np.ndarray, " M"]


def connected_pieces(
    gaussians: Gaussians, weights: Float[np.ndarray, " G"], n_rows: Float[np.ndarray, " G"]
) -> Int[np.ndarray, " G"]:
    """Return which piece every Gaussian belongs to, the heaviest piece being 0.

    Parameters
    ----------
    gaussians : Gaussians
        All of them.
    weights : (G,)
        Positive.
    n_rows : (G,)
        How many rows each was fitted to.
    """
    if len(gaussians) == 0:
        return np.zeros(0, int)
    density = partial(_places, gaussians, weights, n_rows)
    peaks, edges = density(gaussians.means), _edges(gaussians.means)
    lowest = _lowest_between(gaussians.means, edges, density)
    piece, total = np.arange(len(gaussians)), np.sum(weights)
    for k in np.argsort(-lowest.log_density, kind="stable"):
        # A piece is called after its highest centre.
        low, high = sorted(piece[edges[k]], key=lambda p: (peaks.log_density[p], -p))
        is_faint = min(weights[piece == low].sum(), weights[piece == high].sum()) < FAINT * total
        depth = peaks.log_density[low] - lowest.log_density[k]
        error = np.sqrt(1.0 / peaks.n_rows[low] + 1.0 / lowest.n_rows[k])
        if low != high and (is_faint or depth <= max(-np.log(DIP), ERRORS * error)):
            piece[piece == low] = high
    found = np.unique(piece)
    heaviest = np.argsort([-weights[piece == p].sum() for p in found], kind="stable")
    place = np.empty(len(found), int)
    place[heaviest] = np.arange(len(found))
    return place[np.searchsorted(found, piece)]


def _edges(means: Float[np.ndarray, "G n"]) -> Int[np.ndarray, "E 2"]:
    """Return pairs of neighbours, every pair once; all are connected by some."""
    distances = cdist(means, means)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, 1 : NEIGHBOURS + 1]
    pairs = np.stack([np.repeat(np.arange(len(means)), nearest.shape[1]), nearest.ravel()], axis=1)
    # What no neighbours connect, a tree does; to SciPy a distance of zero is no edge.
    tree = minimum_spanning_tree(distances + np.finfo(float).tiny).nonzero()
    pairs = np.concatenate([pairs, np.stack(tree, axis=1)])
    return np.unique(np.sort(pairs, axis=1), axis=0)


def _places(
    gaussians: Gaussians,
    weights: Float[np.ndarray, " G"],
    n_rows: Float[np.ndarray, " G"],
    Y: Float[np.ndarray, "M n"],
) -> Places:
    """Return what is known of the density at places Y."""
    log_density, known = np.empty(len(Y)), np.empty(len(Y))
    for part in blocks(len(Y), len(gaussians)):
        terms = gaussians.log_density(Y[part]) + np.log(weights)
        log_density[part], shares = log_sums(terms)
        known[part] = shares @ n_rows
    return Places(log_density, known)


def _lowest_between(
    means: Float[np.ndarray, "G n"],
    edges: Int[np.ndarray, "E 2"],
    density: Callable[[Float[np.ndarray, "M n"]], Places],
) -> Places:
    """Return the lowest place between the centres of every edge."""
    if len(edges) == 0:
        return Places(np.zeros(0), np.zeros(0))
    shares = np.linspace(0.0, 1.0, PLACES + 2)[:, None, None]
    first, second = (means[ends] for ends in edges.T)
    between = (1.0 - shares) * first + shares * second
    found = density(between.reshape(-1, means.shape[1]))
    log_density, n_rows = (part.reshape(len(shares), -1) for part in found)
    lowest = np.argmin(log_density, axis=0), np.arange(len(edges))
    return Places(log_density[lowest], n_rows[lowest])
