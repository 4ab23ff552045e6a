r"""Flows of pieces: a mixture of one flow for each connected piece of a density, to be pooled.

    p(x) = sum_k pi_k p_k(x),    pi_k = sum_j omega_j r_jk / sum_j omega_j.

A single flow has to bridge what lies apart, and of Gaussians it takes many to bend. Where the
density so far has several pieces, rows count for each of them by their responsibilities r_jk in it,
and a flow is fitted to rows of these weights: on the same folds, with coordinates of the piece's
own, and of each fold one run of one decay, whose potentials are averaged. It is the first step of
expectation maximisation: where pieces are apart, further ones change nothing. Runs have a fixed
length and know nothing of the held-out rows, of which a piece has few, so that these judge rightly
how much of the mixture there should be. Pieces of too few rows, or with a column that is constant
there, are left to the Gaussians.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from brenier.data.bounds import Bounds
from brenier.data.checks import check_columns
from brenier.data.rows import Split, WeightedRows
from brenier.flow.evaluation import in_batches, log_density
from brenier.flow.flow import ConvexFlow
from brenier.flow.mixture import FlowMixture
from brenier.flow.preprocessing import AbstractPreprocessing, ColumnBounds
from brenier.status import FitStatus
from brenier.training.candidate import Trained
from brenier.training.covariance import AbstractCovariance
from brenier.training.ensemble import average, train_potentials
from brenier.training.families import AbstractFamily
from brenier.training.fit import Potentials
from brenier.training.folds import Fold, preprocessed
from brenier.training.report import Certificate
from brenier.training.session import Session
from brenier.training.settings import Settings

# Responsibility up to which a row is none of a piece's.
LEAST_SHARE = 1e-3


@dataclass(frozen=True)
class PieceFlow:
    """The flow of one piece.

    Attributes
    ----------
    piece : int
        Which.
    flow : ConvexFlow
        Its density: the average of what the folds have learnt.
    of_folds : tuple of F ConvexFlow
        What each of them has learnt.
    shares : (F,)
        Its share of the rows seen in every fold.
    certificate : Certificate or None
        Of the fold that has learnt most; None of a Gaussian.
    """

    piece: int
    flow: ConvexFlow
    of_folds: tuple[ConvexFlow, ...]
    shares: Float[np.ndarray, " F"]
    certificate: Certificate | None

    @staticmethod
    def of(
        piece: int,
        trained: Sequence[Trained],
        preprocessing: AbstractPreprocessing,
        seen: Sequence[WeightedRows],
    ) -> "PieceFlow":
        """Return that of what was trained on the piece's rows of those seen in every fold."""
        leader = max(trained, key=lambda one: one.train_log_likelihood)
        of_folds = tuple(ConvexFlow(preprocessing, one.map) for one in trained)
        flow = ConvexFlow(preprocessing, average([one.map for one in trained]))
        own = [np.sum(one.fold.data.train.weights) for one in trained]
        whole = [np.sum(rows.weights) for rows in seen]
        return PieceFlow(piece, flow, of_folds, np.divide(own, whole), leader.certificate)


@dataclass(frozen=True)
class FlowsOfPieces:
    """The mixture of the flows of pieces.

    Attributes
    ----------
    parts : tuple of PieceFlow
        One of each piece that has rows enough.
    """

    parts: tuple[PieceFlow, ...]

    @property
    def weights(self) -> Float[np.ndarray, " K"]:
        """The flows' weights, summing to one."""
        shares = np.array([np.mean(part.shares) for part in self.parts])
        return shares / np.sum(shares)

    def log_density(self, X: Float[np.ndarray, "N n"], fold: int) -> Float[np.ndarray, " N"]:
        """Return log p of rows, data units, under what one of the folds has learnt (nats)."""
        shares = np.array([part.shares[fold] for part in self.parts])
        flows = (part.of_folds[fold] for part in self.parts)
        terms = np.stack([in_batches(log_density, flow, X) for flow in flows], axis=1)
        return np.asarray(logsumexp(terms + np.log(shares / np.sum(shares)), axis=1))


def fit_flows_of_pieces(
    mixture: FlowMixture,
    potentials: Potentials,
    family: AbstractFamily,
    bounds: Bounds,
    session: Session,
) -> FlowsOfPieces | None:
    """Return a flow for each of several pieces; None where there is but one, or no time.

    Call it where float64 is enabled.

    Parameters
    ----------
    mixture : FlowMixture
        The density so far.
    potentials : Potentials
        Of the flow of all rows, whose folds with held-out rows are trained on.
    family : AbstractFamily
        What kind of density a flow is.
    bounds : Bounds
        Of the columns.
    session : Session
        The fit's.
    """
    settings, parts = _of_a_piece(potentials.settings), []
    if not 1 < mixture.n_pieces <= settings.most_pieces:
        return None
    rows = [one.fold.data.train[: settings.whole_rows] for one in potentials.deciding]
    shares = [mixture.piece_responsibilities(part.X) for part in rows]
    all_rows = potentials.table.rows[: settings.whole_rows]
    all_shares = mixture.piece_responsibilities(all_rows.X)
    for piece in range(mixture.n_pieces):
        folds = [_counted(*pair, piece) for pair in zip(rows, shares, strict=True)]
        if not all(_have_a_density(part, bounds, settings) for part in folds):
            continue
        if session.is_over:
            return None
        own = _counted(all_rows, all_shares, piece)
        preprocessing, covariance = family.preprocessing(own, bounds, settings)
        trained = _trained(folds, preprocessing, covariance, family, settings, session)
        if len(trained) < len(folds) or any(one.out_of_time for one in trained):
            if any(one.status is FitStatus.INTERRUPTED for one in trained):
                session.interrupted.set()
            return None
        parts.append(PieceFlow.of(piece, trained, preprocessing, rows))
    return FlowsOfPieces(tuple(parts)) if parts else None


def _of_a_piece(settings: Settings) -> Settings:
    """Return the settings of a piece's flow."""
    iterations = min(settings.piece_iterations, settings.max_iter)
    return replace(
        settings, decay=settings.piece_decay, max_iter=iterations, n_estimators=1, n_init=1
    )


def _counted(rows: WeightedRows, shares: Float[np.ndarray, "N P"], piece: int) -> WeightedRows:
    """Return the rows of a piece, weighted by their responsibilities."""
    own = shares[:, piece] > LEAST_SHARE
    return rows[own]._replace(weights=rows.weights[own] * shares[own, piece])


def _have_a_density(rows: WeightedRows, bounds: Bounds, settings: Settings) -> bool:
    """Return whether there are rows enough, and no column is constant or depends on others."""
    Y = ColumnBounds(*bounds).columns(rows.X)
    if not settings.are_enough(rows.effective_size, Y.shape[1]):
        return False
    try:
        check_columns(Y, [str(i) for i in range(Y.shape[1])])
    except ValueError:
        return False
    return True


def _trained(
    folds: Sequence[WeightedRows],
    preprocessing: AbstractPreprocessing,
    covariance: AbstractCovariance,
    family: AbstractFamily,
    settings: Settings,
    session: Session,
) -> list[Trained]:
    """Return what is learnt from a piece's rows in every fold, as far as there was time."""
    made = []
    for k, rows in enumerate(folds):
        split = Split(rows)
        parts = preprocessed(preprocessing, split)
        gaussian = family.gaussian(parts[0].train, settings, covariance)
        made.append(Fold.of(split, *parts, family, settings, session.seed + k, gaussian=gaussian))
    return train_potentials(made, family, settings, session)
