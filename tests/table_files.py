"""What the tests of data files share: files to write, and how every refusal must read."""

import io

import numpy as np
import pytest
from hypothesis import settings

from brenier.io.table import TableError, read_table

SUFFIXES = [".csv", ".csv.gz", ".tsv", ".tsv.gz", ".npy", ".parquet", ".pq"]
VALUES = np.array([[1.0, -2.5], [0.1, 1e-300], [-0.0, 1 / 3]])
# The disk decides how long one example takes.
RELAXED = settings(deadline=None, max_examples=40)


def save(tmp_path, content, name="data.csv"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def parquet(frame):
    stream = io.BytesIO()
    frame.write_parquet(stream)
    return stream.getvalue()


def refusal(path, **options):
    """Return the message with which a file is refused, checking what every one must have."""
    with pytest.raises(TableError) as caught:
        read_table(path, **options)
    message = str(caught.value)
    assert message.startswith("Expected")
    assert "; got" in message
    assert str(path) in message
    assert message.endswith(".")
    assert "\n" not in message
    return message
