"""What kind of density held-out rows choose: how many maps, or a mixture."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from small_fits import FEW_MIXTURES, assert_same_fit, ends_early, other_defaults
from terminal import done

from brenier import ConvexPotentialFlow, ConvexPotentialMixture, fit_auto, load
from brenier.data.rows import WeightedRows
from brenier.estimators.auto import AutoDensity
from brenier.estimators.parameters import settings_of
from brenier.training.choice import Lead
from brenier.training.fit import Model

pytestmark = ends_early
# More than few, of which no kind but the single map is tried.
N = 500
FEW = 200
SMALL = {"widths": (8,), "n_radial": 0, "noise": 0.0, "max_iter": 15, "decay": 1e-2}
# Two folds, which compositions have not.
FOLDS = SMALL | {"n_estimators": 2}


def smooth(seed=0):
    return np.random.default_rng(seed).normal(size=(N, 2))


def in_pieces(seed=0):
    places = np.array([[0.0, 0.0], [30.0, 0.0]])
    return smooth(seed) + places[np.arange(N) % 2]


def thin(seed=0):
    """Return rows close to a curve that bends back: values of a chaotic series and the next."""
    rng = np.random.default_rng(seed)
    x = rng.beta(0.5, 0.5, size=N)
    return np.column_stack([x, 4.0 * x * (1.0 - x)]) + 0.01 * rng.normal(size=(N, 2))


@pytest.fixture(scope="module", autouse=True)
def without_flows_of_pieces():
    with other_defaults(**FEW_MIXTURES, most_pieces=1):
        yield


@pytest.fixture(scope="module")
def taken():
    """Return what is taken of rows in pieces, and of smooth ones."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The fit ended with status")
        return {rows: fit_auto(rows(), **FOLDS) for rows in (in_pieces, smooth)}


@pytest.mark.parametrize(
    ("rows", "kind", "words"),
    [(smooth, ConvexPotentialFlow, "one map"), (in_pieces, ConvexPotentialMixture, "the mixture")],
)
def test_what_is_taken_is_what_a_fit_of_that_kind_gives(taken, rows, kind, words):
    density, alone = taken[rows], kind(**FOLDS).fit(rows())
    assert type(density) is kind
    choice = density.report_.choice
    assert choice.startswith(f"Taken: {words}, two maps above one map by ")
    assert "the mixture above" in choice
    assert choice.endswith("rows that choose.")
    assert_same_fit(density, alone, rows(seed=1))
    assert density.get_params() == alone.get_params()
    assert density.report_.gain == alone.report_.gain


def test_thin_shapes_have_several_maps():
    density = ConvexPotentialFlow(n_maps="auto", **SMALL).fit(thin())
    n_maps = density.report_.n_maps
    assert n_maps in (2, 3)
    assert density.report_.choice.startswith("Taken: two maps" if n_maps == 2 else "Taken: three")
    assert_same_fit(
        density, ConvexPotentialFlow(**SMALL | {"n_maps": n_maps}).fit(thin()), thin(seed=1)
    )
    assert density.score(thin(seed=1)) > ConvexPotentialFlow(**SMALL).fit(thin()).score(thin(1))


def test_compositions_are_not_averaged():
    # Such a fit could not be loaded, nor made again.
    model = ConvexPotentialFlow(**SMALL | {"n_maps": 2, "n_init": 1}).fit(thin())
    auto = AutoDensity(**FOLDS)
    auto._keep(Model(model.flow_, model.baseline_, model.report_))
    auto.report_, auto.n_iter_, auto.n_features_in_ = model.report_, 1, 2
    assert auto.chosen_.n_estimators is None
    clone(auto.chosen_)._validate_params()
    assert settings_of(auto.chosen_, conditional=False).n_maps == 2


def test_one_row_to_choose_by_says_nothing():
    density = fit_auto(in_pieces()[:FEW], validation_data=in_pieces(1)[:1], **SMALL, n_estimators=1)
    assert type(density) is ConvexPotentialFlow
    assert density.report_.choice.startswith("Taken: one map, two maps above one map by")


def test_few_rows_may_be_a_mixture():
    density = fit_auto(in_pieces()[:FEW], **FOLDS)
    assert type(density) is ConvexPotentialMixture
    assert density.report_.choice.startswith("Taken: the mixture, the mixture above one map by")


def test_rows_of_a_chain_count_as_blocks():
    rng = np.random.default_rng(0)
    difference, block = rng.normal(size=40), np.repeat(np.arange(20), 2)
    difference = difference[block]
    rows = WeightedRows(np.zeros((40, 1)), np.ones(40), np.linspace(0, 0.9, 40), block, 2.0)
    of_blocks = Lead.of("a", "b", difference, rows).nats
    of_rows = Lead.of("a", "b", difference, rows._replace(block=None)).nats
    assert of_blocks.standard_error > 1.3 * of_rows.standard_error


def test_few_rows_and_none_held_out_have_one_map():
    for rows, changes in ((thin()[:FEW], {}), (thin(), {"validation_fraction": 0.0})):
        density = ConvexPotentialFlow(n_maps="auto", **SMALL | changes).fit(rows)
        assert density.report_.n_maps == 1
        assert density.report_.choice == "Taken: one map, as nothing else was tried."


def test_no_time_leaves_one_map():
    with pytest.warns(ConvergenceWarning, match="time limit"):
        density = fit_auto(in_pieces(), **SMALL, max_seconds=1e-3)
    assert type(density) is ConvexPotentialFlow
    assert density.report_.choice == "Taken: one map, as nothing else was tried for want of time."


def test_file(taken, tmp_path):
    chosen = ConvexPotentialFlow(n_maps="auto", **SMALL).fit(thin()[:FEW])
    for density in (*taken.values(), chosen):
        density.save(tmp_path / "m.brenier")
        loaded = load(tmp_path / "m.brenier")
        assert type(loaded) is type(density)
        assert loaded.get_params() == density.get_params()
        assert loaded.report_.choice == density.report_.choice
        np.testing.assert_array_equal(
            loaded.score_samples(in_pieces(1)), density.score_samples(in_pieces(1))
        )


def test_number_of_maps_is_one_of_these():
    for n_maps in ("two", 0, 1.5):
        with pytest.raises(ValueError, match="The 'n_maps' parameter"):
            ConvexPotentialFlow(n_maps=n_maps).fit(smooth())


def test_potentials_are_those_of_a_single_map():
    density = ConvexPotentialFlow(n_maps="auto", **FOLDS).fit(smooth())
    assert density.report_.n_maps == 1
    assert len(density.report_.run_decay) == 2


def test_command_line_says_what_was_taken(tmp_path):
    # Of few rows, which are as quick as can be.
    data = tmp_path / "x.csv"
    pd.DataFrame(in_pieces()[:FEW], columns=["a", "b"]).to_csv(data, index=False)
    options = (
        "-o",
        tmp_path / "x.brenier",
        "--widths",
        "8",
        "--n-radial",
        0,
        "--noise",
        0,
        "--max-iter",
        15,
        "--decay",
        0.01,
        "--n-estimators",
        2,
    )
    told = done("fit", data, "--kind", "auto", *options).stdout
    assert "Taken: the mixture, the mixture above one map by" in " ".join(told.split())
    done("fit", data, "--n-maps", "auto", *options)
    assert load(tmp_path / "x.brenier").n_maps == "auto"
