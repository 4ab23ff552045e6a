"""What is asked of a joint density: values given, columns wanted, missing cells."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from brenier.cli.files import (
    Reading,
    as_arguments,
    context_names,
    density_names,
    is_conditional,
    variable_names,
)
from brenier.patterns import matching, suggestion

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Given:
    """What `--given` says: values of columns, or a file with rows of a context.

    Attributes
    ----------
    values : tuple of pairs
        Names of columns and their values.
    file : str or None
        The file.
    """

    values: tuple[tuple[str, float], ...] = ()
    file: str | None = None

    @staticmethod
    def of(texts: Sequence[str] | None) -> "Given":
        """Return what is in the texts of the option; one without NAME=NUMBER is a file."""
        pairs = [_pair(text) for text in texts or ()]
        values = tuple(pair for pair in pairs if pair is not None)
        files = [text for text, pair in zip(texts or (), pairs, strict=True) if pair is None]
        if len(files) > 1 or (files and values):
            raise typer.BadParameter(
                "expected --given NAME=VALUE, once for every column, or --given FILE once; got "
                f"{', '.join(map(repr, texts or ()))}."
            )
        if len({name for name, _ in values}) < len(values):
            raise typer.BadParameter("expected --given once for a column; got two values of one.")
        return Given(values, files[0] if files else None)

    def __bool__(self) -> bool:
        return bool(self.values) or self.file is not None

    def without_file(self, path: str) -> dict[str, float]:
        """Return the values for a density of all columns, whose model is in `path`."""
        if self.file is not None:
            raise ValueError(
                f"Expected --given NAME=VALUE, as in --given b=0.3: the density in {path} is that "
                f"of all its columns; got {self.file!r}. Rows of a context in a FILE are for "
                "models of `brenier fit --given`."
            )
        return dict(self.values)


def _pair(text: str) -> tuple[str, float] | None:
    """Return the name and the number in NAME=NUMBER; None for anything else."""
    name, equals, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        return None
    return (name, value) if equals and name and math.isfinite(value) else None


def wanted(names: Sequence[str], reading: Reading) -> list[str]:
    """Return those of a model's columns that `--columns` and `--drop` leave; all if it is none."""
    keep = range(len(names)) if reading.keep is None else _places(reading.keep, names)
    kept = [names[j] for j in sorted(set(keep) - set(_places(reading.drop, names)))]
    return kept or list(names)


def written(names: Sequence[str], reading: Reading) -> list[str]:
    """Return those of a model's columns that are to be written; every choice is of some of them."""
    patterns = [*(reading.keep or ()), *reading.drop]
    unknown = [pattern for pattern in patterns if not matching(pattern, names)]
    if unknown:
        raise ValueError(
            f"Expected --columns and --drop to name columns of the model ({', '.join(names)}); got "
            f"{', '.join(unknown)}.{suggestion(unknown[0], names)}"
        )
    return wanted(names, reading)


def _places(patterns: Sequence[str], names: Sequence[str]) -> list[int]:
    return [place for pattern in patterns for place in matching(pattern, names)]


@dataclass(frozen=True)
class Question:
    """What rows of a file are scored by.

    Attributes
    ----------
    flow
        The density.
    names : list of str
        The columns that are read.
    given : dict of str to float
        Values of other columns, alike for all rows.
    missing_ok : bool
        Whether cells may be missing.
    """

    flow: Any
    names: list[str]
    given: dict[str, float]
    missing_ok: bool

    @staticmethod
    def of(flow: Any, path: str, given: Given, reading: Reading, *, missing_ok: bool) -> "Question":
        """Return the question that the options of `brenier score` ask of the model in `path`."""
        if is_conditional(flow):
            _check_conditional(flow, path, given, missing_ok=missing_ok)
            return Question(flow, variable_names(flow), {}, missing_ok)
        names, values = variable_names(flow), given.without_file(path)
        unknown = [name for name in values if name not in names]
        if unknown:
            raise ValueError(
                f"Expected --given values of columns of the model ({', '.join(names)}); got "
                f"{', '.join(unknown)}."
            )
        rest = [name for name in wanted(names, reading) if name not in values]
        if not rest:
            raise ValueError("Expected a column to score; got --given values of all of them.")
        return Question(flow, rest, values, missing_ok)

    @property
    def title(self) -> str:
        """What the density is of, where that is not all columns."""
        others = len(self.names) + len(self.given) < len(variable_names(self.flow))
        of = f", columns {', '.join(self.names)}" if others else ""
        given = ", ".join(f"{name} = {value:g}" for name, value in self.given.items())
        return f"{of}, given {given}" if given else of

    def whole_rows(self, X: "np.ndarray") -> "np.ndarray":
        """Return rows of all columns: those that are given, and NaN for those left out."""
        import numpy as np

        names = variable_names(self.flow)
        rows = np.full((len(X), len(names)), np.nan)
        rows[:, [names.index(name) for name in self.names]] = X
        for name, value in self.given.items():
            rows[:, names.index(name)] = value
        return rows

    def log_densities(self, rows: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """Return log-densities of whole rows under the model and under its Gaussian."""
        import numpy as np

        flow, arguments = self.flow, as_arguments(self.flow, rows)
        if not np.isnan(rows).any() and not self.given:
            return flow.score_samples(*arguments), flow.baseline_score_samples(*arguments)
        own = flow.score_samples(*arguments, integrate_missing=True)
        baseline = flow.baseline_score_samples(*arguments, integrate_missing=True)
        if not self.given:
            return own, baseline
        (alone,) = as_arguments(flow, self.whole_rows(np.full((1, len(self.names)), np.nan)))
        of_given = flow.condition(self.given).log_density_of_given
        return own - of_given, baseline - flow.baseline_score_samples(alone, integrate_missing=True)


def _check_conditional(flow: Any, path: str, given: Given, *, missing_ok: bool) -> None:
    context = ", ".join(context_names(flow))
    if given:
        raise ValueError(
            f"Expected no --given: the density in {path} is given {context}, which are columns of "
            "DATA. Leave it out."
        )
    if missing_ok:
        raise ValueError(
            f"Expected no --integrate-missing: the density in {path} is given {context}, and has "
            "none of these to integrate over. Drop the rows with --drop-missing."
        )


def context_rows(flow: Any, path: str, given: Given) -> "np.ndarray":
    """Return the one row of a context that values are given of."""
    import numpy as np

    names, values = context_names(flow), dict(given.values)
    if set(values) != set(names):
        raise ValueError(
            f"Expected --given NAME=VALUE of each of {', '.join(names)}, or --given FILE with rows "
            f"of them: the density in {path} is given these; got {', '.join(values) or 'neither'}."
        )
    return np.array([[values[name] for name in names]])


def drawn_given(flow: Any, values: dict[str, float], n: int, seed: int | None) -> "np.ndarray":
    """Return rows of all columns, some drawn given values of the others."""
    import numpy as np

    names = density_names(flow)
    density = flow.condition(values)
    rows = np.empty((n, len(names)))
    rows[:, [names.index(name) for name in density.columns]] = density.sample(n, random_state=seed)
    for name, value in density.given.items():
        rows[:, names.index(name)] = value
    return rows
