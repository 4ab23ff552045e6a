"""`brenier score`: how likely a model finds the rows of a file."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brenier.cli import options as o
from brenier.cli.door import door
from brenier.cli.files import (
    STANDARD,
    Reading,
    check_output,
    density_names,
    display_name,
    load_density,
    variable_names,
)
from brenier.cli.questions import Given, Question
from brenier.cli.rows import no_weight, weighted_pieces
from brenier.cli.summary import print_json, print_lines, say
from brenier.cli.weights import WeightsColumn

if TYPE_CHECKING:
    import numpy as np

    from brenier.training.report import MeanAndError

# Rows of density zero that are listed.
SHOWN = 5


def score(
    model: o.ModelArgument,
    data: o.DataArgument,
    *,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to write every row's log-density (nats), column log_density.",
            show_default=False,
        ),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--given",
            metavar="NAME=VALUE",
            help="Score the other columns given this value of a column, the same for all rows; "
            "may be repeated.",
            show_default=False,
        ),
    ] = None,
    columns: o.ColumnsOption = None,
    drop: o.DropOption = None,
    drop_missing: o.DropMissingOption = False,
    integrate_missing: Annotated[
        bool,
        typer.Option(
            "--integrate-missing",
            help="Score what is known of rows with missing values, the missing integrated out.",
        ),
    ] = False,
    weights: o.WeightsOption = None,
    log_weights: o.LogWeightsOption = None,
    quiet: o.Quiet = False,
    json: o.Json = False,
    debug: o.Debug = False,
) -> None:
    """Print the mean log-likelihood of a data file under a model.

    Log-likelihoods are in nats per row, with standard errors. Weights, those of a chain's file too,
    weight the mean. With --columns or --drop fewer columns than the model's are scored by the
    density of these, the others integrated out.
    """
    if integrate_missing and drop_missing:
        raise typer.BadParameter("--integrate-missing and --drop-missing exclude each other.")
    if json and output == STANDARD:
        raise typer.BadParameter("--json and -o - would both write to standard output.")
    column = WeightsColumn.of(weights, log_weights)
    asked = Given.of(given)
    reading = replace(
        Reading.of(columns, drop, drop_missing=drop_missing, quiet=quiet),
        missing_ok=integrate_missing,
        remedies="--drop-missing or --integrate-missing",
    )
    with door(debug=debug, quiet=quiet):
        from brenier.io.table import write_pieces

        if output is not None:
            check_output(output, inputs=(model, data))
        flow = load_density(model)
        question = Question.of(flow, model, asked, reading, missing_ok=integrate_missing)
        scores = _Scores(question)
        log_densities = _scored(scores, data, column, reading)
        if output is not None:
            write_pieces(output, log_densities, ["log_density"])
        else:
            for _ in log_densities:
                pass
        result = scores.result()
        if json:
            about = {"columns": question.names, "given": question.given}
            print_json({"model": model, "data": data, **about, **_score_json(result)})
        elif not quiet:
            _print_score(
                result, f"{display_name(data)} under {model}{question.title}", output=output
            )
        elif output != STANDARD:
            typer.echo(repr(result.mean.mean))


def _scored(
    scores: "_Scores", data: str, column: WeightsColumn, reading: Reading
) -> "Iterator[np.ndarray]":
    """Yield the log-densities of a file's rows, piece by piece, and count them."""
    for X, omega, factor in weighted_pieces(data, scores.question.names, column, reading):
        scores.rescale(factor)
        yield scores.add(scores.question.whole_rows(X), omega)
    if not scores.mean.total:
        raise no_weight(data)


@dataclass(frozen=True)
class _Score:
    """The mean log-density of rows, and that of what they gain over the Gaussian.

    Rows of weight zero count in neither. `inside` are the means over the rows whose density is not
    zero, where there are others; `discrete` the columns of the fit whose values repeat.
    """

    n_rows: int
    weighted: bool
    unequal: bool
    effective_size: float
    mean: "MeanAndError"
    gain: "MeanAndError"
    inside: "tuple[MeanAndError, MeanAndError] | None"
    n_zero: int
    first_zero: tuple[str, ...]
    discrete: tuple[str, ...]

    @property
    def size(self) -> str:
        """How many rows there are, and what they are worth where weights differ."""
        from brenier.training.report import worth

        return f"{self.n_rows}{worth(self.effective_size) if self.unequal else ''}"

    @property
    def verdict(self) -> str:
        from brenier.training.report import no_gain_of, verdict

        if self.discrete:
            return no_gain_of(self.discrete)
        weighted = "weighted " * self.weighted
        return verdict(self.gain, rows=f"these {self.n_rows} {weighted}rows")


class _Scores:
    """Sums of the scores of rows that come in pieces."""

    def __init__(self, question: Question):
        from brenier.training.running_mean import RunningMean

        self.question = question
        self.mean, self.gain = RunningMean(), RunningMean()
        # Of the rows whose density is not zero.
        self._inside = RunningMean(), RunningMean()
        self._n_rows, self._n_zero, self._weighted = 0, 0, False
        self._first_zero: list[str] = []

    def rescale(self, factor: float) -> None:
        """Multiply the weights of all rows so far."""
        if factor != 1.0:
            for total in (self.mean, self.gain, *self._inside):
                total.rescale(factor)

    def add(self, X: "np.ndarray", weights: "np.ndarray | None") -> "np.ndarray":
        """Count a piece's rows, all columns of them, and return their log-densities."""
        import numpy as np

        log_density, baseline = self.question.log_densities(X)
        positive = log_density > -np.inf
        gain = np.full(len(X), -np.inf)
        gain[positive] = log_density[positive] - baseline[positive]
        omega = np.ones(len(X)) if weights is None else weights
        zero = np.flatnonzero((omega > 0) & ~positive)
        for total, inside, values in zip(
            (self.mean, self.gain), self._inside, (log_density, gain), strict=True
        ):
            total.add(values[omega > 0], omega[omega > 0])
            there = (omega > 0) & positive
            inside.add(values[there], omega[there])
        for row in zero[: SHOWN - len(self._first_zero)]:
            text = _zero_row(self.question.flow, X[row], self._n_rows + int(row))
            self._first_zero.append(text)
        self._n_rows += len(X)
        self._n_zero += len(zero)
        self._weighted = weights is not None
        return log_density

    def result(self) -> _Score:
        """Return what is known of all rows; some must have weight."""
        inside = None
        if self._n_zero and self._inside[0].total:
            inside = self._inside[0].result, self._inside[1].result
        return _Score(
            self._n_rows,
            self._weighted,
            self.mean.unequal,
            self.mean.effective_size,
            self.mean.result,
            self.gain.result,
            inside,
            self._n_zero,
            tuple(self._first_zero),
            tuple(name for part in _parts(self.question.flow) for name in part.report_.discrete),
        )


def _parts(flow: Any) -> list[Any]:
    """Return the flows that a model is made of."""
    from brenier.estimators import TriangularConvexPotentialFlow

    return flow.flows_ if isinstance(flow, TriangularConvexPotentialFlow) else [flow]


def _zero_row(flow: Any, x: "np.ndarray", row: int) -> str:
    """Return a row's number, counted from 1, and the bounds it violates."""
    values = dict(zip(variable_names(flow), x, strict=True))
    outside = [
        f"{name} = {values[name]:g} is not in ({low:g}, {high:g})"
        for name, (low, high) in _bounds(flow).items()
        if not (low < values[name] < high or math.isnan(values[name]))
    ]
    counts = [variable_names(flow)[c] for c in flow.folding_.cells.columns]
    broken = [
        f"{name} = {values[name]:g} is no whole number" for name in counts if values[name] % 1 > 0
    ]
    return f"row {row + 1}: {', '.join(outside + broken) or 'too far from the training data'}"


def _bounds(flow: Any) -> dict[str, tuple[float, float]]:
    """Return the bounds of the columns that a model is a density of."""
    from brenier.estimators import TriangularConvexPotentialFlow

    if isinstance(flow, TriangularConvexPotentialFlow):
        parts = zip(flow.flows_, flow.blocks_, strict=True)
    else:
        parts = [(flow, density_names(flow))]
    bounds = [(part.flow_.preprocessing.column_bounds, names) for part, names in parts]
    return {
        name: (float(low), float(high))
        for of_part, names in bounds
        for name, low, high in zip(names, of_part.low, of_part.high, strict=True)
    }


def _print_score(result: _Score, title: str, *, output: str | None) -> None:
    weighted = ", weighted" * result.weighted
    lines = [
        ("rows", result.size),
        ("mean log-likelihood", _text(result.mean, weighted)),
        *([] if result.discrete else [("gain over Gaussian", _text(result.gain, weighted))]),
    ]
    if result.n_zero:
        more = result.n_zero - SHOWN
        shown = [*result.first_zero, *([f"and {more} more"] if more > 0 else [])]
        lines.append(("density zero", f"{result.n_zero} rows (counted from 1)"))
        lines += [("", text) for text in shown]
    if result.inside is not None:
        mean, gain = result.inside
        known = "" if result.discrete else f", gain over Gaussian {_text(gain)}"
        lines.append(("the other rows", f"{_text(mean)}{known}"))
    to_stderr = output == STANDARD
    print_lines(title, lines, to_stderr=to_stderr)
    say(result.verdict, to_stderr=to_stderr)
    if result.gain.mean > 0:
        say(
            "Rows that the model was fitted to flatter it; judge it by others.", to_stderr=to_stderr
        )
    if output not in (None, STANDARD):
        say(f"Log-densities written to {output}")


def _text(value: "MeanAndError", weighted: str = "") -> str:
    known_error = not math.isnan(value.standard_error)
    return f"{value if known_error else format(value.mean, '.4f')} nats per row{weighted}"


def _score_json(result: _Score) -> dict[str, Any]:
    inside = result.inside or (result.mean, result.gain)
    claimed = not result.discrete
    return {
        "rows": result.n_rows,
        "weighted": result.weighted,
        "effective_size": result.effective_size,
        "log_likelihood": _plain(result.mean),
        "gain": _plain(result.gain) if claimed else None,
        "rows_of_density_zero": result.n_zero,
        "first_of_density_zero": list(result.first_zero),
        "log_likelihood_of_other_rows": _plain(inside[0]),
        "gain_of_other_rows": _plain(inside[1]) if claimed else None,
        "verdict": result.verdict,
    }


def _plain(value: "MeanAndError") -> dict[str, float]:
    low, high = value.interval
    return {"mean": value.mean, "standard_error": value.standard_error, "low": low, "high": high}
