"""`brenier fit --blocks` and `--n-maps`: models of several flows or maps on the command line."""

import json

import numpy as np
import pytest
from terminal import done, invoke

from brenier import TriangularConvexPotentialFlow, load
from brenier.cli.door import ExitCode
from brenier.io.table import read_table, write_table

pytestmark = [
    pytest.mark.filterwarnings("ignore:The fit ended with status"),
]

NAMES = ("mu", "speed", "mass")
SMALL = ("--widths", "3", "--max-iter", "5", "--decay", "0.001", "--n-estimators", "1")
# The inverse map iterates to a residual of about 1e-10 in whitened units.
INVERSE = 1e-6


def rows(seed=0):
    rng = np.random.default_rng(seed)
    mu, speed = rng.normal(size=(2, 112))
    return np.column_stack([mu, speed, np.exp(0.5 * mu + 0.3 * speed * rng.normal(size=112))])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blocks")
    write_table(folder / "train.csv", rows(), NAMES)
    write_table(folder / "test.csv", rows(seed=1), NAMES)
    return folder


@pytest.fixture(scope="module")
def triangular(folder):
    path = folder / "t.brenier"
    answer = done(
        "fit", folder / "train.csv", "-o", path, "--blocks", "speed", "--bounds", "mass=0:",
        "--n-radial", "2", "--validation", folder / "test.csv", *SMALL, "--json",
    )  # fmt: skip
    return path, json.loads(answer.stdout)


@pytest.fixture(scope="module")
def composed(folder):
    path = folder / "c.brenier"
    done("fit", folder / "train.csv", "-o", path, "--n-maps", "2", "--n-init", "1", *SMALL)
    return path


def test_columns_of_no_block_come_last(triangular):
    path, answer = triangular
    flow = load(path)
    assert flow.blocks_ == [["speed"], ["mu", "mass"]]
    assert [report.n_heldout for report in flow.reports_] == [112, 112]
    assert [block["density_of"] for block in answer["blocks"]] == [
        "speed",
        "mu, mass given speed",
    ]
    assert flow.score_samples(_named(np.array([[0.0, 0.0, -1.0]]))) == -np.inf


@pytest.mark.parametrize("kind", ["triangular", "composed"])
def test_score_sample_transform_and_back(kind, folder, request):
    found = request.getfixturevalue(kind)
    model = found[0] if kind == "triangular" else found
    answer = json.loads(done("score", model, folder / "test.csv", "--json").stdout)
    expected = load(model).score(_named(rows(seed=1)))
    assert answer["log_likelihood"]["mean"] == pytest.approx(expected)
    done("sample", model, "-n", "4", "-o", folder / "drawn.csv")
    drawn = read_table(str(folder / "drawn.csv"))
    assert drawn.columns == NAMES
    assert drawn.values.shape == (4, 3)
    done("transform", model, folder / "test.csv", "-o", folder / "z.csv")
    done("inverse", model, folder / "z.csv", "-o", folder / "back.csv")
    back = read_table(str(folder / "back.csv")).values
    np.testing.assert_allclose(back, rows(seed=1), rtol=INVERSE, atol=INVERSE)


def _named(X):
    import polars as pl

    return pl.from_numpy(X, schema=list(NAMES))


def test_info_tells_of_every_block(triangular, composed):
    path, _ = triangular
    about = json.loads(done("info", path, "--json").stdout)
    assert about["kind"] == TriangularConvexPotentialFlow.__name__
    assert [block["context"] for block in about["blocks"]] == [[], ["speed"]]
    assert about["blocks"][1]["columns"] == [
        {"name": "mu", "low": None, "high": None},
        {"name": "mass", "low": 0.0, "high": None},
    ]
    text = done("info", path).stdout
    assert "mu, mass given speed" in text
    assert text.count("certificate") == 2
    about = json.loads(done("info", composed, "--json").stdout)
    assert about["parameters"]["n_maps"] == 2
    assert about["report"]["n_maps"] == 2
    assert "2, composed" in done("info", composed).stdout


def test_wrong_use_is_named(folder, tmp_path):
    data, model = folder / "train.csv", tmp_path / "m.brenier"

    def refused(*arguments):
        result = invoke("fit", data, "-o", model, *arguments)
        assert result.exit_code != ExitCode.DONE
        assert not model.exists()
        return result.stderr

    assert "different models" in refused("--blocks", "mu", "--n-maps", "2")
    assert "different models" in refused("--given", "mu", "--thesis")
    assert "got 'weight'" in refused("--blocks", "weight", *SMALL)
    assert "separated by commas" in refused("--blocks", "mu,,speed")
    assert "in one of them" in refused("--blocks", "mu/mu,speed", *SMALL)
    assert "--n-maps" in refused("--n-maps", "0")
