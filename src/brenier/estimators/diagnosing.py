"""What `diagnose` of every estimator does: checked rows, images, log-densities, draws go down."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from brenier.data.folding import Folding
from brenier.diagnostics.diagnose import N_DRAWS, Draws, Images, diagnose
from brenier.diagnostics.diagnose_conditional import ConditionalModel, diagnose_conditional
from brenier.diagnostics.diagnosis import Diagnosis
from brenier.diagnostics.seen import with_seen_rows
from brenier.diagnostics.single_rows import Training
from brenier.estimators.parameters import seed_of
from brenier.estimators.tables import column_names
from brenier.estimators.targets import check_same_length, checked_targets
from brenier.estimators.weights import checked_weights
from brenier.status import InputWarning, InversionWarning
from brenier.training.blas import ONE_THREAD

# Told apart from the seeds of samples that users draw, lest rows be the draws themselves.
OWN_SEEDS = 19
# Rows a column that a covariance has to be more than.
LEAST_A_COLUMN = 2


@runtime_checkable
class Joint(Protocol):
    """What a joint density is asked for."""

    random_state: Any
    folding_: Folding

    def _rows(self, X: Any) -> Float[np.ndarray, "N n"]: ...

    def _log_density(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]: ...

    def _images(
        self, X: Float[np.ndarray, "N n"], rng: np.random.Generator
    ) -> Float[np.ndarray, "N n"]: ...

    def _seen(self, X: Float[np.ndarray, "N n"]) -> tuple[int, int]: ...

    @property
    def _seen_range(self) -> tuple[np.ndarray, np.ndarray] | None: ...

    def sample(self, n_samples: Any = 1, random_state: Any = None) -> Any:
        """Return rows drawn from the density."""
        ...


@runtime_checkable
class Conditional(Protocol):
    """What a conditional density is asked for, rows being (y, x)."""

    random_state: Any
    target_names_: np.ndarray

    def _context(self, X: Any) -> Float[np.ndarray, "N q"]: ...

    def _density(self, X: Float[np.ndarray, "N d"]) -> Float[np.ndarray, " N"]: ...

    def _images(
        self, rows: Float[np.ndarray, "N d"], rng: np.random.Generator
    ) -> Float[np.ndarray, "N n"]: ...

    def _seen(self, X: Float[np.ndarray, "N d"]) -> tuple[int, int]: ...

    @property
    def _seen_range(self) -> tuple[np.ndarray, np.ndarray] | None: ...

    def _random_targets(
        self, X: Float[np.ndarray, "N q"], k: int, rng: np.random.Generator
    ) -> Float[np.ndarray, "N k n"]: ...


@contextmanager
def told_in_words() -> Iterator[None]:
    """Silence warnings of rows without images and points without preimages: a diagnosis counts.

    Small densities are fitted with one thread: of several, most wait.
    """
    with warnings.catch_warnings(), ONE_THREAD.held(), threadpool_limits(1, user_api="openmp"):
        for category in (InputWarning, InversionWarning):
            warnings.simplefilter("ignore", category)
        yield


def own_seed(random_state: Any, default: Any) -> int:
    """Return the seed of a diagnosis; `default` where `random_state` is None."""
    seed = seed_of(default if random_state is None else random_state)
    return int(np.random.default_rng([OWN_SEEDS, seed]).integers(np.iinfo(np.int32).max))


def diagnosis_of_joint(
    model: Joint, X: Any, sample_weight: Any, train: Any, random_state: Any, *, classifier: bool
) -> Diagnosis:
    """Return the diagnosis of a joint density; parameters as of `AbstractJoint.diagnose`."""
    check_is_fitted(model)
    rows = model._rows(X)
    weights = checked_weights(sample_weight, rows)
    seed = own_seed(random_state, model.random_state)
    with told_in_words():
        Z = model._images(rows, np.random.default_rng(seed))
        images = Images(rows, Z, model._log_density(rows))
        draws = _draws(model, seed)
        diagnosis = diagnose(
            images,
            draws,
            column_names(model),
            weights=weights,
            train=None if train is None else _enough(model._rows(train)),
            training=_training(model),
            classifier=classifier,
            dithered=partial(model.folding_.cells.dithered, rng=np.random.default_rng(seed)),
            seed=seed,
        )
    return with_seen_rows(diagnosis, *model._seen(rows))


def diagnosis_of_conditional(
    model: Conditional, X: Any, y: Any, sample_weight: Any, train: Any, random_state: Any
) -> Diagnosis:
    """Return the diagnosis of a conditional density; parameters as of its `diagnose`."""
    check_is_fitted(model)
    C, Y = model._context(X), checked_targets(model, y)
    check_same_length(C, Y)
    weights = checked_weights(sample_weight, C)
    seed = own_seed(random_state, model.random_state)

    def sample(context: np.ndarray, L: int, seed: int) -> np.ndarray:
        return model._random_targets(context, L, np.random.default_rng(seed))

    def log_density(context: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return model._density(np.concatenate([targets, context], axis=1))

    rows = np.concatenate([Y, C], axis=1)
    with told_in_words():
        diagnosis = diagnose_conditional(
            Images(Y, model._images(rows, np.random.default_rng(seed)), model._density(rows)),
            C,
            ConditionalModel(sample, log_density),
            [str(name) for name in model.target_names_],
            column_names(model),
            weights=weights,
            train=None if train is None else _enough(_pairs(model, train)),
            training=_training(model),
            seed=seed,
        )
    return with_seen_rows(diagnosis, *model._seen(rows))


def _training(model: Joint | Conditional) -> Training | None:
    """Return the range of the rows that a model has seen, if it is known."""
    found = model._seen_range
    return None if found is None else Training(*found)


def _draws(model: Joint, seed: int) -> Draws:
    """Return draws and their log-densities; NaN of those whose preimage was not found."""
    drawn = np.asarray(model.sample(N_DRAWS, random_state=seed))
    found = np.asarray(np.isfinite(drawn).all(axis=1))
    log_density = np.full(len(drawn), np.nan)
    log_density[found] = model._log_density(drawn[found])
    return Draws(drawn, log_density)


def _enough(train: Float[np.ndarray, "T d"]) -> Float[np.ndarray, "T d"]:
    """Return rows that reference densities can be fitted to; raise `ValueError` for too few."""
    T, d = train.shape
    if T <= LEAST_A_COLUMN * d:
        raise ValueError(
            f"Expected more than {LEAST_A_COLUMN * d} rows as train, {LEAST_A_COLUMN} a column, "
            f"for densities to be fitted to; got {T}. Give more, or None for one half of the rows."
        )
    return train


def _pairs(model: Conditional, train: Any) -> Float[np.ndarray, "N d"]:
    """Return rows (y, x) of a pair (X, y)."""
    if not isinstance(train, tuple) or len(train) != 2:
        raise ValueError(f"Expected train as a tuple (X, y); got {type(train).__name__}.")
    C, Y = model._context(train[0]), checked_targets(model, train[1])
    check_same_length(C, Y)
    return np.concatenate([Y, C], axis=1)
