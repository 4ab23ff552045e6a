r"""How a text file separates its values, found from its first lines.

Of every separator it is counted how many fields the lines have. A separator is better the more
lines have as many as the first, and the more of their cells are numbers.
"""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

# Runs of blanks and tabs.
BLANKS = " "
# In the order in which equally good ones are taken.
SEPARATORS = (",", ";", "\t", "|", BLANKS)
# How a missing value is marked, in any case of letters.
MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none")
COMMENT = "#"
# So many records are looked at.
SAMPLED = 100

_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_POINT = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Dialect:
    """How values are separated.

    Attributes
    ----------
    separator : str
        One character; a blank stands for runs of blanks and tabs.
    decimal_comma : bool
        Whether decimals are written with a comma.
    also : str, or None
        Another separator that would give several fields in every line, too.
    """

    separator: str
    decimal_comma: bool = False
    also: str | None = None

    @property
    def reads(self) -> str:
        """The separator of the text that is parsed: that of blanks is a tab then."""
        return "\t" if self.separator == BLANKS else self.separator

    @property
    def name(self) -> str:
        """How messages name the separator."""
        return NAMES[self.separator]

    @property
    def notes(self) -> tuple[str, ...]:
        """What is said of a choice between two readings."""
        if self.decimal_comma:
            return (f"values are separated by {self.name}, and commas are decimal points",)
        if self.also is not None and {self.separator, self.also} == {",", ";"}:
            return (f"values are separated by {self.name}, not by {NAMES[self.also]}",)
        return ()

    def number(self, field: str) -> float | None:
        """Return the number that a field is, or None."""
        if self.decimal_comma:
            field = field.replace(",", ".")
        try:
            # Python reads 1_000 as a number; no data file means that.
            return None if "_" in field else float(field)
        except ValueError:
            return None

    def is_data(self, fields: Sequence[str]) -> bool:
        """Whether these are a row: numbers or marks of missing values, and one finite number."""
        numbers = [self.number(field) for field in fields]
        plausible = all(
            number is not None or field.lower() in MISSING
            for number, field in zip(numbers, fields, strict=True)
        )
        return plausible and any(number is not None and math.isfinite(number) for number in numbers)


NAMES = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'", BLANKS: "blanks"}
COMMAS = Dialect(",")


def dialect_of(lines: Sequence[str]) -> Dialect:
    """Return how the values of lines, with neither comments nor blank lines, are separated."""
    found = []
    for separator in SEPARATORS:
        records = split(lines, separator, SAMPLED)
        if records and len(records[0]) > 1:
            score, dialect = _judged(separator, records)
            # A name may hold a blank, so one line of them tells nothing.
            if separator != BLANKS or score > 0:
                found.append((score, dialect))
    if not found:
        return COMMAS
    best = max(range(len(found)), key=lambda k: found[k][0])
    others = [one.separator for score, one in found if one != found[best][1] and score >= 1]
    _, dialect = found[best]
    return Dialect(dialect.separator, dialect.decimal_comma, *others[:1])


def _judged(separator: str, records: list[list[str]]) -> tuple[float, Dialect]:
    """Return how good a separator is: 1 if all lines have as many fields, 2 if all are numbers."""
    n = len(records[0])
    rows = records[1:] or records
    fitting = [record for record in rows if len(record) == n]
    # Rows that begin with names of their own, which the message says, unless something else fits.
    named = [] if fitting else [record for record in rows if len(record) == n + 1]
    cells = [cell for record in fitting for cell in record]
    comma = separator != "," and any(map(_COMMA.fullmatch, cells))
    dialect = Dialect(separator, comma and not any(map(_POINT.fullmatch, cells)))
    numbers = sum(dialect.number(cell) is not None or cell.lower() in MISSING for cell in cells)
    share = numbers / len(cells) if cells else 0.0
    return (len(fitting) * (1 + share) + len(named) / 2) / len(rows), dialect


def split(lines: Sequence[str], separator: str, most: int) -> list[list[str]]:
    """Return the fields of the first records, stripped; none where they are no separated text."""
    if separator == BLANKS:
        stripped = [line.strip(" \t\r\n") for line in lines[:most]]
        return [re.split(r"[ \t]+", line) for line in stripped if line]
    records = []
    try:
        for record in csv.reader(lines, delimiter=separator, skipinitialspace=True):
            if record not in ([], [""]):
                records.append([field.strip() for field in record])
            if len(records) == most:
                break
    except csv.Error:
        return []
    return records
