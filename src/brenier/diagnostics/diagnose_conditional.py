"""The recipe of a conditional density p(y | x): z at every x, and targets against draws there."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from brenier.diagnostics.conditional_panels import AtRows, conditional_family
from brenier.diagnostics.diagnose import (
    LEAST_ROWS,
    MOST_SHOWN,
    Images,
    assembled,
    compared,
    notes,
    range_of,
    usable,
)
from brenier.diagnostics.diagnosis import Diagnosis, RankedScore, Shown
from brenier.diagnostics.nats import nats_missing
from brenier.diagnostics.normality_panels import normality_family
from brenier.diagnostics.references import mean_and_error
from brenier.diagnostics.single_rows import Training, rows_of_conditional
from brenier.diagnostics.within_rows import climatology_score, ranked_scores

# Rows at which there are draws, at most, and draws at each: ranks are 0, ..., 99.
MOST_ROWS, N_DRAWS = 500, 99


class ConditionalModel(NamedTuple):
    """What draws targets of a model, and its log-density.

    Attributes
    ----------
    sample : callable
        Draws (N, L, n) at a context (N, q), L and a seed given.
    log_density : callable
        Of targets (N, n) at a context (N, q), in nats; context first.
    """

    sample: Callable[[np.ndarray, int, int], np.ndarray]
    log_density: Callable[[np.ndarray, np.ndarray], np.ndarray]


def diagnose_conditional(
    rows: Images,
    context: Float[np.ndarray, "N q"],
    model: ConditionalModel,
    names: Sequence[str],
    context_names: Sequence[str],
    *,
    weights: Float[np.ndarray, " N"] | None = None,
    train: Float[np.ndarray, "T d"] | None = None,
    training: Training | None = None,
    seed: int = 0,
) -> Diagnosis:
    """Return whether a conditional density is good, from rows that it has not seen.

    Parameters
    ----------
    rows : Images
        Targets and what the model says of each.
    context : (N, q)
        Their context.
    model : ConditionalModel
        The model.
    names, context_names : n str, q str
        Targets and columns of the context.
    weights : (N,), optional
        Weights of the rows.
    train : (T, n + q), optional
        Rows (y, x) that reference densities are fitted to. None: one half of the rows, and all are
        judged on the other half.
    training : Training, optional
        The range of the training rows (y, x); None takes that of `train`.
    seed : int
        Of all that is random here.
    """
    rng = np.random.default_rng(seed)
    used = usable(weights, rows.log_density, rows.z, rng)
    Y, C, z, log_density = rows.X[used], context[used], rows.z[used], rows.log_density[used]
    some = rng.permutation(len(used))[:MOST_ROWS]
    at, n_failed = _at_rows(Y[some], C[some], log_density[some], model, names, context_names, rng)
    labels = [f"z{k}" for k in range(z.shape[1])]
    families = [normality_family(z, labels, C, context_names, rng), conditional_family(at, rng)]
    both = np.concatenate([Y, C], axis=1)
    scores, note = compared(both, log_density, z.shape[1], train, rng)
    training = range_of(train) if training is None and train is not None else training
    everything = np.concatenate([rows.X, context], axis=1)
    all_names = [*names, *context_names]
    shown = some[:MOST_SHOWN]
    drawn = np.concatenate([at.members[:, 1], at.context], axis=1)[:MOST_SHOWN]
    return assembled(
        nats_missing(z, C, rng),
        families,
        scores=scores,
        rows=rows_of_conditional(everything, rows.z, rows.log_density, all_names, training),
        names=names,
        n_rows=len(rows.X),
        notes=[*notes(len(rows.X), len(used), weights), *_told(n_failed, len(some)), note],
        shown=Shown(tuple(all_names), both[shown], drawn, z[shown]),
        context_names=context_names,
        ranked_scores=_ranked(at),
    )


def _at_rows(
    Y: Float[np.ndarray, "N n"],
    C: Float[np.ndarray, "N q"],
    log_density: Float[np.ndarray, " N"],
    model: ConditionalModel,
    names: Sequence[str],
    context_names: Sequence[str],
    rng: np.random.Generator,
) -> tuple[AtRows, int]:
    """Return targets and draws at the rows where all could be drawn, and how many others are."""
    draws = model.sample(C, N_DRAWS, int(rng.integers(1 << 31)))
    found = np.asarray(np.isfinite(draws).all(axis=(1, 2)))
    if found.sum() < LEAST_ROWS:
        raise ValueError(
            f"Expected draws at {LEAST_ROWS} rows or more; got them at {found.sum()} of "
            f"{len(found)}: the model's map has no preimages at the others."
        )
    draws, C, Y = draws[found], C[found], Y[found]
    N, L, n = draws.shape
    of_draws = model.log_density(np.repeat(C, L, axis=0), draws.reshape(N * L, n)).reshape(N, L)
    members = np.concatenate([Y[:, None], draws], axis=1)
    both = np.concatenate([log_density[found, None], of_draws], axis=1)
    return AtRows(members, both, C, names, context_names), int((~found).sum())


def _told(n_failed: int, N: int) -> list[str]:
    if not n_failed:
        return []
    return [f"{n_failed} of {N} rows have draws without a preimage: no draws are compared there."]


def _ranked(at: AtRows) -> tuple[RankedScore, ...]:
    """Return the continuous ranked probability score of every target."""
    found = []
    for i, name in enumerate(at.names):
        y, draws = at.members[:, 0, i], at.members[:, 1:, i]
        mean, error = mean_and_error(ranked_scores(y, draws))
        climatology = climatology_score(y)
        skill = 1 - mean / climatology if climatology > 0 else float("nan")
        found.append(RankedScore(name, mean, error, climatology, skill))
    return tuple(found)
