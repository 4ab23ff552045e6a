"""flowjax's autoregressive spline flow, trained by its own `fit_to_data`."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from flowjax.bijections import RationalQuadraticSpline
from flowjax.distributions import AbstractDistribution, Normal
from flowjax.flows import masked_autoregressive_flow
from flowjax.train import fit_to_data

from benchmarks.data import Split
from benchmarks.peers.protocol import (
    Clock,
    Fitted,
    check_found,
    drawn_in_data_units,
    in_data_units,
    whitened,
)

RATES = (1e-3, 3e-3, 1e-2)
# fit_to_data drops an incomplete last batch, of the validation rows too: 250 divides their numbers.
BATCH = 250
PATIENCE = 20
MAX_EPOCHS = 1000


class Trained(NamedTuple):
    """The flow of one run, its validation loss, and when it was found."""

    loss: float
    found_at: float
    rate: float
    flow: AbstractDistribution


def nsf(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit a masked autoregressive flow of rational quadratic splines; the best learning rate."""
    whiten, (train, valid, _) = whitened(rows)
    runs = [_train_at(train, valid, seed, rate, clock) for rate in RATES]
    best = min(runs, key=lambda run: run.loss)
    check_found(best.loss)
    score = eqx.filter_jit(best.flow.log_prob)
    log_density = in_data_units(lambda Z: np.asarray(score(jnp.asarray(Z)), dtype=float), whiten)
    draw = drawn_in_data_units(
        lambda N: np.asarray(best.flow.sample(jr.key(seed), (N,)), dtype=float), whiten
    )
    return Fitted(log_density, draw, best.found_at, {"learning rate": best.rate})


def _train_at(
    train: np.ndarray, valid: np.ndarray, seed: int, rate: float, clock: Clock
) -> Trained:
    key, init_key = jr.split(jr.key(seed))
    flow = masked_autoregressive_flow(
        init_key,
        base_dist=Normal(jnp.zeros(train.shape[1])),
        transformer=RationalQuadraticSpline(knots=8, interval=5),
        flow_layers=3,
        nn_width=64,
        nn_depth=2,
    )
    started = clock()
    flow, losses = fit_to_data(
        key,
        flow,
        _ordered(key, train, valid),
        val_prop=len(valid) / (len(train) + len(valid)),
        learning_rate=rate,
        batch_size=BATCH,
        max_patience=PATIENCE,
        max_epochs=MAX_EPOCHS,
        show_progress=False,
    )
    # Once it is NaN it stays NaN; fit_to_data returns what was best before.
    valid_losses = np.nan_to_num(losses["val"], nan=np.inf)
    epochs = 1 + int(np.argmin(valid_losses))
    # fit_to_data tells no times: all epochs are taken to be equally long.
    found_at = started + (clock() - started) * epochs / len(valid_losses)
    return Trained(float(np.min(valid_losses)), found_at, rate, flow)


def _ordered(key: jax.Array, train: np.ndarray, valid: np.ndarray) -> jax.Array:
    """Return all rows so arranged that `fit_to_data` holds out the validation rows.

    It takes no validation rows, but holds out the last of all rows after a permutation by a key
    split off the one it is given. Were it to permute in another way, it would still train on as
    many rows and hold out as many, only not the same ones.
    """
    rows = jnp.concatenate([jnp.asarray(train), jnp.asarray(valid)])
    _, split_key = jr.split(key)
    places = jr.permutation(split_key, len(rows))
    return jnp.zeros_like(rows).at[places].set(rows)
