"""`brenier plot`: a picture of a model, alone or with rows."""

import importlib.util
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure
from small_tables import NAMES, rows
from terminal import assert_one_error, done, invoke

from brenier import load
from brenier.cli.door import ExitCode
from brenier.cli.files import variable_names
from brenier.cli.plot import Kind
from brenier.io.table import write_table
from brenier.plots.given import GivenContexts
from brenier.plots.picture import in_figure
from brenier.plots.samples import plot_samples

FIXTURES = Path(__file__).parents[1] / "fixtures"
BEGINNINGS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "rows.csv"
    write_table(path, rows(30, seed=3), NAMES)
    return path


def drawn_rows(model, tmp_path, n=20):
    """Return a file of rows that suit a model, near its training rows."""
    names = variable_names(load(model))
    values = np.random.default_rng(0).uniform(0.2, 0.8, size=(n, len(names)))
    write_table(tmp_path / "suited.csv", values, names)
    return tmp_path / "suited.csv"


@pytest.mark.parametrize("suffix", BEGINNINGS)
def test_the_ending_says_the_format(suffix, model, data, tmp_path):
    out = tmp_path / f"picture{suffix}"
    result = done("plot", model, data, "-o", out)
    assert out.read_bytes().startswith(BEGINNINGS[suffix])
    assert result.stdout.startswith(f"Picture (density of {model} with {data}) written to {out}")
    assert result.stderr == ""


@pytest.mark.parametrize("kind", [kind.value for kind in Kind])
def test_every_kind_of_a_model_of_two_columns(kind, model, data, tmp_path):
    rows_too = () if kind == "training" else (data,)
    done("plot", model, *rows_too, "--kind", kind, "-o", tmp_path / "p.png", "--quiet")
    assert (tmp_path / "p.png").stat().st_size > 5000


def test_without_output_the_picture_has_the_models_name(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert done("plot", model, "--quiet").stdout == ""
    assert (tmp_path / "train.png").is_file()


@pytest.mark.parametrize("name", ["joint", "triangular"])
def test_of_more_columns_samples_are_drawn(name, tmp_path):
    model = FIXTURES / f"{name}.brenier"
    assert "(samples of" in done("plot", model, "-o", tmp_path / "p.png").stdout
    with_rows = done("plot", model, drawn_rows(model, tmp_path), "-o", tmp_path / "p.png")
    assert "suited.csv" in with_rows.stdout
    done("plot", model, "--kind", "training", "-o", tmp_path / "t.png")


def test_of_a_density_given_others_rows_are_asked_for(tmp_path):
    model, out = FIXTURES / "conditional-one.brenier", tmp_path / "p.png"
    assert_one_error(invoke("plot", model, "-o", out), "Expected DATA, rows of x0, x1, y0, y1")
    given = drawn_rows(model, tmp_path)
    assert "(samples of" in done("plot", model, given, "-o", out).stdout
    for kind in ("normal", "calibration"):
        done("plot", model, given, "--kind", kind, "-o", out)
    refused = invoke("plot", model, given, "--kind", "density", "-o", out)
    assert_one_error(refused, "one of 2 column(s) given others", "--kind samples")


def test_samples_of_a_density_given_others_are_at_the_contexts_of_the_rows():
    flow = load(FIXTURES / "conditional-one.brenier")
    context = np.random.default_rng(0).uniform(0.2, 0.8, size=(7, 2))
    at = GivenContexts(flow, context, variable_names(flow))
    drawn = at.sample(7, 1)
    np.testing.assert_array_equal(drawn[:, :2], context)
    assert not np.array_equal(drawn, at.sample(7, 2))
    np.testing.assert_allclose(
        at.transform(drawn), flow.transform(context, drawn[:, 2:]), rtol=1e-12
    )
    np.testing.assert_allclose(
        at.score_samples(drawn), flow.score_samples(context, drawn[:, 2:]), rtol=1e-12
    )


def test_columns_are_chosen_and_ordered(tmp_path):
    model = FIXTURES / "joint.brenier"
    names = variable_names(load(model))
    chosen = f"{names[-1]},{names[0]}"
    done("plot", model, "--columns", chosen, "-o", tmp_path / "p.png")
    wrong = invoke("plot", model, "--columns", "nonesuch", "-o", tmp_path / "p.png")
    assert_one_error(wrong, "Expected columns among", "nonesuch")


@pytest.mark.parametrize("name", ["joint", "triangular", "conditional-one"])
def test_tables_may_have_more_columns_than_the_model(name, tmp_path):
    flow = load(FIXTURES / f"{name}.brenier")
    names = variable_names(flow)
    context = names[: flow.n_features_in_]
    # As if it had been fitted so in Python.
    flow.feature_names_in_ = np.array(context, dtype=object)
    flow.set_params(columns=context)
    flow.save(tmp_path / "m.brenier")
    table = pl.read_csv(drawn_rows(FIXTURES / f"{name}.brenier", tmp_path))
    larger = table.with_columns(star=pl.lit("Vega")).select("star", *reversed(names))
    larger.write_csv(tmp_path / "large.csv")
    call = ("plot", tmp_path / "m.brenier", tmp_path / "large.csv", "-o", tmp_path / "p.png")
    for kind in ("samples", "normal", "calibration"):
        said = done(*call, "--kind", kind).stderr
        assert "star not needed and left out" in said


def test_without_data_there_is_no_panel_above_the_diagonal():
    flow = load(FIXTURES / "joint.brenier")
    names = variable_names(flow)
    figure = in_figure(lambda fig: plot_samples(flow, n_samples=50, fig=fig), (6.0, 6.0))
    assert isinstance(figure, Figure)
    shown = [ax.get_visible() for ax in figure.axes]
    n = len(names)
    assert n > 2
    assert np.array_equal(np.reshape(shown, (n, n)), np.tri(n, dtype=bool))
    (legend,) = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == "samples (50 rows, below the diagonal)"


@pytest.mark.parametrize("name", ["p.jpeg", "p", "-"])
def test_other_endings_are_refused_before_the_work(name, model):
    assert_one_error(invoke("plot", model, "-o", name), ".png, .svg or .pdf", f"got {name}")


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("map", ("ConvexPotentialFlow of two columns", "--kind samples")),
        ("density", ("one or two columns", "--kind samples")),
        ("normal", ("Expected DATA",)),
        ("calibration", ("Expected DATA",)),
    ],
)
def test_what_cannot_be_drawn_names_what_can(kind, parts, tmp_path):
    model = FIXTURES / "joint.brenier"
    assert_one_error(invoke("plot", model, "--kind", kind, "-o", tmp_path / "p.png"), *parts)
    assert not (tmp_path / "p.png").exists()


def test_settings_that_would_do_nothing_are_refused(model, data, tmp_path):
    out = ("-o", tmp_path / "p.png")
    assert_one_error(invoke("plot", model, data, "--kind", "training", *out), "no DATA")
    refused = invoke("plot", model, "--kind", "map", "--columns", "mass", *out)
    assert_one_error(refused, "no --columns", "map")


def test_a_picture_never_replaces_its_model(model):
    assert_one_error(invoke("plot", model, "-o", model), ".png, .svg or .pdf")


def test_data_must_have_the_models_columns(model, tmp_path):
    pl.DataFrame({"speed": [1.0, 2.0], "weight": [1.0, 2.0]}).write_csv(tmp_path / "x.csv")
    result = invoke("plot", model, tmp_path / "x.csv", "-o", tmp_path / "p.png")
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "mass" in result.stderr


def test_rows_with_missing_values_are_left_out_if_asked_for(model, data, tmp_path):
    with data.open("a") as file:
        file.write("1.0,\n")
    call = ("plot", model, data, "-o", tmp_path / "p.png")
    assert_one_error(invoke(*call), "row 31", "--drop-missing")
    assert "1 of 31 rows left out" in done(*call, "--drop-missing").stderr
    assert (tmp_path / "p.png").is_file()


def test_without_matplotlib_the_extra_is_named(model, tmp_path, monkeypatch):
    monkeypatch.setattr("brenier.cli.extras.find_spec", lambda name: None)
    assert importlib.util.find_spec("matplotlib") is not None
    assert_one_error(invoke("plot", model, "-o", tmp_path / "p.png"), "Install brenier[plots]")
