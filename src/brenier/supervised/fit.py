r"""The recipe: from a table with targets to a predictor.

Equal rows are merged, and rows get an order that their contents alone give. Inputs are scaled.
In turn each of K parts of the rows is held out, and a network is trained on the others: its
last layer is solved for, L-BFGS searches the rest, and the held-out rows choose the decay and
the iterate. The mean of the networks predicts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from brenier.data.rows import WeightedRows, canonical_rows
from brenier.networks.basis import NetworkBasis
from brenier.networks.tanh import initial_tanh_network
from brenier.optimizers.early_stopping import Clock
from brenier.supervised.predictor import Predictor
from brenier.supervised.report import FoldReport
from brenier.supervised.scaling import InputScaling
from brenier.supervised.search import Found, Search
from brenier.supervised.settings import SupervisedSettings
from brenier.supervised.task import AbstractTask
from brenier.training.parallel import run_parallel


@dataclass(frozen=True)
class Fitted:
    """A predictor and what its fit tells.

    Attributes
    ----------
    predictor : Predictor
        The mean of the networks.
    folds : sequence of FoldReport
        One a network.
    rows : WeightedRows
        The distinct rows (x, y), as they were given.
    heldout : (N, o)
        Of each of them what the network says that did not train on it, in the units of `rows`.
    """

    predictor: Predictor
    folds: Sequence[FoldReport]
    rows: WeightedRows
    heldout: Float[np.ndarray, "N o"]


def fit(
    X: Float[np.ndarray, "N n"],
    Y: Float[np.ndarray, "N o"],
    weights: Float[np.ndarray, " N"] | None,
    task: AbstractTask,
    settings: SupervisedSettings,
    *,
    seed: int,
    clock: Clock,
) -> Fitted:
    """Fit networks to a table; to be called where float64 is enabled.

    Parameters
    ----------
    X : (N, n)
        Inputs.
    Y : (N, o)
        Targets, or probabilities of classes.
    weights : (N,) or None
        Non-negative weights of the rows.
    task : AbstractTask
        What the targets are.
    settings : SupervisedSettings
        All numbers of the recipe.
    seed : int
        Of initial weights, and key of the rows' order.
    clock : Clock
        The time that the fit has.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, where not all networks had begun.
    """
    rows = canonical_rows(np.concatenate([X, Y], axis=1), weights, seed)
    inputs, targets = rows.X[:, : X.shape[1]], rows.X[:, X.shape[1] :]
    of_inputs = InputScaling.of(inputs, rows.weights, settings.farthest, settings.ranked_from)
    of_targets = task.scaling(targets, rows.weights)
    scaled = rows.at(np.concatenate([of_inputs(inputs), of_targets(targets)], axis=1))
    part = parts(targets, settings.n_folds)
    trivial_loss = task.trivial_loss(of_targets(targets), rows.weights)

    def search(k: int, train: WeightedRows, heldout: WeightedRows) -> Search:
        return Search(
            basis=initial_basis(of_inputs, settings, np.random.default_rng([seed, k])),
            loss=task.loss,
            solver=task.loss.solver,
            train=train,
            heldout=heldout,
            trivial_loss=trivial_loss,
            clock=clock,
            settings=settings,
            share=task.unexplained,
        )

    found = fold_by_fold(scaled, part, search, clock)
    heldout = _heldout_outputs(found, scaled.X[:, : of_inputs.width], part)
    return Fitted(
        Predictor(of_inputs, of_targets, [one.member for one in found]),
        [one.report for one in found],
        rows,
        of_targets.back(heldout),
    )


def fold_by_fold(
    rows: WeightedRows,
    part: Int[np.ndarray, " N"],
    search: Callable[[int, WeightedRows, WeightedRows], Search],
    clock: Clock,
) -> list[Found]:
    """Return what is found on the rows but each part in turn, which chooses.

    Parameters
    ----------
    rows : WeightedRows
        All of them; a row alone is trained on and held out.
    part : (N,)
        Which part each is held out with, counted from 0.
    search : callable, (k, training rows, rows held out) -> Search
        What is run on a split.
    clock : Clock
        The time that all have.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, where not all had begun.
    """
    several = bool(part.max())
    searches = [
        search(k, rows[part != k] if several else rows, rows[part == k])
        for k in range(part.max() + 1)
    ]
    found = run_parallel([one.run for one in searches], clock.stop)
    if len(found) < len(searches):
        raise KeyboardInterrupt
    return found


def initial_basis(
    inputs: InputScaling, settings: SupervisedSettings, rng: np.random.Generator
) -> NetworkBasis:
    """Return a random network for scaled inputs; it does not see their padding."""
    network = initial_tanh_network(
        inputs.width,
        settings.widths,
        rng,
        n_used=len(inputs.mean),
        scale=settings.initial_scale,
    )
    return NetworkBasis(network, settings.linear)


def parts(Y: Float[np.ndarray, "N o"], n_folds: int) -> Int[np.ndarray, " N"]:
    """Return which part every row is held out with, rows of equal targets dealt out evenly.

    So every class is in all parts, as far as it can be. Rows come in the order of their hashes.
    """
    by_target = np.lexsort(Y.T[::-1])
    part = np.empty(len(Y), dtype=np.int64)
    part[by_target] = np.arange(len(Y)) % min(n_folds, len(Y))
    return part


def _heldout_outputs(
    found: Sequence[Found], scaled: Float[np.ndarray, "N n"], part: Int[np.ndarray, " N"]
) -> Float[np.ndarray, "N o"]:
    """Return every row's outputs by the network that held it out."""
    first = found[0].member.outputs(scaled[:1])
    outputs = np.empty((len(scaled), first.shape[1]))
    for k, one in enumerate(found):
        outputs[part == k] = one.member.outputs(scaled[part == k])
    return outputs
