"""What `brenier fit` reads: rows with their weights and chains, and rows for validation."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from brenier.cli.door import note
from brenier.cli.files import (
    Reading,
    display_name,
    files_name,
    in_order,
    split_column,
    with_names,
)
from brenier.cli.weights import WeightsColumn
from brenier.data.names import default_names

if TYPE_CHECKING:
    import numpy as np

    from brenier.io.table import Table


@dataclass(frozen=True)
class Inputs:
    """What was read: the training table without its weights and chains, these, validation rows."""

    data: tuple[str, ...]
    names: tuple[str, ...] | None
    values: "np.ndarray"
    weights: "np.ndarray | None"
    chains: "np.ndarray | None"
    validation: str | None
    validation_data: Any
    constants: tuple[tuple[str, float], ...] = ()

    @property
    def name(self) -> str:
        """How messages name the data."""
        return files_name(self.data)

    @property
    def shown_names(self) -> tuple[str, ...]:
        """The columns' names, x0, x1, ... where they have none."""
        n = self.values.shape[1]
        return tuple(default_names(n)) if self.names is None else self.names

    def size(self, worth: str = "") -> str:
        """How large the table is; `worth` is put after its number of rows."""
        N, n = self.values.shape
        rows = f"{N} row{'s' * (N != 1)}{worth}{',' * bool(worth)}"
        return f"{rows} of {n} column{'s' * (n != 1)}"

    @property
    def worth(self) -> str:
        """What the rows are worth, known before the fit: copies of a row count apart."""
        from brenier.data.weights import are_unequal, effective_size
        from brenier.training.report import worth

        if self.weights is None or not are_unequal(self.weights):
            return ""
        return worth(effective_size(self.weights))


def read_inputs(
    data: list[str],
    validation: str | None,
    weights: WeightsColumn,
    chains: str | None,
    reading: Reading,
) -> Inputs:
    """Return what is in the files."""
    table, omega, groups = _read_tables(data, weights, chains, reading)
    constants = ()
    if reading.drop_constant:
        table, constants = _without_constants(table, data, reading)
    held = None
    if validation is not None:
        # Every process reads all of them.
        whole = replace(reading, rows_of=None)
        held = _read_validation(validation, table, weights, chains, whole)
    return Inputs(
        tuple(data), table.columns, table.values, omega, groups, validation, held, constants
    )


def _read_tables(
    data: list[str], weights: WeightsColumn, chains: str | None, reading: Reading
) -> "tuple[Table, np.ndarray | None, np.ndarray | None]":
    """Return the rows of all files, their weights, and which chain each is of.

    Of several files each is a chain, or holds several if it has a column of them.
    """
    from brenier.io.table import Table

    parts, omegas, chains_of = [], [], []
    for path in data:
        names = parts[0].columns if parts else None
        table, omega = weights.read(path, reading, chains=chains, enough=names or ())
        table, chain = split_column(table, chains, path, "chains")
        own = table.chain if chain is None else chain
        if names is not None:
            values = in_order(table, names, path, quiet=reading.quiet)
            table = Table(names, values, notes=table.notes)
        if parts and table.values.shape[1] != parts[0].values.shape[1]:
            raise ValueError(
                f"Expected the {parts[0].values.shape[1]} columns of {display_name(data[0])} in "
                f"{display_name(path)}; got {table.values.shape[1]}."
            )
        parts.append(table)
        omegas.append(omega)
        chains_of.append(own)
    labels = _labels(parts, chains_of)
    _say_what_was_read(data, parts, labels, reading)
    return Table(parts[0].columns, _rows(parts)), _together(omegas, data), labels


def _rows(parts: "list[Table]") -> "np.ndarray":
    """Return the rows of all tables; those of one are not copied."""
    import numpy as np

    return parts[0].values if len(parts) == 1 else np.concatenate([part.values for part in parts])


def _labels(parts: "list[Table]", chains: "list[np.ndarray | None]") -> "np.ndarray | None":
    """Return which chain each row is of, 0, 1, ...; None where nothing says so.

    `chains` holds what every table says of its rows.
    """
    import numpy as np

    if len(parts) == 1 and chains[0] is None:
        return None
    groups = []
    for number, (part, chain) in enumerate(zip(parts, chains, strict=True)):
        label = np.zeros(len(part.values)) if chain is None else chain
        groups.append(np.column_stack([np.full(len(label), number), label]))
    _, labels = np.unique(np.concatenate(groups), axis=0, return_inverse=True)
    return labels.reshape(-1)


def _without_constants(
    table: "Table", data: list[str], reading: Reading
) -> "tuple[Table, tuple[tuple[str, float], ...]]":
    """Return a table without the columns of one value, and their names and values."""
    from brenier.io.table import Table

    values = table.values
    constant = (values == values[0]).all(axis=0)
    if not constant.any():
        return table, ()
    if constant.all():
        raise ValueError(
            f"Expected a column of {files_name(data)} with different values; got none. Give "
            "another table."
        )
    names = table.columns or default_names(values.shape[1])
    pairs = list(zip(names, values[0].tolist(), constant, strict=True))
    constants = tuple((name, value) for name, value, is_one in pairs if is_one)
    said = ", ".join(f"{name} = {value:g}" for name, value in constants)
    reading.say(data, [f"{said} in all rows: left out, samples carry it"])
    kept = tuple(name for name, _, is_one in pairs if not is_one)
    return Table(kept, values[:, ~constant].copy()), constants


def _together(omegas: "list[np.ndarray | None]", data: list[str]) -> "np.ndarray | None":
    """Return the weights of all files; None where there are none."""
    import numpy as np

    there = [omega for omega in omegas if omega is not None]
    if not there:
        return None
    if len(there) < len(omegas):
        without = [path for path, omega in zip(data, omegas, strict=True) if omega is None]
        raise ValueError(
            f"Expected weights in all files or in none; got none in {display_name(without[0])}. "
            "Name their column with --weights."
        )
    return np.concatenate(there)


def _say_what_was_read(
    data: list[str], parts: "list[Table]", labels: "np.ndarray | None", reading: Reading
) -> None:
    """Say in one line of all files what was taken for what, and of later ones what differs."""
    import numpy as np

    own = [list(part.notes) for part in parts]
    common = [text for text in own[0] if all(text in notes for notes in own)]
    if labels is None:
        reading.say(data, common)
        return
    sizes = np.unique(np.unique(labels, return_counts=True)[1])
    lengths = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    n_chains = int(labels.max()) + 1
    reading.say(data, [f"{n_chains} chain{'s' * (n_chains > 1)} of {lengths} draws", *common])
    for path, notes in zip(data, own, strict=True):
        reading.say([path], [text for text in notes if text not in common])


def _read_validation(
    path: str,
    table: "Table",
    weights: WeightsColumn,
    chains: str | None,
    reading: Reading,
) -> Any:
    """Return the validation rows in the columns of the table, with their weights if there are."""
    rows, omega = weights.read(
        path, reading, chains=chains, enough=table.columns or (), missing_ok=True
    )
    reading.say([path], rows.notes)
    if weights.name is not None and omega is None and not reading.quiet:
        note(f"Note: no column {weights.name!r} in {display_name(path)}: its rows count alike.")
    there = rows.columns or ()
    rows, _ = split_column(rows, chains if chains in there else None, path, "chains")
    names = table.columns or default_names(table.values.shape[1])
    values = with_names(in_order(rows, names, path, quiet=reading.quiet), table.columns)
    return values if omega is None else (values, omega)
