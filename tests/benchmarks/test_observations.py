"""Observations for posteriors from simulations: made here, and read from sbibm's files."""

import bz2
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks import observations
    from benchmarks.observations import Official, Own
    from examples.simulators import SIMULATORS
finally:
    sys.path.remove(str(ROOT))


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Make an installed sbibm of eleven observations, which cannot be imported."""
    about = tmp_path / "sbibm-1.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: sbibm\nVersion: 1.1.0\n")
    for number in range(1, 12):
        folder = tmp_path / "sbibm" / "tasks" / "two_moons" / "files" / f"num_observation_{number}"
        folder.mkdir(parents=True)
        (folder / "observation.csv").write_text(f"data_1,data_2\n{number},0.5\n")
        draws = "".join(f"{number},{k}\n" for k in range(4))
        packed = bz2.compress(f"parameter_1,parameter_2\n{draws}".encode())
        (folder / "reference_posterior_samples.csv.bz2").write_bytes(packed)
    (tmp_path / "sbibm" / "__init__.py").write_text("raise ImportError\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_official_observations_are_read_in_their_order_without_an_import(files):
    found = Official().of("two_moons")
    assert [list(one.x) for one in found] == [[k, 0.5] for k in range(1, 12)]
    expected = [[10.0, k] for k in range(4)]
    assert np.array_equal(found[9].exact, expected)
    assert np.array_equal(Official(draws=3).of("two_moons")[9].exact, expected[:3])
    assert "sbibm" not in sys.modules


def test_a_task_without_files_is_an_error(files):
    with pytest.raises(ModuleNotFoundError, match="observations of slcp in sbibm"):
        Official().of("slcp")


def test_where_sbibm_is_not_installed_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(observations, "SBIBM", "no_such_package")
    with pytest.raises(ModuleNotFoundError, match="pip install --no-deps sbibm==1.1.0"):
        Official().of("slcp")


def test_the_command_says_it_before_anything_is_fitted(tmp_path):
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'src')!r}]\n"
        "from benchmarks import observations, sbi\n"
        "observations.SBIBM = 'no_such_package'\n"
        f"sys.argv = ['sbi', '--observations', 'official', '-o', {str(tmp_path)!r}]\n"
        "sbi.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install --no-deps" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("task", SIMULATORS)
def test_own_observations_are_always_the_same(task):
    one, other = Own(number=2, draws=20).of(task), Own(number=2, draws=20).of(task)
    assert len(one) == 2
    assert one[0].exact.shape == (20, SIMULATORS[task].n_parameters)
    assert all(np.array_equal(a.exact, b.exact) for a, b in zip(one, other, strict=True))
    assert not np.array_equal(one[0].x, one[1].x)
