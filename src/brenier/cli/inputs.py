"""What `brenier fit` reads: rows with their weights and chains, and rows for validation."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from brenier.cli.door import note
from brenier.cli.files import (
    Reading,
    display_name,
    files_name,
    in_order,
    with_names,
)
from brenier.cli.kept import Kept
from brenier.cli.weights import WeightsColumn
from brenier.data.names import default_names

if TYPE_CHECKING:
    import numpy as np

    from brenier.io.table import Table


@dataclass(frozen=True)
class Inputs:
    """What was read: the training table without its weights and chains, these, validation rows.

    Of `n_read` rows in the files those of the table were kept.
    """

    data: tuple[str, ...]
    names: tuple[str, ...] | None
    values: "np.ndarray"
    weights: "np.ndarray | None"
    chains: "np.ndarray | None"
    validation: str | None
    validation_data: Any
    constants: tuple[tuple[str, float], ...] = ()
    n_read: int = 0

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
        rows = f"{N}{f' of {self.n_read}' * self.is_sample} row{'s' * (N != 1)}"
        rows += f"{worth}{',' * bool(worth)}"
        return f"{rows} of {n} column{'s' * (n != 1)}"

    @property
    def is_sample(self) -> bool:
        """Whether the files have more rows."""
        return self.n_read > len(self.values)

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
    """Return what is in the files; of long ones a sample of their rows."""
    kept = Kept(weights, reading, chains=chains, several=len(data) > 1)
    for path in data:
        kept.read(path, enough=kept.columns)
    _say_what_was_read(data, kept, reading)
    table, constants = kept.table, ()
    if reading.drop_constant:
        rows = "all rows" if kept.sample.is_all else "all rows that are used"
        table, constants = _without_constants(table, data, reading, rows)
    held = None
    if validation is not None:
        # Every process reads all of them.
        whole = replace(reading, sharing=None)
        held = _read_validation(validation, table, weights, chains, whole)
    return Inputs(
        tuple(data),
        table.columns,
        table.values,
        kept.weights,
        kept.labels,
        validation,
        held,
        constants,
        kept.sample.n_rows,
    )


def _without_constants(
    table: "Table", data: list[str], reading: Reading, rows: str
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
    reading.say(data, [f"{said} in {rows}: left out, samples carry it"])
    kept = tuple(name for name, _, is_one in pairs if not is_one)
    return Table(kept, values[:, ~constant].copy()), constants


def _say_what_was_read(data: list[str], kept: Kept, reading: Reading) -> None:
    """Say in one line of all files what was taken for what, and of later ones what differs."""
    own = [of_file.notes for of_file in kept.files]
    common = [text for text in own[0] if all(text in notes for notes in own)]
    sizes = kept.draws
    if sizes:
        lengths = " to ".join(f"{n:,}" for n in sorted({min(sizes), max(sizes)}))
        n_chains = len(sizes)
        common = [f"{n_chains} chain{'s' * (n_chains > 1)} of {lengths} draws", *common]
    reading.say(data, [*common, *kept.notes])
    if not sizes:
        return
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
    kept = Kept(weights, reading, chains=chains)
    kept.read(path, enough=table.columns or (), missing_ok=True)
    reading.say([path], [*kept.files[0].notes, *kept.notes])
    omega = kept.weights
    if weights.name is not None and omega is None and not reading.quiet:
        note(f"Note: no column {weights.name!r} in {display_name(path)}: its rows count alike.")
    names = table.columns or default_names(table.values.shape[1])
    values = with_names(in_order(kept.table, names, path, quiet=reading.quiet), table.columns)
    return values if omega is None else (values, omega)
