"""The command: it resumes, lists, refuses, and says that it was interrupted."""

import pytest
from reproduction import TINY, failing, stamps
from typer.testing import CliRunner

from brenier import ConvexPotentialFlow
from brenier.cli import app
from brenier.cli.door import ExitCode
from brenier.reproduce import catalogue


@pytest.fixture
def command(monkeypatch):
    monkeypatch.setattr(catalogue, "experiments", lambda: {"tiny": TINY})
    return lambda *arguments: CliRunner().invoke(app, ["reproduce", *map(str, arguments)])


@pytest.mark.usefixtures("drawn_before")
def test_command_resumes_and_prints_verdicts(made, folder, command):
    before = stamps(folder)
    result = command("tiny", "-o", folder)
    assert result.exit_code == 0, result.output
    assert stamps(folder) == before
    assert result.stderr.count("(kept)") == 3
    assert f"Report written to {folder / 'report.html'}" in result.stdout
    assert result.stdout.count("reproduced") >= 2


def test_command_lists(command):
    result = command("--list")
    assert result.exit_code == 0
    assert result.stdout.startswith("tiny")


def test_command_refuses(command, tmp_path):
    assert command().exit_code == ExitCode.USAGE
    result = command("mons", "-o", tmp_path)
    assert result.exit_code == ExitCode.USAGE
    assert "expected one of tiny" in result.stderr.lower()
    (tmp_path / "file").write_text("")
    result = command("tiny", "-o", tmp_path / "file")
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "Expected a folder" in result.stderr


def test_interrupted_command_says_so(command, tmp_path, monkeypatch):
    monkeypatch.setattr(ConvexPotentialFlow, "fit", failing(KeyboardInterrupt(), "adam"))
    result = command("tiny", "-o", tmp_path)
    assert result.exit_code == ExitCode.INTERRUPTED
