"""The command line, invoked within the tests' process."""

from typer.testing import CliRunner

from brenier.cli import app


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments):
    """Invoke what must succeed."""
    result = invoke(*arguments)
    assert result.exit_code == 0, result.stderr
    return result
