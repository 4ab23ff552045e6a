"""Patterns of column names, which files and tables in memory are chosen by alike."""

import numpy as np
import polars as pl
import pytest

from brenier.data.tables import chosen
from brenier.io.columns import Columns, choose
from brenier.patterns import matching, suggestion

NAMES = ("theta[0]", "theta[1]", "theta0", "a*", "ab", "a\nb", "a.b")


@pytest.mark.parametrize(
    ("pattern", "places"),
    [
        ("theta[0]", [0]),
        ("theta[*", [0, 1]),
        ("theta[01]", []),
        # A name stands for itself, also one that could be a pattern.
        ("a*", [3]),
        ("a?", [3, 4]),
        ("a?b", [5, 6]),
        ("a.b", [6]),
        ("*", [0, 1, 2, 3, 4, 5, 6]),
        ("", []),
    ],
)
def test_names_and_patterns_of_files_and_of_tables(pattern, places):
    assert matching(pattern, NAMES) == places
    table = pl.DataFrame(np.zeros((1, len(NAMES))), schema=list(NAMES))
    if places:
        names = [NAMES[j] for j in places]
        assert chosen(table, [pattern]).columns == names
        assert choose(NAMES, Columns((pattern,)), "here").names == tuple(names)
    else:
        with pytest.raises(ValueError, match="none of"):
            chosen(table, [pattern])
        with pytest.raises(ValueError, match="none of"):
            choose(NAMES, Columns((pattern,)), "here")


def test_what_was_meant():
    assert suggestion("Alpha0", ["mu", "alpha0"]) == " Did you mean 'alpha0'?"
    assert suggestion("sigma", ["mu", "alpha0"]) == ""
    assert suggestion(7, ["mu"]) == ""
