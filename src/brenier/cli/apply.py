"""`brenier sample`, `transform`, `inverse`: rows of a model, and rows carried by its map."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brenier.cli import options as o
from brenier.cli.door import door
from brenier.cli.files import (
    STANDARD,
    Reading,
    as_arguments,
    as_context,
    check_output,
    context_names,
    density_names,
    is_conditional,
    is_mixture,
    load_density,
    variable_names,
)
from brenier.cli.questions import Given, context_rows, drawn_given, written
from brenier.cli.row_warnings import RowWarnings
from brenier.cli.rows import read_rows, row_pieces
from brenier.data.names import default_names

if TYPE_CHECKING:
    import numpy as np

# The column that says which component of a mixture a row was carried by.
COMPONENT = "component"


def sample(
    model: o.ModelArgument,
    *,
    n: Annotated[
        int,
        typer.Option(
            "-n",
            "--number",
            min=1,
            metavar="INT",
            help="How many rows to draw; for each row of --given FILE where there is one.",
        ),
    ] = 1000,
    given: o.GivenValuesOption = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**32 - 1,
            metavar="INT",
            help="Seed. [default: that of the fit]",
            show_default=False,
        ),
    ] = None,
    columns: o.ColumnsOption = None,
    drop: o.DropOption = None,
    drop_missing: o.DropMissingOption = False,
    output: o.RowsOutput = STANDARD,
    debug: o.Debug = False,
) -> None:
    """Draw new rows from a model's density.

    With --given NAME=VALUE the other columns are drawn given these values. From a conditional
    model, rows of the context and of what was drawn given it. --columns and --drop choose what is
    written. Columns that `brenier fit --drop-constant` left out come last.
    """
    asked = Given.of(given)
    reading = Reading.of(columns, drop, drop_missing=drop_missing)
    with door(debug=debug):
        check_output(output, inputs=(model, asked.file))
        flow = load_density(model)
        if is_conditional(flow):
            if asked.file is None:
                context = context_rows(flow, model, asked)
            else:
                context = read_rows(asked.file, context_names(flow), reading)
            rows = _drawn(context, flow.sample(as_context(flow, context), n, random_state=seed))
        elif asked:
            rows = drawn_given(flow, asked.without_file(model), n, seed)
        else:
            rows = flow.sample(n, random_state=seed)
        values = _with_constants(flow, rows)
        names = _names_with_constants(flow, variable_names(flow))
        if asked.file is None:
            chosen = written(names, reading)
            values, names = values[:, [names.index(name) for name in chosen]], chosen
        _write(output, values, names)


def transform(
    model: o.ModelArgument,
    data: o.DataArgument,
    *,
    columns: o.ColumnsOption = None,
    drop: o.DropOption = None,
    drop_missing: o.DropMissingOption = False,
    output: o.RowsOutput = STANDARD,
    debug: o.Debug = False,
) -> None:
    """Map rows to normal space.

    The columns z0, z1, ... are independent and standard normal if the fit is right. Of a mixture
    the column "component" says by whose map: one of each row's, drawn by how likely they are.
    """
    reading = Reading.of(columns, drop, drop_missing=drop_missing)
    with door(debug=debug):
        check_output(output, inputs=(model, data))
        flow = load_density(model)
        _write_pieces(output, _images(flow, data, reading), _image_names(flow))


def inverse(
    model: o.ModelArgument,
    data: o.DataArgument,
    *,
    columns: o.ColumnsOption = None,
    drop: o.DropOption = None,
    drop_missing: o.DropMissingOption = False,
    output: o.RowsOutput = STANDARD,
    debug: o.Debug = False,
) -> None:
    """Map rows of normal space back to the data's columns.

    The columns of DATA are z0, z1, ..., as `brenier transform` writes them, and before them the
    context's of a conditional model; of a mixture also the column "component".
    """
    reading = Reading.of(columns, drop, drop_missing=drop_missing)
    with door(debug=debug):
        check_output(output, inputs=(model, data))
        flow = load_density(model)
        names = _names_with_constants(flow, density_names(flow))
        _write_pieces(output, _preimages(flow, data, reading), names)


def _images(flow: Any, data: str, reading: Reading) -> "Iterator[np.ndarray]":
    """Yield the images of a file's rows, piece by piece."""
    carried = flow.carrying() if is_mixture(flow) else None
    told = RowWarnings()
    for X in _pieces(flow, data, variable_names(flow), reading):
        arguments = as_arguments(flow, X)
        with told.of_piece(len(X)):
            Z = flow.transform(*arguments) if carried is None else carried(*arguments)
        yield Z if carried is None else _with_labels(*Z)
        # Not kept while the next ones are read.
        del X, Z, arguments
    told.give()


def _pieces(
    flow: Any, data: str, names: "Sequence[str]", reading: Reading
) -> "Iterator[np.ndarray]":
    """Yield a file's rows; all at once where draws depend on which rows come together."""
    if flow.folding_.is_plain:
        yield from row_pieces(data, names, reading)
    else:
        yield read_rows(data, names, reading)


def _preimages(flow: Any, data: str, reading: Reading) -> "Iterator[np.ndarray]":
    """Yield the rows whose images a file holds, piece by piece."""
    context, told = context_names(flow), RowWarnings()
    for rows in row_pieces(data, [*context, *_image_names(flow)], reading):
        X, Z = rows[:, : len(context)], rows[:, len(context) :]
        points = (Z[:, :-1], _as_labels(Z[:, -1])) if is_mixture(flow) else (Z,)
        given = (as_context(flow, X.copy()),) if context else ()
        with told.of_piece(len(rows)):
            Y = flow.inverse_transform(*given, *points)
        yield _with_constants(flow, Y)
        # Not kept while the next ones are read.
        del rows, X, Z, points, given, Y
    told.give()


def _with_labels(Z: "np.ndarray", labels: "np.ndarray") -> "np.ndarray":
    """Return images with the components by whose maps they are."""
    import numpy as np

    return np.column_stack([Z, labels])


def _as_labels(column: "np.ndarray") -> "np.ndarray":
    """Return the components in a column of numbers; others than whole ones as they are."""
    return column.astype(int) if (column == column.round()).all() else column


def _image_names(flow: Any) -> list[str]:
    """Return the columns of images: of a mixture the component comes last."""
    return [*default_names(len(density_names(flow)), "z"), *[COMPONENT] * is_mixture(flow)]


def _drawn(context: "np.ndarray", Y: "np.ndarray") -> "np.ndarray":
    """Return rows of a context and of the targets drawn for them."""
    import numpy as np

    drawn = Y.reshape(-1, Y.shape[2])
    return np.concatenate([np.repeat(context, Y.shape[1], axis=0), drawn], axis=1)


def _with_constants(flow: Any, rows: "np.ndarray") -> "np.ndarray":
    """Return rows with those columns of one value that the model remembers behind."""
    import numpy as np

    from brenier.estimators.constants import constants_of

    constants = constants_of(flow)
    if not constants:
        return rows
    more = np.broadcast_to([value for _, value in constants], (len(rows), len(constants)))
    return np.concatenate([rows, more], axis=1)


def _names_with_constants(flow: Any, names: "Sequence[str]") -> list[str]:
    """Return names with those of these columns behind."""
    from brenier.estimators.constants import constants_of

    return [*names, *(name for name, _ in constants_of(flow))]


def _write(path: str, values: "np.ndarray", names: list[str]) -> None:
    from brenier.io.table import write_table

    write_table(path, values, names)


def _write_pieces(path: str, pieces: "Iterator[np.ndarray]", names: list[str]) -> None:
    from brenier.io.table import write_pieces

    write_pieces(path, pieces, names)
