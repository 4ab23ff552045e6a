"""Names of columns and patterns of them: which ones fit, and which one was meant.

Files and tables in memory are chosen from alike.
"""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any


def matching(pattern: str, names: Sequence[str]) -> list[int]:
    """Return where the columns stand that fit a pattern: a name, or one with `*` and `?`.

    A name stands for itself; in others `*` stands for any characters and `?` for one. Brackets are
    letters as others, since names of vectors' entries have them.
    """
    if pattern in names:
        return [names.index(pattern)]
    escaped = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return [j for j, name in enumerate(names) if re.fullmatch(escaped, name, re.DOTALL)]


def suggestion(unknown: Any, names: Iterable[str]) -> str:
    """Return ` Did you mean 'alpha0'?` for a name that is nearly one of `names`; else nothing."""
    by_lower = {name.lower(): name for name in names}
    near = get_close_matches(str(unknown).lower(), by_lower, n=1)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""
