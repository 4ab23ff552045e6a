"""The experiment with images, of a few tiny ones: what is measured, written, and used again."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from reproduction import stamps
from scipy.spatial.distance import cdist
from test_reproduce_page import Parts
from typer.testing import CliRunner

from brenier import load
from brenier.cli import app
from brenier.reproduce import catalogue
from brenier.reproduce.images.data import ImageSet
from brenier.reproduce.images.reproduce import lines, reproduce_images
from brenier.reproduce.images.setting import FLOW, OURS, ImageSetting
from brenier.reproduce.picture import Picture
from brenier.reproduce.runs import Teller

PICTURES = ("samples", "round-trip", "nearest")


def stripes():
    """Return images of 2 x 2 pixels, the last of which is always the same."""
    rng = np.random.default_rng(0)
    left = rng.integers(0, 4, size=200)
    images = np.column_stack([left, 3 - left, left, np.full(200, 2)])
    images[:, :3] += rng.integers(0, 2, size=(200, 3))
    return images.astype(float)


STRIPES = ImageSet("stripes", "2 x 2 stripes", 2, 5, stripes)
AWAY = ImageSet("away", "Images that are not here", 2, 5, stripes, "nonesuch")
FORM = {"widths": (3,), "n_radial": 0, "max_iter": 2, "n_estimators": 1, "decay": 1e-2}
TINY = ImageSetting((STRIPES, AWAY), (0, 1), {**FORM, "noise": 0.0}, n_draws=70)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def said():
    return []


@pytest.fixture(scope="module")
def result(home, said):
    return reproduce_images(TINY, home, Teller(said.append))


@pytest.fixture
def pictures_as_before(result, home, monkeypatch):
    monkeypatch.setattr(
        Picture, "encoded", lambda self, form: (home / f"{self.name}.{form}").read_bytes()
    )


def test_everything_is_written(result, home):
    names = {path.name for path in home.iterdir()}
    pictures = {f"stripes-{name}.{form}" for name in PICTURES for form in ("png", "svg")}
    assert names == pictures | {"runs", "report.html", "tables.csv", "results.json"}
    assert result.report == home / "report.html"


def test_bits_are_those_of_the_kept_model(result, home):
    rows, model = STRIPES.split(0), load(home / "runs" / "stripes-brenier-split0.brenier")
    fit = next(one for one in result.fits if one.numbers.label == OURS)
    bits = rows.bits(model.score_samples(rows.test)).mean()
    assert fit.numbers.bits == pytest.approx(bits, rel=1e-9)
    # Stripes are easier than noise.
    assert bits < np.log2(STRIPES.levels)


def test_the_table_has_means_over_splits(result, home):
    with open(home / "tables.csv", newline="") as file:
        found = {(e["row"], e["quantity"]): float(e["mean"] or "nan") for e in csv.DictReader(file)}
    for label in TINY.labels:
        own = [one.numbers.bits for one in result.fits if one.numbers.label == label]
        assert len(own) == 2
        assert found[label, "bits per dimension"] == pytest.approx(np.mean(own), rel=1e-12)
        error = np.abs(own[0] - own[1]) / 2
        assert found[label, "standard error"] == pytest.approx(error, rel=1e-9)
    ours, gaussian = (found[label, "bits per dimension"] for label in (OURS, "gaussian"))
    assert found["gaussian", f"above {OURS}"] == pytest.approx(gaussian - ours, abs=1e-12)


def test_results_count_constant_pixels(result, home):
    results = json.loads((home / "results.json").read_text())
    assert results["constant pixels"] == {"stripes": 1}
    assert results["setting"]["left out"] == [AWAY.remedy]
    assert len(results["fits"]) == len(result.fits) == 2 * len(TINY.labels)


@pytest.mark.parametrize("label", [OURS, FLOW])
def test_images_come_back(result, label):
    for fit in result.fits:
        if fit.numbers.label == label:
            test = STRIPES.split(fit.numbers.split).test
            assert fit.numbers.n_lost == 0
            assert fit.numbers.round_trip < 1e-6
            furthest = np.max(np.abs(fit.shown.back - fit.shown.test))
            assert fit.numbers.round_trip == pytest.approx(furthest)
            assert fit.shown.z.shape == test.shape
            assert 0.5 < fit.shown.z.std() < 2


def test_neighbours_are_the_nearest_training_images(result):
    for fit in result.fits:
        rows = STRIPES.split(fit.numbers.split)
        distances = cdist(fit.shown.drawn, rows.values(rows.train))
        nearest = np.linalg.norm(fit.shown.drawn - fit.shown.neighbours, axis=1)
        np.testing.assert_allclose(nearest, distances.min(axis=1))
        assert fit.numbers.nearest == pytest.approx(nearest.mean() / np.sqrt(3))


def test_what_cannot_be_had_is_said(result, said):
    assert said[0] == AWAY.remedy
    assert AWAY.remedy in result.report.read_text()


def test_the_page_holds_all_by_itself(result):
    text = result.report.read_text()
    parts = Parts()
    parts.feed(text)
    assert len(parts.loaded) == len(PICTURES)
    assert all(source.startswith("data:image/png;base64,") for source in parts.loaded)
    assert "2 x 2 stripes: 1 of 4" in text
    assert "Quick variant" not in text


def test_a_line_tells_ours_and_the_best_of_the_others(result):
    bits = {
        label: np.mean([one.numbers.bits for one in result.fits if one.numbers.label == label])
        for label in TINY.labels
    }
    best = min((label for label in bits if label not in (OURS, FLOW)), key=bits.get)
    (line,) = lines(result)
    assert line.startswith(f"2 x 2 stripes, 5 levels: {bits[OURS]:.3f}")
    assert line.endswith(f"({best})")


@pytest.mark.usefixtures("pictures_as_before")
def test_the_command_goes_on_from_kept_fits(home, monkeypatch):
    before = stamps(home)
    monkeypatch.setattr(catalogue, "experiments", lambda: {"images": TINY})
    answer = CliRunner().invoke(app, ["reproduce", "images", "-o", str(home)])
    assert answer.exit_code == 0, answer.output
    assert answer.stderr.count("(kept)") == 2 * len(TINY.labels)
    assert stamps(home) == before
    assert f"Report written to {home / 'report.html'}" in answer.stdout
    assert AWAY.remedy in answer.stderr.replace("\n", " ")


@pytest.mark.parametrize("name", ["stripes-gaussian-split1.json", "stripes-gaussian-split1.npz"])
@pytest.mark.usefixtures("pictures_as_before")
def test_a_fit_that_is_not_whole_is_made_again(result, home, name):
    path, lines = home / "runs" / name, []
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    again = reproduce_images(TINY, home, Teller(lines.append))
    assert sum("(kept)" in line for line in lines) == 2 * len(TINY.labels) - 1
    assert [one.numbers.bits for one in again.fits] == [one.numbers.bits for one in result.fits]


def test_the_quick_variant_is_small():
    quick = ImageSetting().shortened()
    assert quick.quick
    assert [images.name for images in quick.sets] == ["digits"]
    assert quick.splits == (0,)
    assert quick.with_seeds(3) == replace(quick, splits=(0, 1, 2))
