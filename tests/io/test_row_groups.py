"""Row groups: each is one process's, and a process reads no others."""

import numpy as np
import polars as pl
import pytest

from brenier.io.base import TableError
from brenier.io.columns import ALL
from brenier.io.folder import Parts
from brenier.io.parquet import Scanned
from brenier.io.row_groups import RowGroup, group_rows, row_groups, share_of
from brenier.io.table import read_pieces

SIZES = {"a.parquet": (1000, 128), "b.parquet": (50, 10), "c.parquet": (777, 300)}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups")
    rng = np.random.default_rng(0)
    for name, (rows, size) in SIZES.items():
        table = pl.DataFrame(rng.normal(size=(rows, 3)), schema=["x", "y", "a long name"])
        table.write_parquet(folder / name, row_group_size=size)
    return sorted(folder.iterdir())


def test_rows_of_groups_stand_at_the_end_of_a_file(files):
    assert group_rows(files[0]) == [128] * 7 + [104]
    assert group_rows(files[1]) == [10] * 5
    assert group_rows(files[2]) == [300, 300, 177]
    pyarrow = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    other = files[0].with_name("other")
    pyarrow.write_table(pyarrow.read_table(files[0]), other, row_group_size=300)
    assert group_rows(other) == [300, 300, 300, 100]
    other.unlink()


@pytest.mark.parametrize("count", [1, 2, 4, 16])
def test_every_group_is_read_by_one_process_and_no_row_twice(files, count):
    groups = row_groups(files)
    assert len(groups) == 16
    shares = [share_of(groups, k, count, "them") for k in range(count)]
    assert [group for share in shares for group in share.groups] == groups
    assert all(share.groups for share in shares)
    assert all(sum(g.rows for g in share.groups) == share.n_rows for share in shares)
    parts = Parts.of(files, ALL, "them")
    own = [parts.rows(share.first, share.n_rows) for share in shares]
    assert [len(rows) for rows in own] == [share.n_rows for share in shares]
    np.testing.assert_array_equal(np.concatenate(own), parts.rows(0, parts.n_rows))


@pytest.mark.parametrize("count", [2, 4])
def test_a_process_asks_files_for_the_rows_of_its_own_groups_alone(files, count, monkeypatch):
    put, asked = Scanned.put, []

    def counted(self, names, values, first=0):
        asked.extend((self.where, row) for row in range(first, first + len(values)))
        put(self, names, values, first)

    monkeypatch.setattr(Scanned, "put", counted)
    groups, everything = row_groups(files), []
    # Where each group begins in its file.
    begins = {
        (k, group): sum(group_rows(file)[:group])
        for k, file in enumerate(files)
        for group in range(len(group_rows(file)))
    }
    for k in range(count):
        asked.clear()
        share = share_of(groups, k, count, "them")
        rows = range(share.first, share.first + share.n_rows)
        pieces = read_pieces(files[0].parent, own=lambda parts_of, rows=rows: (parts_of(), rows))
        assert sum(len(piece.values) for piece in pieces) == share.n_rows
        own = [
            (str(files[g.file]), begins[g.file, g.group] + row)
            for g in share.groups
            for row in range(g.rows)
        ]
        # Each cell once: all three columns are read together.
        assert asked == own
        everything += own
    assert len(set(everything)) == len(everything) == sum(g.rows for g in groups)


def test_shares_are_as_equal_as_groups_allow_and_none_is_empty():
    even = [RowGroup(0, k, 100) for k in range(8)]
    assert [share_of(even, k, 4, "them").n_rows for k in range(4)] == [200] * 4
    uneven = [RowGroup(0, k, rows) for k, rows in enumerate([1, 1, 1000, 1])]
    assert [share_of(uneven, k, 4, "them").n_rows for k in range(4)] == [1, 1, 1000, 1]
    large = [RowGroup(0, k, rows) for k, rows in enumerate([1000, 1, 1, 1])]
    assert [share_of(large, k, 3, "them").n_rows for k in range(3)] == [1000, 1, 2]


def test_fewer_groups_than_processes_are_refused(files):
    with pytest.raises(TableError, match="Expected 4 row groups or more in them.*got 3. Start"):
        share_of(row_groups(files[2:]), 0, 4, "them")


def test_a_damaged_end_is_refused(tmp_path):
    path = tmp_path / "damaged"
    for content in (b"PAR1", b"PAR1" + b"\x05" * 40 + b"PAR1", b"PAR1\x19\x1c\x03\x00\x00\x00PAR1"):
        path.write_bytes(content)
        with pytest.raises(TableError, match="Check that it is whole"):
            group_rows(path)
