"""The command line, invoked within the tests' process."""

from typer.testing import CliRunner

from brenier.cli import app
from brenier.cli.door import ExitCode

# Several times what the slowest process of the tests takes, with JAX's import and compilation.
TIMEOUT = 120


def invoke(*arguments, stdin=None):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def done(*arguments, stdin=None):
    """Invoke what must succeed."""
    result = invoke(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return result


def assert_one_error(result, *parts):
    """One paragraph, no traceback, and every part of the message."""
    assert result.exit_code == ExitCode.BAD_INPUT
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert errors == result.stderr.splitlines()[-1:]
    for part in parts:
        assert part in errors[0]
