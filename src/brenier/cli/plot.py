"""`brenier plot`: a picture of a model, alone or with rows."""

from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brenier.cli import options as o
from brenier.cli.door import door
from brenier.cli.extras import check_matplotlib
from brenier.cli.files import (
    STANDARD,
    Reading,
    check_output,
    context_names,
    density_names,
    display_name,
    is_conditional,
    load_density,
    stored_names,
    variable_names,
    with_names,
)
from brenier.cli.rows import read_rows
from brenier.cli.summary import block_titles, say

if TYPE_CHECKING:
    import numpy as np

# Endings of the files that can be written.
FORMS = (".png", ".svg", ".pdf")


class Kind(Enum):
    """What a picture shows."""

    DENSITY = "density"
    SAMPLES = "samples"
    MAP = "map"
    NORMAL = "normal"
    CALIBRATION = "calibration"
    TRAINING = "training"


ALONE = (Kind.DENSITY, Kind.SAMPLES, Kind.MAP, Kind.TRAINING)
OF_COLUMNS = (Kind.DENSITY, Kind.SAMPLES)

DataArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[DATA]",
        help="Rows to draw with it: a data file, or - for standard input.",
        show_default=False,
    ),
]
KindOption = Annotated[
    Kind | None,
    typer.Option(
        help="What to draw: the density of one or two columns; samples beside the data, pair by "
        "pair; the map of two columns; the image of the data, which is normal if the fit is right; "
        "the calibration, whether it is; how the training went. [default: density of one or two "
        "columns, samples of more and of a density given others]",
        show_default=False,
    ),
]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="COLUMN,COLUMN,...",
        help="Columns to draw, at most six, of density and samples. [default: all, or the first "
        "six]",
        show_default=False,
    ),
]
PictureOption = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Where to write: .png, .svg or .pdf. [default: MODEL's name with .png, in the current "
        "folder]",
        show_default=False,
    ),
]


def plot(
    model: o.ModelArgument,
    data: DataArgument = None,
    *,
    output: PictureOption = None,
    kind: KindOption = None,
    columns: ColumnsOption = None,
    drop_missing: o.DropMissingOption = False,
    max_rows: o.MaxRowsOption = None,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """Draw a picture of a model, with the rows of a data file or without.

    One or two columns: the density. More: samples, beside the data where there are any. Of a
    density given other columns: samples at the contexts of the data.
    """
    with door(debug=debug, quiet=quiet):
        check_matplotlib()
        path = Path(model).with_suffix(FORMS[0]).name if output is None else output
        form = _form(path)
        check_output(path, inputs=(model, data))
        flow = load_density(model)
        kind = _usual(flow) if kind is None else kind
        _check(flow, kind, model, data)
        shown = None if columns is None else _columns(columns, kind)
        reading = Reading(drop_missing=drop_missing, quiet=quiet, most_rows=o.most_rows(max_rows))
        rows = None if data is None else read_rows(data, variable_names(flow), reading)
        figure = _drawn(flow, rows, kind, shown)
        from brenier.io.atomic import write_atomically
        from brenier.plots.picture import encoded

        write_atomically(path, encoded(figure, form))
        if not quiet:
            what = f"{kind.value} of {model}"
            beside = "" if data is None else f" with {display_name(data)}"
            say(f"Picture ({what}{beside}) written to {path}")


def _form(path: str) -> str:
    suffix = Path(path).suffix.lower()
    if path == STANDARD or suffix not in FORMS:
        raise ValueError(
            f"Expected a file that ends in {', '.join(FORMS[:-1])} or {FORMS[-1]}; got {path}. "
            "Name one with -o."
        )
    return suffix[1:]


def _usual(flow: Any) -> Kind:
    few = len(density_names(flow)) <= 2 and not is_conditional(flow)
    return Kind.DENSITY if few else Kind.SAMPLES


def _columns(text: str, kind: Kind) -> list[str]:
    if kind not in OF_COLUMNS:
        raise ValueError(
            f"Expected no --columns for a picture of kind {kind.value}; got {text}. Leave it out."
        )
    return [name.strip() for name in text.split(",")]


def _check(flow: Any, kind: Kind, model: str, data: str | None) -> None:
    """Raise `ValueError` where there is no such picture of this model, or not without rows."""
    conditional, n = is_conditional(flow), len(density_names(flow))
    wanted = None
    if kind is Kind.DENSITY and (conditional or n > 2):
        wanted = "a density of one or two columns", Kind.SAMPLES
    if kind is Kind.MAP and (n != 2 or not _has_inverse(flow)):
        wanted = "a ConvexPotentialFlow of two columns", Kind.SAMPLES
    if kind is Kind.NORMAL and n < 2:
        wanted = "a density of two columns or more", Kind.CALIBRATION
    if wanted is not None:
        what, other = wanted
        given = " given others" if conditional else ""
        raise ValueError(
            f"Expected {what} to draw its {kind.value}; got one of {n} column(s){given} in "
            f"{model}. Draw --kind {other.value}."
        )
    if kind is Kind.TRAINING and data is not None:
        raise ValueError(
            f"Expected no DATA to draw how the training went; got {display_name(data)}. Leave it "
            "out."
        )
    if data is None and (kind not in ALONE or (conditional and kind is not Kind.TRAINING)):
        raise ValueError(
            f"Expected DATA, rows of {', '.join(variable_names(flow))}, to draw the {kind.value} "
            f"of {model}; got none. Give a data file after the model."
        )


def _has_inverse(flow: Any) -> bool:
    from brenier.estimators import ConvexPotentialFlow

    return isinstance(flow, ConvexPotentialFlow)


def _drawn(flow: Any, rows: "np.ndarray | None", kind: Kind, columns: list[str] | None) -> Any:
    """Return the figure; `rows` has the columns of the model, in its order."""
    from brenier import plots
    from brenier.plots.picture import in_figure, on_axes
    from brenier.plots.samples import MOST_COLUMNS, size_of_samples

    if kind is Kind.TRAINING:
        return on_axes(partial(plots.plot_training, _reports(flow)))
    names = variable_names(flow)
    source = _with_contexts(flow, rows) if is_conditional(flow) else flow
    table = None if rows is None else with_names(rows, _names_to_match(flow))
    if kind is Kind.DENSITY:
        return on_axes(partial(plots.plot_density, source, table, columns=columns))
    if kind is Kind.MAP:
        return on_axes(partial(plots.plot_map, source, table))
    if kind is Kind.NORMAL:
        return on_axes(partial(plots.plot_normal, source, table), aspect=1.0)
    if kind is Kind.CALIBRATION:
        return on_axes(partial(plots.plot_calibration, source, table), aspect=1.0)
    n_shown = min(len(names), MOST_COLUMNS) if columns is None else len(columns)
    draw = partial(plots.plot_samples, source, table, columns=columns)
    return in_figure(draw, size_of_samples(n_shown))


def _names_to_match(flow: Any) -> list[str] | None:
    """Return the names that rows must have: those stored, and all of a model with a context."""
    return variable_names(flow) if is_conditional(flow) else stored_names(flow)


def _with_contexts(flow: Any, rows: Any) -> Any:
    """Return a conditional density at the contexts of rows."""
    from brenier.plots.given import GivenContexts

    names = variable_names(flow)
    return GivenContexts(flow, rows[:, : len(context_names(flow))].copy(), names)


def _reports(flow: Any) -> Any:
    """Return the report of a model, or those of its blocks by their names."""
    from brenier.estimators import TriangularConvexPotentialFlow

    if not isinstance(flow, TriangularConvexPotentialFlow):
        return flow.report_
    return dict(zip(block_titles(flow.blocks_), flow.reports_, strict=True))
