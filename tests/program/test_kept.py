"""Programs kept between processes: where, of whom, how many, and that nothing else changes."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

import brenier.program.kept as kept_programs
from brenier.io.model_file import read_model
from brenier.potential.activations import GaussianSoftplus, Softplus
from brenier.potential.initialise import _activated
from brenier.program import program
from brenier.program.kept import folder, load, save
from brenier.program.key import Call

pytestmark = pytest.mark.usefixtures("x64")
FIT = ("--widths", "4", "--n-radial", "1", "--max-iter", "3", "--n-estimators", "1", "--decay", "1")


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "there/brenier/programs"),
        ("linux", None, "home/.cache/brenier/programs"),
        ("darwin", None, "home/Library/Caches/brenier/programs"),
        ("win32", "LOCALAPPDATA", "there/brenier/programs"),
        ("win32", None, "home/AppData/Local/brenier/programs"),
    ],
)
def test_folder_is_the_platforms_own(platform, variable, expected, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("home"))
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "BRENIER_CACHE"):
        monkeypatch.delenv(name, raising=False)
    if variable is not None:
        monkeypatch.setenv(variable, "there")
    assert folder() == Path(expected)


def test_the_environment_names_another_folder_or_none(monkeypatch):
    monkeypatch.setenv("BRENIER_CACHE", "elsewhere")
    assert folder() == Path("elsewhere")
    monkeypatch.setenv("BRENIER_CACHE", "off")
    assert folder() is None


def digest_of(function, *args, options=()):
    leaves, structure = jax.tree.flatten((args, {}))
    return Call(function, structure, leaves).digest(dict(options))


def test_a_digest_is_of_all_that_makes_a_program():
    function, x = _activated.__wrapped__, np.ones((3, 2))
    digests = [
        digest_of(function, GaussianSoftplus(), x),
        digest_of(function, Softplus(), x),
        digest_of(function, GaussianSoftplus(), x[:2]),
        digest_of(function, GaussianSoftplus(), x.astype(np.float32)),
        digest_of(function, GaussianSoftplus(), 1),
        digest_of(function, GaussianSoftplus(), 1.0),
        digest_of(function, GaussianSoftplus(), x, options={"a": True}.items()),
        digest_of(folder, GaussianSoftplus(), x),
    ]
    assert None not in digests
    assert len(set(digests)) == len(digests)
    assert digest_of(function, GaussianSoftplus(), x + 1.0) == digests[0]
    with jax.enable_x64(False):
        assert digest_of(function, GaussianSoftplus(), x) not in digests


def test_what_others_wrote_has_no_digest():
    class Theirs(GaussianSoftplus):
        pass

    assert digest_of(_activated.__wrapped__, Theirs(), np.ones(2)) is None
    assert digest_of(_activated.__wrapped__, GaussianSoftplus(), digest_of) is None
    assert digest_of(digest_of, np.ones(2)) is None


@pytest.fixture
def no_cache_of_jax():
    """Leave JAX's own cache, which the tests share, out."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


def compiled():
    return jax.jit(lambda arrays: [2.0 * arrays[0]]).lower([np.ones(3)]).compile()


@pytest.mark.usefixtures("no_cache_of_jax")
def test_what_is_kept_is_found_and_what_is_broken_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("BRENIER_CACHE", str(tmp_path / "programs"))
    assert load("a") is None
    save("a", compiled(), (0,))
    executable, result = load("a")
    assert result == (0,)
    np.testing.assert_array_equal(executable([np.arange(3.0)])[0], 2.0 * np.arange(3.0))
    path = tmp_path / "programs" / "a.program"
    path.write_bytes(path.read_bytes()[:100])
    assert load("a") is None
    assert not path.exists()


@pytest.mark.usefixtures("no_cache_of_jax")
def test_where_nothing_can_be_written_nothing_is_kept(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BRENIER_CACHE", str(tmp_path / "file" / "programs"))
    save("a", compiled(), (0,))
    assert load("a") is None
    monkeypatch.setenv("BRENIER_CACHE", "off")
    save("a", compiled(), (0,))
    assert load("a") is None


def test_a_user_without_a_home_keeps_nothing(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("BRENIER_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert folder() is None


@pytest.mark.usefixtures("no_cache_of_jax")
def test_what_was_not_used_for_longest_makes_room(tmp_path, monkeypatch):
    monkeypatch.setenv("BRENIER_CACHE", str(tmp_path))
    save("a", compiled(), (0,))
    size = (tmp_path / "a.program").stat().st_size
    monkeypatch.setattr(kept_programs, "MOST_BYTES", int(2.5 * size))
    save("b", compiled(), (0,))
    for age, name in enumerate("ab"):
        os.utime(tmp_path / f"{name}.program", (age, age))
    assert load("a") is not None
    save("c", compiled(), (0,))
    assert {path.stem for path in tmp_path.iterdir()} == {"a", "c"}


@pytest.mark.usefixtures("no_cache_of_jax")
def test_a_program_of_ours_is_kept_and_one_of_others_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("BRENIER_CACHE", str(tmp_path))

    @program
    def theirs(x):
        return x + 1.0

    theirs(np.ones(5))
    assert not list(tmp_path.iterdir())
    _activated(GaussianSoftplus(), np.ones((5, 7)))
    assert len(list(tmp_path.iterdir())) == 1


def test_with_jaxs_own_cache_there_is_no_other(tmp_path, monkeypatch):
    monkeypatch.setenv("BRENIER_CACHE", str(tmp_path))
    assert jax.config.jax_compilation_cache_dir
    save("a", compiled(), (0,))
    assert not list(tmp_path.iterdir())


def run(arguments, home, **environment):
    plain = {name: value for name, value in os.environ.items() if "CACHE" not in name}
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
    programs = tmp_path / "brenier" / "programs"
    fit = ["-m", "brenier", "fit", "x.csv", *FIT]
    run([*fit, "-o", "off.brenier"], tmp_path, BRENIER_CACHE="off")
    assert not programs.exists()
    run([*fit, "-o", "first.brenier"], tmp_path)
    found = set(os.listdir(programs))
    assert found
    run([*fit, "-o", "second.brenier"], tmp_path)
    assert set(os.listdir(programs)) == found
    off, first, second = (
        read_model(tmp_path / f"{name}.brenier")[1] for name in ("off", "first", "second")
    )
    assert "map.w" in off
    assert off.keys() == first.keys() == second.keys()
    for name, array in off.items():
        np.testing.assert_array_equal(first[name], array)
        np.testing.assert_array_equal(second[name], array)


@pytest.mark.skipif(sys.platform != "linux", reason="the folder is named by XDG_CACHE_HOME")
def test_the_library_leaves_jaxs_settings_alone_and_traces_nothing_twice(tmp_path):
    fit = (
        "import jax, numpy as np; from brenier import ConvexPotentialFlow; "
        "before = dict(jax.config.values); events = []; "
        "jax.monitoring.register_event_duration_secs_listener("
        "lambda event, seconds, **more: events.append(event)); "
        "X = np.random.default_rng(0).normal(size=(80, 2)); "
        "flow = ConvexPotentialFlow(widths=(4,), n_radial=1, max_iter=3, n_estimators=1, decay=1); "
        "flow.fit(X).sample(3); "
        "print(sum('backend_compile' in event for event in events), "
        "dict(jax.config.values) == before)"
    )
    first, second = (run(["-c", fit], tmp_path).stdout.split() for _ in range(2))
    assert int(first[0]) > 5
    assert second[0] == "0"
    assert first[1] == second[1] == "True"
