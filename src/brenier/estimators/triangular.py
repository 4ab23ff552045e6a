r"""A block-triangular density: one flow of the leading columns, then one of each block given them.

    p(x) = p(x_1) p(x_2 | x_1) p(x_3 | x_1, x_2) ...,

    z_1 = grad Phi_1(x_1),    z_k = grad_{x_k} Phi_k(x_k; x_1, ..., x_{k-1}),

the block-triangular (Knothe-Rosenblatt) map. Its Jacobian is block-triangular, so that the
log-likelihood is a sum of terms that share no weights: each block's flow is trained by itself, and
all together are exactly as good as if they had been trained as one.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator, DensityMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from brenier.data.bounds import Bounds, column_bounds
from brenier.data.names import default_names, quoted
from brenier.diagnostics.diagnosis import Diagnosis
from brenier.estimators.asking import Asked
from brenier.estimators.conditional import ConditionalConvexPotentialFlow
from brenier.estimators.conditioned import (
    ConditionedDensity,
    checked_values,
    condition,
    given_values,
)
from brenier.estimators.conditioned_blocks import ConditionedFlow, drawn_points, frame_of_rows
from brenier.estimators.diagnosing import diagnosis_of_joint
from brenier.estimators.evidence import N_EVALUATED, evidence_of_callable, evidence_of_draws
from brenier.estimators.files import parts_to_file
from brenier.estimators.folded import PLAIN
from brenier.estimators.joint import ConvexPotentialFlow
from brenier.estimators.marginals import (
    MarginalDensity,
    density_of_known,
    marginal,
    scored_rows,
)
from brenier.estimators.normal import normal_points
from brenier.estimators.parameters import seed_of
from brenier.estimators.tables import as_asked, checked_rows, column_names
from brenier.estimators.weights import mean_score, training_weights
from brenier.flow.pure import AbstractPure
from brenier.flow.pure_chain import PureChain
from brenier.io.model_file import write_model
from brenier.marginal.evidence import Evidence
from brenier.training.phases import Event, Listener
from brenier.training.report import FitReport
from brenier.training.signals import held_back

if TYPE_CHECKING:
    import polars as pl


class TriangularConvexPotentialFlow(TransformerMixin, DensityMixin, BaseEstimator):
    """Density of a table, block by block, which can be conditioned on its leading blocks.

    The log-likelihood is a sum over blocks, and its terms share no weights: every block's flow is
    trained on its own, and nothing is lost by that.

    Parameters
    ----------
    blocks : list of lists of column names or indices, optional
        The columns of every block, leading block first. Every column is in one block. None: every
        column is a block of its own, in the table's order.
    columns : list of str, optional
        Names of the columns of the table that are used, or patterns of names: `*` stands for any
        characters, `?` for one. Tables may then have others, of whatever kind, in any order, in
        `fit` and afterwards. None: all columns.
    leading : ConvexPotentialFlow, optional
        Settings of the leading block's flow.
    following : ConditionalConvexPotentialFlow, optional
        Settings of the other blocks' flows.
    bounds : mapping or sequence, optional
        Column bounds in data units, as in `ConvexPotentialFlow`, of all columns; then those of
        `leading` and `following` do not count.
    max_seconds : float, optional
        Time limit of `fit`, all blocks together: each gets as much of what is left as each of
        those after it. A block for which no time is left is a Gaussian, given those before by a
        linear regression.
    random_state : int, RandomState or None, default=0
        Seed of `sample`. Those of the fits are in `leading` and `following`.

    Attributes
    ----------
    flows_ : list
        The fitted flows, one a block.
    reports_ : list of FitReport
        How their fits went.
    blocks_ : list of lists of str
        The blocks' column names.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, if `X` was a table with names.

    References
    ----------
    .. [1] Z. O. Wang, R. Baptista, Y. Marzouk, L. Ruthotto, D. Verma, "Efficient Neural Network
           Approaches for Conditional Optimal Transport with Applications in Bayesian Inference",
           2023, arXiv 2310.16975.

    Examples
    --------
    >>> import numpy as np
    >>> from brenier import ConditionalConvexPotentialFlow, ConvexPotentialFlow
    >>> from brenier import TriangularConvexPotentialFlow
    >>> X = np.random.default_rng(0).normal(size=(200, 2)) @ np.array([[1.0, 1.0], [0.0, 0.5]])
    >>> leading = ConvexPotentialFlow(widths=(4,), max_iter=5)
    >>> following = ConditionalConvexPotentialFlow(widths=(4,), context_widths=(4,), max_iter=5)
    >>> t = TriangularConvexPotentialFlow([[0], [1]], leading=leading, following=following).fit(X)
    >>> t.condition({"x0": 0.5}).sample(3).shape
    (3, 1)
    """

    # Set by scikit-learn's `validate_data`.
    n_features_in_: int
    feature_names_in_: np.ndarray

    # Periodic and discrete columns are those of its blocks' flows.
    folding_ = PLAIN

    def __init__(
        self,
        blocks=None,
        *,
        columns=None,
        leading=None,
        following=None,
        bounds=None,
        max_seconds=None,
        random_state=0,
    ):
        self.blocks = blocks
        self.columns = columns
        self.leading = leading
        self.following = following
        self.bounds = bounds
        self.max_seconds = max_seconds
        self.random_state = random_state

    def fit(
        self,
        X,
        y=None,
        *,
        sample_weight=None,
        log_weights=None,
        groups=None,
        validation_data=None,
        callback=None,
    ):
        """Fit every block's flow.

        Parameters
        ----------
        X : array or table, (N, n)
            Samples in data units.
        y : ignored
            For scikit-learn's pipelines.
        sample_weight : (N,), optional
            Non-negative weights.
        log_weights : (N,), optional
            In place of `sample_weight`: logarithms of weights, up to a constant; minus infinity is
            a weight of zero.
        groups : (N,), optional
            Labels of chains or other groups. Rows of one label are not independent of each other;
            those of a chain come in its order. Contiguous blocks of them are trained on, choose or
            judge as a whole. Without it rows count as independent.
        validation_data : array or table, (M, n), or pair of it and its weights (M,), optional
            Rows that choose when to stop and between models; they do not judge. Without them some
            rows of `X` are split off.
        callback : callable, optional
            Called with a `Progress` after every iteration; runs are counted over all blocks,
            log-likelihoods are the block's own. Or a `Listener` (`brenier.training.phases`), which
            is told of phases.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `blocks` do not have every column once, or a block's rows cannot have a density.
        KeyboardInterrupt
            After Ctrl-C: the estimator is then fitted, the blocks not yet begun by Gaussians.
        """
        own = callback.began if isinstance(callback, Listener) else None
        began = time.perf_counter() if own is None else own
        _check_plain_leading(self.leading)
        rows = self._rows(X, reset=True)
        weights = training_weights(sample_weight, log_weights, rows)
        self.blocks_ = _blocks(self.blocks, column_names(self))
        validation = None if validation_data is None else self._validation(validation_data)
        flows: list[Any] = []
        interrupted = False
        with held_back():
            for k in range(len(self.blocks_)):
                seconds_left = 0.0 if interrupted else self._seconds_left(began, k)
                flow = self._unfitted(k, seconds_left)
                held_out = None if validation is None else self._held_out(validation, k)
                try:
                    flow.fit(
                        *self._parts(rows, k),
                        sample_weight=weights,
                        groups=groups,
                        validation_data=held_out,
                        callback=_counted_on(callback, flows, began, len(self.blocks_)),
                    )
                except KeyboardInterrupt:
                    if getattr(flow, "report_", None) is None:
                        raise
                    interrupted = True
                flows.append(flow)
            self.flows_ = flows
        if interrupted:
            raise KeyboardInterrupt
        return self

    @property
    def reports_(self) -> list[FitReport]:
        """How the blocks' fits went."""
        check_is_fitted(self)
        return [flow.report_ for flow in self.flows_]

    @property
    def density_(self) -> AbstractPure:
        """The density in JAX: pure functions of arrays, of one row or many."""
        check_is_fitted(self)
        first, *others = (flow.density_ for flow in self.flows_)
        return PureChain(first, tuple(others), tuple(np.argsort(self._order()).tolist()))

    def score_samples(self, X, *, integrate_missing=False) -> Float[np.ndarray, " N"]:
        """Return the log-density of every row (nats): the sum of the blocks'.

        Parameters
        ----------
        X : array or table, (N, n)
            Rows in data units.
        integrate_missing : bool, default=False
            As of `ConvexPotentialFlow.score_samples`.
        """
        check_is_fitted(self)
        rows = scored_rows(self, X, integrate_missing=integrate_missing)
        return density_of_known(self, self._log_density, self._bounds, rows)

    def score(self, X, y=None, sample_weight=None) -> float:
        """Return the MEAN log-density of the rows (nats)."""
        return mean_score(self.score_samples(X), sample_weight)

    def baseline_score_samples(self, X, *, integrate_missing=False) -> Float[np.ndarray, " N"]:
        """Return every row's log-density under the blocks' Gaussians and linear regressions."""
        check_is_fitted(self)
        rows = scored_rows(self, X, integrate_missing=integrate_missing)
        return density_of_known(self, self._baseline_density, self._bounds, rows)

    def transform(self, X) -> Float[np.ndarray, "N n"]:
        """Return z, the rows' images under the block-triangular map, block after block."""
        check_is_fitted(self)
        return np.concatenate(self._of_blocks("transform", self._rows(X)), axis=1)

    def inverse_transform(self, X) -> Any:
        """Return the rows whose images are given, their columns in the table's order.

        Parameters
        ----------
        X : (N, n)
            Points z of the normal space, block after block (named as scikit-learn names it).
        """
        check_is_fitted(self)
        Z = normal_points(X, self.n_features_in_)
        return as_asked(self, self._preimages(Z), column_names(self), X)

    def sample(self, n_samples=1, random_state=None) -> Any:
        """Return new rows drawn from the density.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        random_state : int, RandomState or None
            Seed; None takes the estimator's own.
        """
        check_is_fitted(self)
        Z = drawn_points(n_samples, self.n_features_in_, random_state, self.random_state)
        return as_asked(self, self._preimages(self._in_order(Z)), column_names(self))

    def condition(
        self, values: Mapping[Any, float] | None = None, /, **named
    ) -> "ConditionedFlow | ConditionedDensity":
        """Return the density of the other columns, given values of some.

        Given all columns of leading blocks, the others' log-densities and draws are exact;
        otherwise they come by quadrature or importance sampling, as in `ConvexPotentialFlow`.

        Parameters
        ----------
        values : mapping of column names, or positions, to numbers, optional
            Values in data units.
        **named
            The same, for names that Python allows as such.

        Raises
        ------
        ValueError
            If a column is unknown, a value no number or outside its bounds, or none is given or
            free.
        """
        check_is_fitted(self)
        given = given_values(values, named)
        names = column_names(self)
        numbers = checked_values(given, names, self._bounds)
        for k in range(1, len(self.blocks_)):
            before = [name for block in self.blocks_[:k] for name in block]
            if set(before) == set(numbers):
                return ConditionedFlow(self, k, np.array([numbers[name] for name in before]))
        return condition(self._asked, numbers)

    def marginal(self, columns) -> MarginalDensity:
        """Return the density of some columns, the others integrated out.

        Parameters
        ----------
        columns : list of str or int, or one of these
            Names or positions of the columns.
        """
        check_is_fitted(self)
        return marginal(self._asked, columns)

    def evidence(self, log_density, n_samples=N_EVALUATED, random_state=None) -> Evidence:
        """Return the integral of an unnormalised density, such as a marginal likelihood.

        Parameters
        ----------
        log_density, n_samples, random_state
            As of `ConvexPotentialFlow.evidence`.
        """
        check_is_fitted(self)
        return evidence_of_callable(self, self._log_density, log_density, n_samples, random_state)

    def evidence_of_draws(self, X, log_posterior, *, groups=None) -> Evidence:
        """Return the integral of an unnormalised density from draws of it and its values there.

        Parameters
        ----------
        X, log_posterior, groups
            As of `ConvexPotentialFlow.evidence_of_draws`.
        """
        check_is_fitted(self)
        return evidence_of_draws(self, self._log_density, self._rows(X), log_posterior, groups)

    def diagnose(
        self, X, *, sample_weight=None, train=None, classifier=False, random_state=None
    ) -> Diagnosis:
        """Return whether the density is good, from rows that it has not seen.

        Parameters and what is returned are those of `ConvexPotentialFlow.diagnose`.
        """
        return diagnosis_of_joint(
            self, X, sample_weight, train, random_state, classifier=classifier
        )

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Return the names of the columns of `transform`: z0, z1, ..."""
        check_is_fitted(self)
        return np.array(default_names(self.n_features_in_, "z"), dtype=object)

    def save(self, path: str | PathLike, *, probes: bool = True) -> None:
        """Write the fitted estimator to one safetensors file, atomically.

        Parameters
        ----------
        path : str or path
            Where to.
        probes : bool, default=True
            As in `ConvexPotentialFlow.save`.
        """
        check_is_fitted(self)
        metadata, arrays = parts_to_file(self, self.flows_, with_probes=probes)
        own = {"blocks": self.blocks_, "random_state": seed_of(self.random_state)}
        own |= {} if self.columns is None else {"columns": list(self.columns)}
        write_model(path, {**metadata, **own}, arrays)

    def _seconds_left(self, began: float, k: int) -> float | None:
        """Return the time for block k: as much of what is left as for each of those after it."""
        if self.max_seconds is None:
            return None
        left = float(self.max_seconds) - (time.perf_counter() - began)
        return max(0.0, left / (len(self.blocks_) - k))

    def _unfitted(self, k: int, seconds_left: float | None) -> Any:
        """Return what is to be fitted to block k, with its bounds and the time there is for it."""
        if k == 0:
            flow: Any = ConvexPotentialFlow() if self.leading is None else clone(self.leading)
        else:
            following = self.following
            flow = ConditionalConvexPotentialFlow() if following is None else clone(following)
        if seconds_left is not None:
            own = flow.max_seconds
            flow.set_params(max_seconds=seconds_left if own is None else min(own, seconds_left))
        if self.bounds is not None:
            names = column_names(self)
            bounds = column_bounds(self.bounds, names)
            places = [names.index(name) for name in self.blocks_[k]]
            low, high = bounds.low[places], bounds.high[places]
            flow.set_params(bounds=list(zip(low.tolist(), high.tolist(), strict=True)))
        return flow

    def _validation(self, validation_data: Any) -> tuple[np.ndarray, Any]:
        """Return held-out rows and their weights, if they have any."""
        X, weights = (
            validation_data if isinstance(validation_data, tuple) else (validation_data, None)
        )
        return self._rows(X), weights

    def _parts(self, rows: np.ndarray, k: int) -> list["pl.DataFrame"]:
        """Return block k's columns, behind those before it if there are such."""
        context = [self._before(rows, k)] if k else []
        return [*context, self._part(rows, self.blocks_[k])]

    def _held_out(self, validation: tuple[np.ndarray, Any], k: int) -> Any:
        """Return held-out rows as block k's flow takes them."""
        rows, weights = validation
        parts = self._parts(rows, k)
        weighted = [] if weights is None else [weights]
        return parts[0] if k == 0 and weights is None else (*parts, *weighted)

    @property
    def _bounds(self) -> Bounds:
        """Bounds of the columns, in the table's order."""
        found = [flow.flow_.preprocessing.column_bounds for flow in self.flows_]
        low, high = (
            np.concatenate([np.asarray(getattr(part, side), float) for part in found])
            for side in ("low", "high")
        )
        return Bounds(low[self._order()], high[self._order()])

    @property
    def _asked(self) -> Asked:
        return Asked.of(self, self._log_density, self._bounds)

    def _log_density(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
        """Return log p of checked rows (nats)."""
        return np.sum(self._of_blocks("score_samples", X), axis=0)

    def _baseline_density(self, rows: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
        """Return the baseline's log p of checked rows."""
        return np.sum(self._of_blocks("baseline_score_samples", rows), axis=0)

    def _images(
        self, X: Float[np.ndarray, "N n"], rng: np.random.Generator
    ) -> Float[np.ndarray, "N n"]:
        """Return z of checked rows; nothing in it is random."""
        return np.concatenate(self._of_blocks("transform", X), axis=1)

    def _seen(self, X: Float[np.ndarray, "N n"]) -> tuple[int, int]:
        """Return how many checked rows would be recognised if seen, and how many are.

        By the last block, whose flow has seen all columns.
        """
        rows = [part.to_numpy() for part in self._parts(X, len(self.blocks_) - 1)]
        return self.flows_[-1]._seen(np.concatenate(rows[::-1], axis=1))

    @property
    def _seen_range(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The least and the largest cells of the rows that it has seen; None where not known."""
        found = self.flows_[-1]._seen_range
        if found is None:
            return None
        *before, last = self.blocks_
        names = [*last, *(name for block in before for name in block)]
        places = [names.index(name) for name in column_names(self)]
        return found[0][places], found[1][places]

    def _of_blocks(self, method: str, rows: Float[np.ndarray, "N n"]) -> list[np.ndarray]:
        """Return what a method of every block's flow says of its columns, given those before."""
        said = []
        for k, flow in enumerate(self.flows_):
            said.append(np.asarray(getattr(flow, method)(*self._parts(rows, k))))
        return said

    def _preimages(self, Z: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N n"]:
        """Return rows from points block after block, their columns in the table's order."""
        return self._from_normal(np.zeros((len(Z), 0)), Z)[:, self._order()]

    def _from_normal(
        self, rows: Float[np.ndarray, "N k"], Z: Float[np.ndarray, "N m"]
    ) -> Float[np.ndarray, "N n"]:
        """Return rows, block after block, from those of the first blocks and images of the rest."""
        names = [name for block in self.blocks_ for name in block]
        for flow, block in zip(self.flows_, self.blocks_, strict=True):
            done = rows.shape[1]
            if names.index(block[0]) < done:
                continue
            z, Z = Z[:, : len(block)], Z[:, len(block) :]
            context = frame_of_rows(rows, names[:done]) if done else None
            new = (
                flow.inverse_transform(z) if context is None else flow.inverse_transform(context, z)
            )
            rows = np.concatenate([rows, np.asarray(new)], axis=1)
        return rows

    def _in_order(self, Z: Float[np.ndarray, "N m"]) -> Float[np.ndarray, "N m"]:
        """Return normal points of the last blocks in the order of their columns."""
        parts, end = [], Z.shape[1]
        for flow in reversed(self.flows_):
            if end > 0:
                own = flow.flow_
                parts.append(np.asarray(own.preprocessing.images(Z[:, end - own.n : end])))
                end -= own.n
        return np.concatenate(parts[::-1], axis=1)

    def _order(self) -> list[int]:
        """Return where every column of the table stands among those of the blocks."""
        names = [name for block in self.blocks_ for name in block]
        return [names.index(name) for name in column_names(self)]

    def _before(self, rows: np.ndarray, k: int) -> "pl.DataFrame":
        return self._part(rows, [name for block in self.blocks_[:k] for name in block])

    def _part(self, rows: np.ndarray, block: Sequence[str]) -> "pl.DataFrame":
        names = column_names(self)
        columns = [names.index(name) for name in block]
        return frame_of_rows(rows[:, columns], list(block))

    def _rows(self, X, *, reset: bool = False) -> Float[np.ndarray, "N n"]:
        return checked_rows(self, X, reset=reset)


class _OfBlock(Listener):
    """Tells a listener of one of the blocks.

    Parameters
    ----------
    listener : Listener
        Who is told.
    part : str
        What to call the block.
    began : float
        When the fit of all blocks began, by `time.perf_counter`.
    """

    def __init__(self, listener: Listener, part: str, began: float):
        self._listener, self._part, self._began = listener, part, began

    def on_event(self, event: Event) -> None:
        elapsed = time.perf_counter() - self._began
        self._listener.on_event(replace(event, part=self._part, elapsed=elapsed))


def _counted_on(callback: Any, flows: list[Any], began: float, n_flows: int) -> Any:
    """Return the callback with runs counted on from those of the flows already fitted."""
    if callback is None:
        return None
    if isinstance(callback, Listener):
        return _OfBlock(callback, f"block {len(flows) + 1} of {n_flows}", began)
    before = sum(len(flow.report_.run_decay) for flow in flows)
    return lambda progress: callback(replace(progress, run=before + progress.run))


def _check_plain_leading(leading: Any) -> None:
    """Raise `ValueError` where the leading flow has periodic or discrete columns."""
    if leading is not None and (leading.periods or leading.discrete):
        raise ValueError(
            "Expected a leading flow without periods and discrete columns, which densities in "
            f"blocks have not; got periods={leading.periods!r:.60}, discrete="
            f"{leading.discrete!r:.60}. Fit a ConvexPotentialFlow to the whole table."
        )


def _blocks(blocks: Any, names: list[str]) -> list[list[str]]:
    """Return the names of every block's columns."""
    if blocks is None:
        return [[name] for name in names]
    found = [[_name(column, names) for column in block] for block in blocks]
    placed = [name for block in found for name in block]
    if not all(found) or sorted(placed) != sorted(names):
        raise ValueError(
            f"Expected blocks with every column of the table ({quoted(names)}) in one of them and "
            f"none empty; got {found}."
        )
    return found


def _name(column: Any, names: list[str]) -> str:
    is_index = isinstance(column, Integral) and 0 <= int(column) < len(names)
    name = names[int(column)] if is_index else column
    if name not in names:
        raise ValueError(
            f"Expected blocks of columns of the table ({quoted(names)}); got {column!r}."
        )
    return str(name)
