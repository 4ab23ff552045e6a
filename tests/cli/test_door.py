"""Where exceptions and warnings become plain lines and exit codes, and what is imported there."""

import re
import subprocess
import sys
import warnings

import pytest
import typer
from terminal import done

from brenier.cli.door import ExitCode, door
from brenier.status import InputWarning


def test_help_and_version_in_a_real_process(brenier):
    assert re.fullmatch(r"brenier \d+\.\d+\.\d+\n", brenier("--version").stdout)
    shown = brenier("--help").stdout
    for command in ("fit", "score", "sample", "transform", "inverse", "info"):
        assert f"\n  {command} " in shown
        assert f"Usage: brenier {command}" in done(command, "--help").stdout


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "Interrupted.\n"),
        (OSError("no\nspace"), ExitCode.BAD_INPUT, "Error: no space\n"),
        (MemoryError(), ExitCode.BAD_INPUT, "Error: MemoryError\n"),
        (BrokenPipeError(), ExitCode.BROKEN_PIPE, ""),
    ],
)
def test_what_stops_a_command_becomes_a_code_and_a_line(error, code, message, capsys):
    with pytest.raises(typer.Exit) as ended, door(debug=False):
        raise error
    assert ended.value.exit_code == code
    assert capsys.readouterr().err == message


def test_defects_of_the_program_are_not_called_bad_input():
    with pytest.raises(KeyError), door(debug=False):
        raise KeyError


@pytest.mark.parametrize(("quiet", "message"), [(False, "Warning: so so\n"), (True, "")])
def test_warnings_become_single_plain_lines(quiet, message, capsys):
    with door(debug=False, quiet=quiet):
        for _ in range(2):
            warnings.warn("so\nso", InputWarning, stacklevel=1)
    assert capsys.readouterr().err == message


def test_help_does_not_wait_for_heavy_imports(environment):
    heavy = {"jax", "sklearn", "polars", "scipy", "numpy", "equinox"}
    code = f"import sys, brenier.cli; print(sorted({heavy!r} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert run.stdout == "[]\n"
