"""`brenier compare`: which of several models is likelier, by rows that none has seen."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brenier.cli import options as o
from brenier.cli.door import door
from brenier.cli.files import Reading, as_arguments, display_name, load_density, variable_names
from brenier.cli.rows import weighted_rows
from brenier.cli.summary import print_json, say
from brenier.cli.weights import WeightsColumn

if TYPE_CHECKING:
    from brenier.diagnostics.diagnosis import Comparison

FilesArgument = Annotated[
    list[str],
    typer.Argument(metavar="MODEL MODEL... DATA", help="Two model files or more; the rows last."),
]


def compare(
    files: FilesArgument,
    *,
    columns: o.ColumnsOption = None,
    drop: o.DropOption = None,
    drop_missing: o.DropMissingOption = False,
    max_rows: o.MaxRowsOption = None,
    weights: o.WeightsOption = None,
    log_weights: o.LogWeightsOption = None,
    seed: o.OfDrawsOption = None,
    quiet: o.Quiet = False,
    json: o.Json = False,
    debug: o.Debug = False,
) -> None:
    """Compare models by rows that none of them has seen.

    Paired differences of log-densities, Kullback-Leibler divergences both ways and entropies by
    draws, with standard errors.
    """
    if len(files) < 3:
        raise typer.BadParameter("expected two models or more, and a data file behind them.")
    *models, data = files
    if len(set(models)) < len(models):
        raise typer.BadParameter("expected different models; one is there twice.")
    column = WeightsColumn.of(weights, log_weights)
    reading = Reading.of(
        columns, drop, drop_missing=drop_missing, quiet=quiet, most_rows=o.most_rows(max_rows)
    )
    with door(debug=debug, quiet=quiet):
        from brenier.estimators import compare as compare_models

        named = {model: load_density(model) for model in models}
        first = named[models[0]]
        rows, row_weights = weighted_rows(data, variable_names(first), column, reading)
        X, *y = as_arguments(first, rows)
        found = compare_models(
            named, X, *y, sample_weight=row_weights, random_state=0 if seed is None else seed
        )
        if json:
            print_json({"data": data, **found.to_dict()})
        elif quiet:
            say(found.verdict)
        else:
            _print(found, display_name(data))


def _print(found: "Comparison", data: str) -> None:
    """Print the verdict, and all figures as tables."""
    say(found.verdict)
    say("")
    say(f"Nats per row of {data}, +- standard errors:")
    _print_table(
        ["", "log-density", "entropy"],
        [
            [name, _pair(mean, error), _pair(entropy, entropy_error)]
            for name, mean, error, entropy, entropy_error in zip(
                found.names,
                found.means,
                found.standard_errors,
                found.entropies,
                found.entropy_errors,
                strict=True,
            )
        ],
    )
    for title, values, errors in (
        ("How much likelier the row's model is than the column's", *_differences(found)),
        ("KL divergence of the column's model from the row's, by draws", *_divergences(found)),
    ):
        say("")
        say(f"{title}:")
        body = [
            [name, *(_pair(*one) for one in zip(row, row_errors, strict=True))]
            for name, row, row_errors in zip(found.names, values, errors, strict=True)
        ]
        _print_table(["", *found.names], body)


def _differences(found: "Comparison") -> tuple[Any, Any]:
    return found.differences, found.difference_errors


def _divergences(found: "Comparison") -> tuple[Any, Any]:
    return found.divergences, found.divergence_errors


def _pair(value: float, error: float) -> str:
    return "-" if value == 0 and error == 0 else f"{value:.4f} +- {error:.4f}"


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
    for row in (head, *rows):
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        say("  " + "  ".join(cells).rstrip())
