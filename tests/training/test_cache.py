"""Compiled programs kept between processes: where, by whom, and that nothing else changes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from brenier.io.model_file import read_model
from brenier.training.cache import cache_folder, offer_compilation_cache

FIT = ("--widths", "4", "--n-radial", "1", "--max-iter", "3", "--n-estimators", "1", "--decay", "1")


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "there/brenier/compiled"),
        ("linux", None, "home/.cache/brenier/compiled"),
        ("darwin", None, "home/Library/Caches/brenier/compiled"),
        ("win32", "LOCALAPPDATA", "there/brenier/compiled"),
        ("win32", None, "home/AppData/Local/brenier/compiled"),
    ],
)
def test_folder_is_the_platforms_own(platform, variable, expected, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("home"))
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    if variable is not None:
        monkeypatch.setenv(variable, "there")
    assert cache_folder() == Path(expected)


def test_what_the_user_set_goes_before(monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
    for name in ("MIN_COMPILE_TIME_SECS", "MIN_ENTRY_SIZE_BYTES"):
        monkeypatch.setenv(f"JAX_PERSISTENT_CACHE_{name}", "7")
    offer_compilation_cache()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "elsewhere"
    assert os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] == "7"


def run(arguments, home, **environment):
    plain = {
        name: value
        for name, value in os.environ.items()
        if not (name.startswith("JAX_") and "_CACHE" in name)
    }
    return subprocess.run(
        [sys.executable, *arguments],
        env={**plain, "XDG_CACHE_HOME": str(home), **environment},
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the folder is named by XDG_CACHE_HOME")
def test_the_command_keeps_programs_and_a_second_run_writes_the_same_model(tmp_path):
    X = np.random.default_rng(0).normal(size=(80, 2))
    np.savetxt(tmp_path / "x.csv", X, header="a,b", comments="", delimiter=",")
    kept = tmp_path / "brenier" / "compiled"
    fit = ["-m", "brenier", "fit", "x.csv", *FIT]
    run([*fit, "-o", "off.brenier"], tmp_path, JAX_ENABLE_COMPILATION_CACHE="false")
    assert not kept.exists()
    run([*fit, "-o", "first.brenier"], tmp_path)
    programs = set(os.listdir(kept))
    assert programs
    run([*fit, "-o", "second.brenier"], tmp_path)
    assert {name for name in os.listdir(kept) if name.endswith("-cache")} <= programs
    off, first, second = (
        read_model(tmp_path / f"{name}.brenier")[1] for name in ("off", "first", "second")
    )
    assert "map.w" in off
    assert off.keys() == first.keys() == second.keys()
    for name, array in off.items():
        np.testing.assert_array_equal(first[name], array)
        np.testing.assert_array_equal(second[name], array)


def test_the_library_turns_it_on_when_asked(tmp_path):
    asked = (
        "import brenier, jax; before = jax.config.jax_compilation_cache_dir; "
        "folder = brenier.use_compilation_cache('kept'); "
        "print(before, folder, jax.config.jax_compilation_cache_dir)"
    )
    assert run(["-c", asked], tmp_path).stdout.split() == ["None", "kept", "kept"]
