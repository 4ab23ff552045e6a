"""What the README promises: its example runs, and CI runs its test command."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def block(marker):
    """Return the code block behind a marker."""
    found = re.search(rf"<!-- {marker} -->\n```\w*\n(.*?)```", README, flags=re.DOTALL)
    assert found, f"no block {marker!r} in the README"
    return found[1]


def test_the_example_runs_as_it_stands(tmp_path):
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "garch11.csv", tmp_path / "examples")
    example = block("example") + (
        "assert log_density.shape == (4000,)\n"
        "assert draws.shape == (1000, 4)\n"
        "assert (draws[:, list(X.columns).index('alpha0')] > 0).all()\n"
        "assert abs(X_again - X.to_numpy()).max() < 1e-8\n"
        "assert (same.score_samples(X) == log_density).all()\n"
        "assert flow.report_.gain.mean > 0\n"
    )
    # A shorter fit shows the same.
    example = example.replace(
        "max_seconds=60",
        "max_seconds=60, max_iter=30, n_estimators=1, widths=(8,), n_radial=0, noise=0.0",
    )
    command = [sys.executable, "-W", "ignore", "-c", example]
    quicker = ("JAX_DISABLE_MOST_OPTIMIZATIONS", "XLA_FLAGS")
    as_users = {name: value for name, value in os.environ.items() if name not in quicker}
    run = subprocess.run(
        command, cwd=tmp_path, env=as_users, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_the_main_command_names_files_that_exist():
    command = re.search(r"pip install \. && (brenier fit \S+ -o \S+)", README)[1]
    assert (ROOT / command.split()[2]).is_file()


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_continuous_integration_runs_the_readmes_test_command(tmp_path):
    """Run .ci/run with stand-ins for pip, ruff, pyright and pytest that say what they are asked."""
    tools = tmp_path / "tools"
    (tools / "bin").mkdir(parents=True)
    for name in ("pip", "ruff", "pyright", "pytest"):
        tool = tools / "bin" / name
        tool.write_text(f'#!/bin/sh\necho "ran {name} $*"\n')
        tool.chmod(0o755)
    python = tools / "python3"
    # `python3 -m venv FOLDER` gives an environment whose programs are the stand-ins.
    python.write_text(
        "#!/bin/sh\n"
        f'mkdir -p "$3/bin" && cp {tools}/bin/* "$3/bin"\n'
        'echo "PATH=$3/bin:\\$PATH" > "$3/bin/activate"\n'
    )
    python.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    command = ["bash", str(ROOT / ".ci" / "run")]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    asked = [
        line.removeprefix("ran ").strip() for line in run.stdout.splitlines() if line[:4] == "ran "
    ]
    assert asked == [part.replace("'", "").strip() for part in block("test command").split("&&")]


def test_figures_are_those_that_the_benchmark_left():
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks import readme
    finally:
        sys.path.remove(str(ROOT))
    assert readme.BETWEEN.search(README)[0] == readme.table()


def test_the_page_of_the_default_fit_is_what_the_program_says():
    docs = ROOT / "docs"
    sys.path.insert(0, str(docs))
    try:
        import default_fit
    finally:
        sys.path.remove(str(docs))
    assert (docs / "default_fit.md").read_text() == default_fit.text()
