r"""Connected pieces of a mixture of Gaussians: between two of them the density dips.

Centres are the vertices of a graph, an edge is as high as the density is at its lowest on the
straight line between two neighbours. From the highest edge down, two pieces become one where the
edge is at least `DIP` of the lower of their peaks: peaks less prominent are none (persistence,
[1]_), nor is a faint piece, which few rows of a tail may make. Pieces of any shape come together
so, and a faint component between two pieces joins one of them without joining them.

References
----------
.. [1] F. Chazal, L. J. Guibas, S. Y. Oudot, P. Skraba, "Persistence-Based Clustering in Riemannian
       Manifolds", Journal of the ACM 60, 2013.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import cdist

from brenier.flow.gaussians import Gaussians

# How deep the density must dip between two pieces, of the lower peak.
DIP = 0.35
# Share of all weight below which a piece is none: it joins the one that it is nearest to.
FAINT = 0.01
# Neighbours of every centre, and places between two of them that are looked at.
NEIGHBOURS, PLACES = 48, 5


def connected_pieces(
    gaussians: Gaussians, weights: Float[np.ndarray, " G"]
) -> Int[np.ndarray, " G"]:
    """Return which piece every Gaussian belongs to, the heaviest piece being 0."""
    if len(gaussians) == 0:
        return np.zeros(0, int)
    peaks = gaussians.log_density_of_sum(gaussians.means, weights)
    edges = _edges(gaussians.means)
    heights = _lowest_between(gaussians, weights, edges)
    piece, total = np.arange(len(gaussians)), np.sum(weights)
    for k in np.argsort(-heights, kind="stable"):
        a, b = piece[edges[k]]
        is_faint = min(weights[piece == a].sum(), weights[piece == b].sum()) < FAINT * total
        if a != b and (is_faint or heights[k] >= np.log(DIP) + min(peaks[a], peaks[b])):
            # A piece is called after its highest centre.
            high, low = (a, b) if peaks[a] >= peaks[b] else (b, a)
            piece[piece == low] = high
    found = np.unique(piece)
    heaviest = np.argsort([-weights[piece == p].sum() for p in found], kind="stable")
    place = np.empty(len(found), int)
    place[heaviest] = np.arange(len(found))
    return place[np.searchsorted(found, piece)]


def _edges(means: Float[np.ndarray, "G n"]) -> Int[np.ndarray, "E 2"]:
    """Return pairs of neighbours, every pair once."""
    nearest = np.argsort(cdist(means, means), axis=1, kind="stable")[:, 1 : NEIGHBOURS + 1]
    pairs = np.stack([np.repeat(np.arange(len(means)), nearest.shape[1]), nearest.ravel()], axis=1)
    return np.unique(np.sort(pairs, axis=1), axis=0)


def _lowest_between(
    gaussians: Gaussians, weights: Float[np.ndarray, " G"], edges: Int[np.ndarray, "E 2"]
) -> Float[np.ndarray, " E"]:
    """Return the least log-density between the centres of every edge."""
    if len(edges) == 0:
        return np.zeros(0)
    shares = np.linspace(0.0, 1.0, PLACES + 2)[:, None, None]
    first, second = (gaussians.means[ends] for ends in edges.T)
    between = (1.0 - shares) * first + shares * second
    rows = between.reshape(-1, between.shape[-1])
    return gaussians.log_density_of_sum(rows, weights).reshape(len(shares), -1).min(axis=0)
