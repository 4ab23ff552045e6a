"""Long text read piece by piece is the text read whole, and what is wrong is in the same rows."""

import numpy as np
import pytest
from table_files import save

from brenier.io import pieces, text_pieces
from brenier.io.columns import Columns
from brenier.io.table import TableError, read_pieces, read_table

X = np.random.default_rng(0).normal(size=(50, 3))
ROWS = [",".join(map(str, row)) for row in X]


def lines(rows, header="a,b,c", end="\n"):
    return end.join([header, *rows, ""])


def changed(row, text, rows=ROWS):
    """Return the rows with one of them replaced; they count from 1."""
    return [*rows[: row - 1], text, *rows[row:]]


TEXTS = {
    "plain": lines(ROWS),
    "no last line end": lines(ROWS).rstrip(),
    "ends of Windows": lines(ROWS, end="\r\n"),
    "without names": "\n".join(ROWS),
    "missing": lines(changed(37, "1,,NA", changed(3, "nan,1,2"))),
    "blank lines": lines([*ROWS[:20], "", "", *ROWS[20:], "", ""]),
    "spaces": lines([*ROWS[:30], *(row.replace(",", " , ") for row in ROWS[30:])]),
    "a comment among the rows": lines(changed(30, f"# half\n{ROWS[29]}")),
    "quoted": lines(['"' + row.replace(",", '","') + '"' for row in ROWS]),
    "quoted line breaks": lines([f'"x\ny",{row}' for row in ROWS], "name,a,b,c"),
    "booleans": lines([f"{row},{'TRUE' if k % 3 else 'false'}" for k, row in enumerate(ROWS)]),
    "tabs": lines(ROWS).replace(",", "\t"),
    "decimal commas": lines(ROWS, "a;b;c").replace(",", ";").replace(".", ","),
    "text beside": lines([f"{row},näme" for row in ROWS], "a,b,c,name"),
}
TEXTS["booleans"] = TEXTS["booleans"].replace("a,b,c", "a,b,c,ok", 1)
CHOICES = {"quoted line breaks": Columns(drop=("name",)), "text beside": Columns(drop=("name",))}


@pytest.fixture(params=[16, 200, 10_000])
def short(request, monkeypatch):
    """Pieces of few bytes, of files that are not long."""
    monkeypatch.setattr(text_pieces, "LONG", 0)
    monkeypatch.setattr(text_pieces, "PIECE_BYTES", 4 * request.param)
    monkeypatch.setattr(pieces, "PIECE", request.param)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.usefixtures("short")
def test_pieces_are_the_table(name, tmp_path):
    path, columns = save(tmp_path, TEXTS[name]), CHOICES.get(name, Columns())
    whole = read_table(path, columns=columns, allow_missing=True)
    found = list(read_pieces(path, columns=columns))
    values = np.concatenate([piece.values for piece in found])
    np.testing.assert_array_equal(values, whole.values)
    starts = np.cumsum([0, *(len(piece.values) for piece in found)])
    assert [piece.first for piece in found] == starts[:-1].tolist()
    assert {piece.columns for piece in found} == {whole.columns}
    assert len(values) == len(X)


def test_there_are_many_pieces_and_few_rows_in_each(tmp_path, monkeypatch):
    monkeypatch.setattr(text_pieces, "LONG", 0)
    monkeypatch.setattr(text_pieces, "PIECE_BYTES", 10 * 24)
    monkeypatch.setattr(pieces, "PIECE", 16)
    path = save(tmp_path, TEXTS["plain"])
    assert [len(piece.values) for piece in read_pieces(path)] == [10] * 5
    for whole_up_to, n in ((49, 5), (51, 1), (None, 1)):
        assert len(list(read_pieces(path, whole_up_to=whole_up_to))) == n


@pytest.mark.parametrize(
    "text",
    [
        lines(changed(40, "1,2,x")),
        lines(changed(40, "1,2")),
        lines(changed(40, "1,2,3,4")),
        lines(changed(40, "a,b,c")),
        lines([*ROWS, "Total: 50 rows"]),
        lines([]),
        lines(changed(1, "km,s,kg")),
    ],
)
@pytest.mark.usefixtures("short")
def test_what_is_wrong_is_said_in_the_same_words(text, tmp_path):
    path = save(tmp_path, text)
    with pytest.raises(TableError) as whole:
        read_table(path)
    with pytest.raises(TableError) as in_pieces:
        list(read_pieces(path))
    assert str(in_pieces.value) == str(whole.value)


@pytest.mark.usefixtures("short")
def test_other_bytes_are_in_a_line_of_the_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(lines(changed(40, "1,2,é")).encode("latin1"))
    with pytest.raises(TableError, match="other bytes in line 41"):
        list(read_pieces(path))


@pytest.mark.usefixtures("short")
def test_true_among_numbers_is_no_number_wherever_pieces_end(tmp_path):
    path = save(tmp_path, lines(changed(45, "1,true,2")))
    with pytest.raises(TableError, match="Expected numbers"):
        read_table(path)
    with pytest.raises(TableError, match="Expected numbers"):
        list(read_pieces(path))


@pytest.mark.usefixtures("short")
def test_a_single_column_is_read_whole(tmp_path):
    path = save(tmp_path, "a\n" + "1\n\n2\n" * 20)
    (piece,) = read_pieces(path)
    np.testing.assert_array_equal(piece.values, read_table(path, allow_missing=True).values)
