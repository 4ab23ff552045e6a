"""The guide: commands on files and columns, and sessions of Python, say what stands there."""

import re
import shlex
from pathlib import Path

import pytest
from terminal import done

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guide.md").read_text()


@pytest.mark.parametrize("name", ["mixed", "stan", "cobaya", "missing"])
def test_what_is_said_of_files(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "docs")
    import example_files

    example_files.write(tmp_path)
    command, *lines = re.search(rf"<!-- {name} -->\n```console\n(.*?)```", GUIDE, re.DOTALL)[
        1
    ].splitlines()
    _, *arguments = shlex.split(command.removeprefix("$ "))
    # A shorter fit says the same of the files.
    result = done(*arguments, *"--max-iter 2 --widths 3 --n-estimators 1 --decay 0.01".split())
    said = result.stderr.splitlines() + result.stdout.splitlines()
    expected = [line for line in lines if re.match("Note: |Fitting |data ", line)]
    assert expected
    assert [line for line in expected if line not in said] == []
    assert ("Note: " in result.stderr) == any(line.startswith("Note: ") for line in lines)


def test_sessions_print_what_stands_there(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    import sessions

    assert GUIDE.count("```pycon\n") == len(sessions.SESSION.findall(GUIDE)) > 0
    assert sessions.text() == GUIDE


def test_a_session_says_what_python_would(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    import sessions

    asked = "```pycon\n>>> x = [\n...     1,\n... ]\n>>> x\n5\n>>> print(2)\n>>> x[3]\n```"
    found = sessions.SESSION.fullmatch(asked)
    answers = "... ]\n>>> x\n[1]\n>>> print(2)\n2\n>>> x[3]\nTraceback (most recent call last):\n"
    answers += "  ...\nIndexError: list index out of range\n```"
    assert sessions.answered(found, {}) == asked[: asked.index("... ]")] + answers
    found = sessions.SESSION.fullmatch(f"<!-- needs nonesuch -->\n{asked}")
    assert sessions.answered(found, {}) == found[0]
