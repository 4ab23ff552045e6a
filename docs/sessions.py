"""Run the guide's sessions and put in what they print: `python docs/sessions.py`.

A session is a block of `pycon` lines. All run one after the other from the project's folder, in one
space of names; one whose marker `<!-- needs a, b -->` names libraries, only where these are there.
"""

import contextlib
import doctest
import io
import os
import re
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import Any

GUIDE = Path(__file__).parent / "guide.md"
SESSION = re.compile(r"(?:<!-- needs ([\w, ]+) -->\n)?```pycon\n(.*?)```", re.DOTALL)


def text() -> str:
    """Return the guide with what its sessions print today."""
    names: dict[str, Any] = {}
    before = Path.cwd()
    os.chdir(GUIDE.parents[1])
    try:
        return SESSION.sub(lambda found: answered(found, names), GUIDE.read_text())
    finally:
        os.chdir(before)


def answered(found: re.Match[str], names: dict[str, Any]) -> str:
    """Return a session with its answers; as it stands where it needs what is not there."""
    needed, session = found.groups()
    if needed and not all(find_spec(name) for name in needed.split(", ")):
        return found[0]
    examples = doctest.DocTestParser().get_examples(session)
    said = "".join(_prompted(one.source) + _answer(one.source, names) for one in examples)
    return found[0].replace(session, said)


def _prompted(source: str) -> str:
    """Return lines of Python as they are typed at a prompt."""
    first, *more = source.splitlines()
    return "".join(f"{line}\n" for line in [f">>> {first}", *(f"... {line}" for line in more)])


def _answer(source: str, names: dict[str, Any]) -> str:
    """Return what Python prints for a line; of an error, its last line."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(source, GUIDE.name, "single"), names)
    except Exception as error:
        last = traceback.format_exception_only(error)[-1]
        return f"{printed.getvalue()}Traceback (most recent call last):\n  ...\n{last}"
    return printed.getvalue()


if __name__ == "__main__":
    GUIDE.write_text(text())
