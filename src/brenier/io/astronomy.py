"""FITS and VOTable files, read by astropy where it is installed."""

import io
import warnings
from typing import Any

import numpy as np

from brenier.io.base import Table, TableError, damaged, listed
from brenier.io.columns import Columns
from brenier.io.named import table_of_arrays
from brenier.io.source import AbstractSource


def decode_fits(source: AbstractSource, columns: Columns) -> Table:
    """Return the one table among the extensions of a FITS file."""
    _check_astropy("a FITS file", source.where)
    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            # Of headers that break a rule of the standard's.
            warnings.simplefilter("ignore")
            with fits.open(io.BytesIO(source.read()), memmap=False) as units:
                tables = {
                    unit.name or f"extension {j}": unit
                    for j, unit in enumerate(units)
                    if isinstance(unit, fits.BinTableHDU | fits.TableHDU)
                }
                arrays = _fits_columns(_only(tables, "extensions", source.where))
    except TableError:
        raise
    except Exception as error:
        # Damaged headers make errors of many kinds.
        raise damaged("a FITS file", source.where, error) from error
    return table_of_arrays(arrays, columns, source.where)


def _fits_columns(unit: Any) -> dict[str, np.ndarray]:
    """Return the columns, with their marks of missing integers masked."""
    arrays = {}
    for column in unit.columns:
        values = np.asarray(unit.data[column.name])
        is_marked = column.null is not None and values.dtype.kind in "iu"
        is_missing = values == column.null
        arrays[column.name] = np.ma.masked_where(is_missing, values) if is_marked else values
    return arrays


def decode_votable(source: AbstractSource, columns: Columns) -> Table:
    """Return the one table in a VOTable file."""
    _check_astropy("a VOTable file", source.where)
    from astropy.io import votable

    try:
        with warnings.catch_warnings():
            # Of files that break a rule of the standard's.
            warnings.simplefilter("ignore")
            whole = votable.parse(io.BytesIO(source.read()), verify="ignore")
            tables = {
                table.name or table.ID or f"table {j}": table
                for j, table in enumerate(whole.iter_tables())
            }
            table = _only(tables, "tables", source.where)
            arrays = {field.name: table.array[field.ID] for field in table.fields}
    except TableError:
        raise
    except Exception as error:
        # Damaged files make errors of many kinds.
        raise damaged("a VOTable", source.where, error) from error
    return table_of_arrays(arrays, columns, source.where)


def _only(tables: dict[str, Any], what: str, where: str) -> Any:
    if len(tables) == 1:
        return next(iter(tables.values()))
    got = f"several: {listed(list(tables))}" if tables else "none"
    raise TableError(
        f"Expected one table among the {what} of {where}; got {got}. Give a file with one."
    )


def _check_astropy(kind: str, where: str) -> None:
    try:
        import astropy  # noqa: F401 - whether it is there
    except ImportError as error:
        raise TableError(
            f"Expected a table in {where}; got {kind}, which the package astropy reads and which "
            "is not installed: pip install 'brenier[astronomy]'. Or save the table as CSV."
        ) from error
