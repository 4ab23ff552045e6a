"""Standard streams that are closed, full or gone, and what is no file: no work is lost to them."""

import os
import subprocess
import sys

import pytest
from small_tables import NAMES, SMALL, rows
from terminal import TIMEOUT, assert_one_error, done, invoke

from brenier.cli.streams import Unfailing
from brenier.io.table import write_table

# Without time for a search a fit says as much, and compiles nothing.
FIT = " ".join([sys.executable, "-m", "brenier", "fit", "x.csv", "--max-seconds", "0", *SMALL])


@pytest.fixture
def shell(environment, tmp_path):
    write_table(tmp_path / "x.csv", rows(), NAMES)

    def run(command):
        return subprocess.run(
            ["sh", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )

    return run


@pytest.mark.parametrize(
    "where", ["2>/dev/full", "2>&-", "2>&1 | head -n 1", ">&- 2>&- <&-"], ids=str
)
def test_a_fit_that_can_say_nothing_writes_its_model(where, shell, tmp_path):
    if "/dev/full" in where and not os.path.exists("/dev/full"):
        pytest.skip("Only Linux has a device that is always full.")
    result = shell(f"{FIT} {where}")
    assert result.returncode == 0
    assert "Traceback" not in result.stdout + result.stderr
    assert (tmp_path / "x.brenier").stat().st_size > 0
    done("info", tmp_path / "x.brenier")


def test_closed_standard_input_and_output_are_errors(shell):
    of_input = shell(f"{FIT.replace('x.csv', '-')} -o x.brenier <&-")
    assert of_input.returncode == 1
    assert of_input.stderr.splitlines()[-1].startswith(
        "Error: Expected a table in standard input; got a closed one."
    )


def test_what_cannot_be_written_is_dropped():
    with open(os.devnull, "w") as closed:
        pass
    for stream in (Unfailing(closed), Unfailing(None)):
        assert stream.write("text") == len("text")
        stream.flush()
        assert not stream.isatty()


def test_closed_descriptors_are_taken_before_a_file_gets_them(shell, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from brenier.cli.streams import occupy_closed_descriptors\n"
        "occupy_closed_descriptors()\n"
        "with open('number', 'w') as file:\n"
        "    file.write(str(file.fileno()))\n"
    )
    shell(f"{sys.executable} {script} <&- >&- 2>&-")
    assert int((tmp_path / "number").read_text()) > 2


@pytest.mark.parametrize("command", ["fit", "score"])
def test_a_pipe_is_no_table(command, model, tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    arguments = [tmp_path / "pipe.csv"] if command == "fit" else [model, tmp_path / "pipe.csv"]
    assert_one_error(invoke(command, *arguments), "a pipe or a device", "pipe.csv")


@pytest.mark.parametrize("command", [("info",), ("score", "x.csv"), ("sample",)])
def test_a_pipe_or_a_device_is_no_model(command, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    name, *rest = command
    for path in (tmp_path / "pipe", "/dev/zero"):
        assert_one_error(invoke(name, path, *rest), "a pipe or a device", str(path))
