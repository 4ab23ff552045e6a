"""`brenier diagnose`: whether a density is good, by rows that it has not seen."""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brenier.cli import options as o
from brenier.cli.door import door
from brenier.cli.extras import check_matplotlib
from brenier.cli.files import (
    Reading,
    as_arguments,
    check_output,
    display_name,
    load_density,
    variable_names,
)
from brenier.cli.rows import weighted_rows
from brenier.cli.summary import block_titles, print_json, say
from brenier.cli.weights import WeightsColumn

if TYPE_CHECKING:
    import numpy as np

    from brenier.diagnostics.diagnosis import Diagnosis

# Ending of the pages that can be written.
HTML = ".html"
# Packages whose versions a page names.
PACKAGES = ("brenier", "jax", "numpy", "scipy", "scikit-learn")

PageOption = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Where to write a page with pictures, which ends in .html; it loads nothing from "
        "anywhere.",
        show_default=False,
    ),
]
TrainOption = Annotated[
    str | None,
    typer.Option(
        "--train",
        metavar="FILE",
        help="Rows that the densities beside the model are fitted to. [default: one half of DATA; "
        "all are then judged by the other half]",
        show_default=False,
    ),
]


def diagnose(
    model: o.ModelArgument,
    data: o.DataArgument,
    *,
    output: PageOption = None,
    train: TrainOption = None,
    columns: o.ColumnsOption = None,
    drop: o.DropOption = None,
    drop_missing: o.DropMissingOption = False,
    max_rows: o.MaxRowsOption = None,
    weights: o.WeightsOption = None,
    log_weights: o.LogWeightsOption = None,
    classifier: Annotated[
        bool, typer.Option("--classifier", help="Let a classifier tell rows from draws, too.")
    ] = False,
    seed: o.OfDrawsOption = None,
    quiet: o.Quiet = False,
    json: o.Json = False,
    debug: o.Debug = False,
) -> None:
    """Say whether a model is good, by rows that it has not seen.

    How many nats a row it loses at least; one test of everything; and what is wrong, part by part.
    """
    if output is not None and not output.lower().endswith(HTML):
        raise typer.BadParameter(f"expected a FILE that ends in {HTML} for -o; got {output}.")
    column = WeightsColumn.of(weights, log_weights)
    reading = Reading.of(
        columns, drop, drop_missing=drop_missing, quiet=quiet, most_rows=o.most_rows(max_rows)
    )
    with door(debug=debug, quiet=quiet):
        if output is not None:
            check_matplotlib()
            check_output(output, inputs=(model, data, train))
        flow = load_density(model)
        rows, row_weights = weighted_rows(data, variable_names(flow), column, reading)
        others = None
        if train is not None:
            plain = WeightsColumn.of(None, None)
            others, _ = weighted_rows(train, variable_names(flow), plain, reading)
        found = _diagnosis(flow, rows, row_weights, others, classifier=classifier, seed=seed)
        if output is not None:
            options = {
                "--train": train,
                "--weights": weights,
                "--log-weights": log_weights,
                "--columns": columns,
                "--drop": drop,
                "--max-rows": None if max_rows is None else str(max_rows),
                "--seed": None if seed is None else str(seed),
                "-o": output,
            }
            flags = {"--drop-missing": drop_missing, "--classifier": classifier}
            command = _command(model, data, options, flags)
            _write_page(output, found, flow, f"{model} by {display_name(data)}", command)
        if json:
            print_json({"model": model, "data": data, **found.to_dict()})
            return
        say(found.verdict if quiet else str(found))
        if output is not None and not quiet:
            say(f"Page with pictures written to {output}")


def _diagnosis(
    flow: Any,
    rows: "np.ndarray",
    weights: "np.ndarray | None",
    train: "np.ndarray | None",
    *,
    classifier: bool,
    seed: int | None,
) -> "Diagnosis":
    arguments = as_arguments(flow, rows)
    others = None if train is None else as_arguments(flow, train)
    settings: dict[str, Any] = {"sample_weight": weights, "random_state": seed}
    if len(arguments) > 1:
        if classifier:
            raise ValueError(
                "Expected no --classifier for a density given other columns; got it. Leave it out."
            )
        return flow.diagnose(*arguments, train=others, **settings)
    single = None if others is None else others[0]
    return flow.diagnose(*arguments, train=single, classifier=classifier, **settings)


def _command(
    model: str, data: str, options: Mapping[str, str | None], flags: Mapping[str, bool]
) -> str:
    """Return what makes the page again."""
    words = ["brenier", "diagnose", model, data]
    words += [name for name, is_set in flags.items() if is_set]
    for name, value in options.items():
        words += [] if value is None else [name, value]
    return shlex.join(words)


def _write_page(path: str, found: "Diagnosis", flow: Any, title: str, command: str) -> None:
    from brenier.io.atomic import write_atomically
    from brenier.plots.diagnosis import About, diagnosis_page

    about = About(title, command, _settings(flow), _versions(), _reports(flow))
    write_atomically(path, diagnosis_page(found, about).encode())


def _settings(flow: Any) -> list[tuple[str, str]]:
    """Return the model's settings that are not None."""
    parameters = flow.get_params(deep=False)
    kind = [("kind", type(flow).__name__)]
    return kind + [(name, str(value)) for name, value in parameters.items() if value is not None]


def _versions() -> list[tuple[str, str]]:
    from importlib.metadata import version

    return [(name, version(name)) for name in PACKAGES]


def _reports(flow: Any) -> list[tuple[str, Any]]:
    from brenier.estimators import TriangularConvexPotentialFlow

    if not isinstance(flow, TriangularConvexPotentialFlow):
        return [("", flow.report_)]
    return [*zip(block_titles(flow.blocks_), flow.reports_, strict=True)]
