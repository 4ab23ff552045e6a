"""The recipe: from rows not seen, their images and draws of the model to a diagnosis."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from brenier.data.names import quoted
from brenier.diagnostics.classifier import classifier_family
from brenier.diagnostics.diagnosis import Diagnosis, GlobalTest, NatsMissing, Rows, Score, Shown
from brenier.diagnostics.exchange_panels import Pooled, exchange_family
from brenier.diagnostics.global_test import global_test
from brenier.diagnostics.nats import nats_missing
from brenier.diagnostics.normality_panels import Family, normality_family
from brenier.diagnostics.panels import AbstractPanel
from brenier.diagnostics.references import reference_scores
from brenier.diagnostics.single_rows import Training, rows_of_joint

# Fewer rows tell nothing; rows that are set against draws, and draws, at most.
LEAST_ROWS, MOST_ROWS, N_DRAWS = 20, 1000, 1000
# Rows and draws for a picture at most.
MOST_SHOWN = 2000
# Standard errors beyond which nats are missing.
BEYOND_CHANCE = 2.0


class Images(NamedTuple):
    """Rows of a table and what a joint model says of each.

    Attributes
    ----------
    X : (N, n)
        In data units.
    z : (N, n)
        Images, standard normal if the model is right; not finite where the density is zero.
    log_density : (N,)
        In nats.
    """

    X: Float[np.ndarray, "N n"]
    z: Float[np.ndarray, "N n"]
    log_density: Float[np.ndarray, " N"]


class Draws(NamedTuple):
    """Draws of a joint model, and its log-density of each.

    Attributes
    ----------
    X : (M, n)
        In data units.
    log_density : (M,)
        In nats.
    """

    X: Float[np.ndarray, "M n"]
    log_density: Float[np.ndarray, " M"]


def diagnose(
    rows: Images,
    draws: Draws,
    names: Sequence[str],
    *,
    weights: Float[np.ndarray, " N"] | None = None,
    train: Float[np.ndarray, "T n"] | None = None,
    training: Training | None = None,
    classifier: bool = False,
    dithered: Callable[[np.ndarray], np.ndarray] = lambda rows: rows,
    seed: int = 0,
) -> Diagnosis:
    """Return whether a joint density is good, from rows that it has not seen.

    Parameters
    ----------
    rows : Images
        Rows and what the model says of them.
    draws : Draws
        As many draws as `N_DRAWS`, or others.
    names : n str
        Columns.
    weights : (N,), optional
        Weights of the rows.
    train : (T, n), optional
        Rows that reference densities are fitted to. None: one half of the rows, and all are judged
        on the other half.
    training : Training, optional
        The range of the training rows; None takes that of `train`.
    classifier : bool
        Whether a classifier is to tell rows from draws too.
    dithered : callable
        Rows as reference densities see them: those of whole numbers anywhere in their cells, whose
        probabilities compare with densities since their volume is one.
    seed : int
        Of all that is random here.
    """
    rng = np.random.default_rng(seed)
    draws, failed = _found(draws)
    used = usable(weights, rows.log_density, rows.z, rng)
    X, z, log_density = rows.X[used], rows.z[used], rows.log_density[used]
    some = rng.permutation(len(used))[:MOST_ROWS]
    pooled = Pooled(
        np.concatenate([X[some], draws.X]),
        np.concatenate([log_density[some], draws.log_density]),
        len(some),
        names,
    )
    labels = [f"z{k}" for k in range(z.shape[1])]
    families = [
        normality_family(z, labels, np.zeros((len(z), 0)), (), rng),
        exchange_family(pooled, rng),
        *([classifier_family(pooled.X, len(some), rng)] if classifier else []),
    ]
    others = None if train is None else dithered(train)
    scores, note = compared(dithered(X), log_density, z.shape[1], others, rng)
    training = range_of(train) if training is None and train is not None else training
    told = rows_of_joint(rows.X, rows.log_density, draws.X, draws.log_density, names, training)
    shown = some[:MOST_SHOWN]
    return assembled(
        nats_missing(z, np.zeros((len(z), 0)), rng),
        families,
        scores=scores,
        rows=told,
        names=names,
        n_rows=len(rows.X),
        notes=[*notes(len(rows.X), len(used), weights), *failed, note],
        shown=Shown(tuple(names), X[shown], draws.X[:MOST_SHOWN], z[shown]),
    )


def _found(draws: Draws) -> tuple[Draws, list[str]]:
    """Return the draws that were found, and a note on the others if there are any."""
    found = np.isfinite(draws.log_density) & np.isfinite(draws.X).all(axis=1)
    if found.sum() < LEAST_ROWS:
        raise ValueError(
            f"Expected {LEAST_ROWS} draws of the model or more; got {found.sum()} of {len(found)}: "
            "its map has no preimages of the others. Fit with quadratic terms."
        )
    note = f"{np.sum(~found)} of {len(found)} draws have no preimage and are left out."
    return Draws(draws.X[found], draws.log_density[found]), [] if found.all() else [note]


def usable(
    weights: Float[np.ndarray, " N"] | None,
    log_density: Float[np.ndarray, " N"],
    z: Float[np.ndarray, "N n"],
    rng: np.random.Generator,
) -> Int[np.ndarray, " k"]:
    """Return the rows that panels are of: with an image, and thinned by their weights.

    A row is kept with probability w / max w: those kept are as if drawn from the weighted rows,
    independent and each of weight one.

    Raises
    ------
    ValueError
        If too few are left.
    """
    kept = np.isfinite(log_density) & np.isfinite(z).all(axis=1)
    if weights is not None:
        kept &= weights > 0
        kept &= rng.random(len(weights)) * np.max(weights, where=kept, initial=0.0) < weights
    used = np.flatnonzero(kept)
    if len(used) < LEAST_ROWS:
        thinned = "" if weights is None else ", thinned by their weights"
        raise ValueError(
            f"Expected {LEAST_ROWS} rows or more where the model has a density{thinned}; got "
            f"{len(used)} of {len(z)}. So few rows tell nothing of a density: give more."
        )
    return used


def compared(
    X: Float[np.ndarray, "N d"],
    log_density: Float[np.ndarray, " N"],
    n: int,
    train: Float[np.ndarray, "T d"] | None,
    rng: np.random.Generator,
) -> tuple[tuple[Score, ...], str]:
    """Return the scores of the model and of reference densities, and a note on their rows."""
    seed = int(rng.integers(1 << 31))
    if train is not None:
        train = train[rng.permutation(len(train))]
        fitted_to = f"{len(train)} other rows"
        note = f"Reference densities are fitted to {fitted_to} and judged on the {len(X)} rows."
        return reference_scores(train, X, n, log_density, fitted_to, seed), note
    order = rng.permutation(len(X))
    half, other = order[: len(X) // 2], order[len(X) // 2 :]
    fitted_to = "one half of the rows"
    note = (
        f"Reference densities are fitted to one half of the rows; they, and the model beside them, "
        f"are judged on the other {len(other)}."
    )
    return reference_scores(X[half], X[other], n, log_density[other], fitted_to, seed), note


def range_of(train: Float[np.ndarray, "T d"]) -> Training:
    """Return the range of rows."""
    return Training(train.min(axis=0), train.max(axis=0))


def notes(N: int, n_used: int, weights: Float[np.ndarray, " N"] | None) -> list[str]:
    """Return what a reader must know of the rows that are used."""
    if n_used == N:
        return []
    why = "a density" if weights is None else "a density, each kept in proportion to its weight"
    return [f"{n_used} of {N} rows are used: those where the model has {why}."]


def assembled(
    nats: NatsMissing,
    families: Sequence[Family],
    *,
    scores: tuple[Score, ...],
    rows: Rows,
    names: Sequence[str],
    n_rows: int,
    notes: Sequence[str],
    shown: Shown,
    context_names: Sequence[str] = (),
    ranked_scores: tuple = (),
) -> Diagnosis:
    """Return a diagnosis: the test of all panels, and a verdict."""
    test = global_test(families)
    panels = [panel for family in families for panel in family.panels]
    panels.sort(key=lambda panel: -panel.scaled)
    return Diagnosis(
        verdict=verdict(nats, test, panels, rows, names),
        nats_missing=nats,
        test=test,
        panels=tuple(panels),
        scores=scores,
        ranked_scores=ranked_scores,
        rows=rows,
        names=tuple(names),
        context_names=tuple(context_names),
        n_rows=n_rows,
        n_used=nats.n_rows,
        notes=tuple(notes),
        shown=shown,
    )


def verdict(
    nats: NatsMissing,
    test: GlobalTest,
    panels: Sequence[AbstractPanel],
    rows: Rows,
    names: Sequence[str],
) -> str:
    """Return what there is to say, in nats."""
    said = []
    if rows.n_outside_bounds:
        said.append(
            f"The model has no density at {rows.n_outside_bounds} rows, beyond the bounds of "
            f"{quoted(list(names))}: it loses infinitely many nats there. Of the others:"
        )
    worst = next((panel.sentence for panel in panels if panel.name == test.panel), "")
    if nats.value > BEYOND_CHANCE * nats.standard_error:
        said.append(f"The density loses {nats}, or more. {worst}")
    elif test.rejects:
        said.append(
            f"The rows are not of this density (p = {test.p_value:.2g}), but no loss of nats can "
            f"be shown: {nats}. {worst}"
        )
    else:
        said.append(
            f"No fault can be shown with {nats.n_rows} rows: {nats} missing, so that a loss of "
            f"{max(nats.value, 0.0) + BEYOND_CHANCE * nats.standard_error:.2g} cannot be excluded."
        )
    return " ".join(said)
