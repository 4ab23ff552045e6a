r"""Columns that are linear functions of others, exactly or up to the rounding of their numbers.

QR with column pivoting of the centred, scaled columns, Y D = Q R: the columns behind the first r
are functions of these where R[r:, r:] is nothing but rounding. Of numbers held to 16 digits that is
nearly zero. Of numbers written with few it is what their steps h make of it: the rest of

    y_k = a + sum_j c_j y_j

then has at most the variance (h_k^2 + sum_j c_j^2 h_j^2) / 12, up to a factor. What is left of such
columns is a lattice of a few values and no density, as if the dependence were exact; uniform noise
of one step's width makes it one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from jaxtyping import Float

from brenier.data.names import SHOWN, quoted
from brenier.data.repeats import EPS_32, LEAST_ROWS, common_step, is_of_32_bits

# A column that the others determine to this share of its own standard deviation has no density of
# its own: what is left is rounding.
DEPENDENCE = 1e-7
# Coefficients of a dependence below this are rounding.
COEFFICIENT = 1e-6
# A rest above this share is never taken for rounding, nor one above so many times what it makes.
LARGEST_REST, ROOM = 0.1, 1.5
# Coefficients this many of their standard errors from zero are shown, and so many digits.
SIGNIFICANT, FEWEST_DIGITS, MOST_DIGITS = 5, 2, 6
# Terms of a relation that are shown, the largest.
TERMS = 8
# Rows whose digits are counted, and the digits that numbers of 64 bits have at least.
COUNTED, ALL_DIGITS = 1000, 15


@dataclass(frozen=True)
class _Factorised:
    """Columns y = mean + scale * (Q R), their order by pivoting.

    Attributes
    ----------
    triangle : (r, n)
        R, its columns of unit norm; r = n where there are as many rows.
    order : (n,)
        Which column each of R's is.
    mean, scale : (n,)
        Of the columns, in their own order.
    n_rows : int
        Number of rows.
    """

    triangle: Float[np.ndarray, "r n"]
    order: np.ndarray
    mean: Float[np.ndarray, " n"]
    scale: Float[np.ndarray, " n"]
    n_rows: int

    @staticmethod
    def of(Y: Float[np.ndarray, "N n"]) -> "_Factorised":
        mean = Y.mean(axis=0)
        centred = Y - mean
        largest = np.abs(centred).max(axis=0)
        centred = centred / largest
        norms = np.linalg.norm(centred, axis=0)
        # The unpivoted factorisation first: it makes a long table small at BLAS speed.
        triangle: Any = np.linalg.qr(centred / norms, mode="r")
        factors: Any = scipy.linalg.qr(triangle, mode="r", pivoting=True)
        return _Factorised(factors[-2], factors[-1], mean, largest * norms, len(Y))

    def n_above(self, share: float) -> int:
        """Return how many columns are no functions of those before them, but for this share."""
        return int(np.sum(np.abs(np.diag(self.triangle)) > share))

    def relations(self, rank: int) -> list["_Relation"]:
        """Return the columns behind the first `rank` as functions of these."""
        R = self.triangle
        leading = self.order[:rank]
        found = scipy.linalg.solve_triangular(R[:rank, :rank], R[:rank, rank:])
        return [
            _Relation(
                column,
                leading,
                shares * self.scale[column] / self.scale[leading],
                shares,
                float(np.linalg.norm(R[rank:, rank + i])),
            )
            for i, (column, shares) in enumerate(
                zip(self.order[rank:].tolist(), found.T, strict=True)
            )
        ]

    def text(self, relation: "_Relation", names: Sequence[str]) -> str:
        """Return the relation as an equation, `'c' = 1 -1 'a' -1 'b'`."""
        least = max(COEFFICIENT, SIGNIFICANT * relation.rest / np.sqrt(self.n_rows))
        digits = int(np.clip(-np.log10(least), FEWEST_DIGITS, MOST_DIGITS))
        used = np.abs(relation.shares) > least
        c, others = relation.coefficients[used], relation.others[used]
        constant = self.mean[relation.column] - c @ self.mean[others]
        sd = self.scale[relation.column] / np.sqrt(self.n_rows)
        sizes = sd + np.abs(c * self.mean[others]).sum()
        shown = f"{float(f'{constant:.{digits}g}'):g}"
        terms = [shown] if np.abs(constant) > least * sizes else []
        largest = np.sort(np.argsort(-np.abs(relation.shares[used]))[:TERMS])
        terms += [f"{c[i]:+.{digits}g} {names[int(others[i])]!r}" for i in largest.tolist()]
        terms += [f"and {len(c) - TERMS} more terms"] * (len(c) > TERMS)
        return f"{names[relation.column]!r} = {' '.join(terms)}"


@dataclass(frozen=True)
class _Relation:
    """A column as a linear function of others.

    Attributes
    ----------
    column : int
        Which.
    others : (r,)
        Of which.
    coefficients, shares : (r,)
        In data units, and of columns of one norm.
    rest : float
        Norm of what is left, relative to the column's.
    """

    column: int
    others: np.ndarray
    coefficients: Float[np.ndarray, " r"]
    shares: Float[np.ndarray, " r"]
    rest: float


def check_independent(Y: Float[np.ndarray, "N n"], names: Sequence[str]) -> None:
    """Raise `ValueError` with the relations of columns that are exact functions of others.

    Parameters
    ----------
    Y : (N, n)
        Distinct rows, N > n, of columns that vary.
    names : sequence of n str
        Column names.
    """
    found = _Factorised.of(Y)
    rank = found.n_above(DEPENDENCE)
    if rank < len(names):
        relations = found.relations(rank)
        raise ValueError(_message("exactly dependent column(s)", found, relations, names, ""))


def check_no_copies(Y: Float[np.ndarray, "N n"], names: Sequence[str]) -> None:
    """Raise `ValueError` with the relations of columns that are exact functions of one other.

    Of few rows, of which any columns are functions of enough others.

    Parameters
    ----------
    Y : (N, n)
        Distinct rows of columns that vary.
    names : sequence of n str
        Column names.
    """
    if len(Y) < LEAST_ROWS:
        return
    found = _Factorised.of(Y)
    unit = (Y - found.mean) / found.scale
    # Column after column: the one before that it is most like, or the opposite of.
    products = np.triu(unit.T @ unit, 1)
    nearest = np.argmax(np.abs(products), axis=0)
    relations = []
    for column, other in enumerate(nearest.tolist()):
        share = float(products[other, column])
        rest = float(np.linalg.norm(unit[:, column] - np.sign(share) * unit[:, other]))
        if column > 0 and rest < DEPENDENCE:
            shares = np.array([np.sign(share)])
            coefficients = shares * found.scale[column] / found.scale[other]
            relations.append(_Relation(column, np.array([other]), coefficients, shares, rest))
    if relations:
        raise ValueError(_message("copies of other column(s)", found, relations, names, ""))


def check_independent_beyond_rounding(Y: Float[np.ndarray, "N n"], names: Sequence[str]) -> None:
    """Raise `ValueError` with the relations of columns that are others' functions but for rounding.

    Parameters
    ----------
    Y : (N, n)
        Distinct rows as they were given: rounding is of data units.
    names : sequence of n str
        Column names.
    """
    if len(Y) < max(LEAST_ROWS, Y.shape[1] + 2):
        return
    found = _Factorised.of(Y)
    first, n = found.n_above(LARGEST_REST), Y.shape[1]
    if first == n:
        return
    rounding = np.array([rounding_step(column) for column in Y.T]) / np.sqrt(12)
    for rank in range(max(first, 1), n):
        relations = found.relations(rank)
        if all(_is_rounding(relation, found, rounding) for relation in relations):
            remedy = ", or add uniform noise of one step's width to all columns (dequantisation)"
            what = "column(s) that are dependent up to the rounding of their numbers"
            raise ValueError(_message(what, found, relations, names, remedy))


def _is_rounding(relation: _Relation, found: _Factorised, rounding: np.ndarray) -> bool:
    """Return whether what is left of a column is no more than what rounding makes."""
    degrees = found.n_rows - len(relation.others) - 1
    sd = relation.rest * found.scale[relation.column] / np.sqrt(degrees)
    made = np.hypot(
        rounding[relation.column],
        np.linalg.norm(relation.coefficients * rounding[relation.others]),
    )
    return bool(sd <= ROOM * made)


def _message(
    what: str,
    found: _Factorised,
    relations: Sequence[_Relation],
    names: Sequence[str],
    remedy: str,
) -> str:
    texts = "; ".join(found.text(relation, names) for relation in relations[:SHOWN])
    texts += f"; and {len(relations) - SHOWN} more" * (len(relations) > SHOWN)
    dropped = quoted([names[relation.column] for relation in relations])
    return (
        f"Expected columns that are not functions of each other; got {what}: {texts}. Such a table "
        f"has no density: drop {dropped}, or one column of each group{remedy}."
    )


def rounding_step(values: Float[np.ndarray, " N"]) -> float:
    """Return the step of the numbers of a column, root mean square; 0 where they have all digits.

    The width of the grid that they lie on, or what the digits they are written with leave open,
    decimal ones or those of 32 bits.
    """
    distinct = np.unique(values)
    spread = float(distinct[-1] - distinct[0])
    grid = common_step(distinct, np.finfo(float).eps * spread) or 0.0
    sizes = np.abs(values[:: max(1, len(values) // COUNTED)])
    sizes = sizes[sizes > 0]
    digits = max((_digits(value) for value in sizes.tolist()), default=ALL_DIGITS)
    steps = 10.0 ** (np.floor(np.log10(sizes)) + 1 - digits) * (digits < ALL_DIGITS)
    of_bits = 2 * EPS_32 * sizes * is_of_32_bits(sizes)
    return max(grid, _rms(steps), _rms(of_bits))


def _digits(value: float) -> int:
    """Return how many digits a number is written with."""
    return len(f"{value:.{ALL_DIGITS - 1}e}".split("e")[0].replace(".", "").rstrip("0"))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else 0.0
