"""`brenier fit --given`: conditional models on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from terminal import done, invoke

from brenier import ConvexPotentialFlow, ConvexPotentialRegressor, load
from brenier.cli.door import ExitCode
from brenier.io.table import read_table, write_table

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:The fit ended with status 'iteration limit':sklearn.exceptions.ConvergenceWarning"
    ),
]

NAMES = ("mu", "speed", "mass")
SMALL = ("--widths", "3", "--max-iter", "5", "--n-estimators", "1", "--decay", "0.001")
# The inverse map iterates to a residual of about 1e-10 in whitened units.
INVERSE = 1e-6


def rows(seed=0):
    rng = np.random.default_rng(seed)
    mu, speed = rng.normal(size=(2, 120))
    return np.column_stack([mu, speed, np.exp(0.5 * mu + 0.3 * speed * rng.normal(size=120))])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    write_table(folder / "train.csv", rows(), NAMES)
    write_table(folder / "test.csv", rows(seed=1)[:, [2, 0, 1]], ("mass", "mu", "speed"))
    return folder


@pytest.fixture(scope="module")
def model(folder):
    path = folder / "m.brenier"
    done(
        "fit", folder / "train.csv", "-o", path, "--given", "speed,mu", "--bounds", "mass=0:",
        "--validation", folder / "test.csv", *SMALL,
    )  # fmt: skip
    return path


def test_model_is_the_density_of_the_other_columns(model):
    flow = load(model)
    assert flow.feature_names_in_.tolist() == ["speed", "mu"]
    assert flow.target_names_.tolist() == ["mass"]
    assert flow.report_.n_heldout == 120


def test_score_and_info(model, folder):
    X = rows(seed=1)
    expected = load(model).score(_known(X), X[:, 2])
    answer = json.loads(done("score", model, folder / "test.csv", "--json").stdout)
    assert answer["log_likelihood"]["mean"] == pytest.approx(expected)
    about = json.loads(done("info", model, "--json").stdout)
    assert about["context"] == ["speed", "mu"]
    assert about["columns"] == [{"name": "mass", "low": 0.0, "high": None}]
    assert "given" in done("info", model).stdout


def test_composition_given_columns(folder):
    path = folder / "composed.brenier"
    settings = ("--widths", "3", "--max-iter", "5", "--n-init", "1", "--decay", "0.001")
    data = folder / "train.csv"
    done("fit", data, "-o", path, "--given", "mu", "--n-maps", "2", *settings)
    assert "2, composed" in done("info", path).stdout
    assert load(path).target_names_.tolist() == ["speed", "mass"]
    usage = ("fit", data, "-o", folder / "m", "--given", "mu", "--n-maps", "2")
    assert "--n-estimators" in refused(*usage, "--n-estimators", "2", code=ExitCode.USAGE)


def _known(X):
    import polars as pl

    return pl.DataFrame({"speed": X[:, 1], "mu": X[:, 0]})


def test_sample_given_rows(model, folder):
    known = rows(seed=2)[:3, :2]
    write_table(folder / "known.csv", known, ("mu", "speed"))
    done("sample", model, "-n", "4", "--given", folder / "known.csv", "-o", folder / "drawn.csv")
    drawn = read_table(str(folder / "drawn.csv"))
    assert drawn.columns == ("speed", "mu", "mass")
    np.testing.assert_allclose(drawn.values[:, :2], np.repeat(known[:, ::-1], 4, axis=0))
    assert len(np.unique(drawn.values[:, 2])) == 12
    assert (drawn.values[:, 2] > 0).all()


def test_transform_and_back(model, folder):
    done("transform", model, folder / "test.csv", "-o", folder / "z.csv")
    z = read_table(str(folder / "z.csv"))
    assert z.columns == ("z0",)
    X = rows(seed=1)
    write_table(folder / "zc.csv", np.column_stack([z.values, X[:, :2]]), ("z0", "mu", "speed"))
    done("inverse", model, folder / "zc.csv", "-o", folder / "back.csv")
    back = read_table(str(folder / "back.csv"))
    assert back.columns == ("mass",)
    np.testing.assert_allclose(back.values[:, 0], X[:, 2], rtol=INVERSE)


def refused(*arguments, code=ExitCode.BAD_INPUT):
    result = invoke(*arguments)
    assert result.exit_code == code
    return result.stderr


# Of so few rows a Gaussian is quickly fitted.
@pytest.mark.filterwarnings("ignore:Expected more distinct rows:brenier.status.InputWarning")
def test_wrong_use_is_named(model, folder, tmp_path):
    data = folder / "train.csv"
    assert "or --given FILE with rows of them" in refused("sample", model)
    for given, got in (("size", "got 'size'"), ("mu,speed,mass", "got all of them")):
        assert got in refused("fit", data, "-o", tmp_path / "m", "--given", given)
    usage = ("fit", data, "-o", tmp_path / "m", "--given")
    assert "names of different columns" in refused(*usage, "mu,mu", code=ExitCode.USAGE)
    assert "different models" in refused(*usage, "mu", "--thesis", code=ExitCode.USAGE)
    assert "nor --noise" in refused(*usage, "mu", "--noise", "0", code=ExitCode.USAGE)
    X = rows()[:3]
    ConvexPotentialFlow().fit(X).save(tmp_path / "joint")
    ConvexPotentialRegressor().fit(X[:, :2], X[:, 2]).save(tmp_path / "regressor")
    joint = refused("sample", tmp_path / "joint", "--given", Path(data))
    assert "Expected --given NAME=VALUE" in joint
    assert "got a ConvexPotentialRegressor" in refused("score", tmp_path / "regressor", data)
