"""Periodic and discrete columns of fitted densities."""

import numpy as np
import pytest
from small_fits import SAME, ends_early, small
from terminal import done

import brenier
from brenier import ConvexPotentialMixture, scoring
from brenier.estimators.auto import AutoDensity
from brenier.io.model_file import ModelFileError
from brenier.status import InputWarning

TURN = 2.0 * np.pi
# Draws that a mean of ones is of.
N_DRAWS = 400


def table(n=120, seed=0):
    """Return a number, an angle around zero and a count."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    phase = np.mod(0.4 * x + 0.6 * rng.normal(size=n), TURN)
    return np.column_stack([x, phase, rng.poisson(np.exp(0.5 + 0.3 * x))])


SAID = {"periods": {1: TURN}, "discrete": [2], "bounds": {2: (-0.5, None)}}
QUICK = {"widths": (8,), "n_radial": 0, "noise": 0.0, "max_iter": 15, "n_estimators": 1}
pytestmark = [
    ends_early,
    pytest.mark.usefixtures("few_mixtures"),
    pytest.mark.filterwarnings("ignore:Expected independent rows"),
]


@pytest.fixture(scope="module")
def flow():
    return small(**SAID).fit(table())


@pytest.fixture(scope="module")
def mixture():
    return ConvexPotentialMixture(**QUICK, **SAID).fit(table())


@pytest.fixture(params=["flow", "mixture"])
def fitted(request):
    return request.getfixturevalue(request.param)


def test_the_density_agrees_on_both_sides_of_the_seam(fitted):
    X = table()
    turned = X + [0.0, TURN, 0.0]
    np.testing.assert_allclose(fitted.score_samples(turned), fitted.score_samples(X), **SAME)
    sides = np.array([[0.2, 1e-9, 1.0], [0.2, TURN - 1e-9, 1.0]])
    first, second = fitted.score_samples(sides)
    assert first == pytest.approx(second, abs=1e-6)


def test_it_sums_to_one_over_a_period_and_all_counts(flow):
    phase = np.linspace(0.0, TURN, 12, endpoint=False)
    x = np.linspace(-5.0, 5.0, 25)
    grid = np.stack(np.meshgrid(x, phase, np.arange(15.0), indexing="ij"), axis=-1)
    sums = np.exp(flow.score_samples(grid.reshape(-1, 3))).sum() * (x[1] - x[0]) * TURN / 12
    assert sums == pytest.approx(1.0, abs=5e-3)


def test_samples_are_within_the_period_and_whole(fitted):
    rows = fitted.sample(N_DRAWS)
    assert (rows[:, 1] >= 0.0).all()
    assert (rows[:, 1] < TURN).all()
    np.testing.assert_array_equal(rows[:, 2], np.round(rows[:, 2]))
    assert (rows[:, 2] >= 0).all()
    assert np.isfinite(fitted.score_samples(rows)).all()


def test_a_value_between_whole_numbers_has_no_probability(fitted):
    assert fitted.score_samples([[0.0, 1.0, 0.5]])[0] == -np.inf


def test_there_and_back(flow, mixture):
    X = table()
    np.testing.assert_allclose(flow.inverse_transform(flow.transform(X)), X, atol=1e-8)
    Z, labels = mixture.transform(X, return_labels=True)
    np.testing.assert_allclose(mixture.inverse_transform(Z, labels), X, atol=1e-8)
    np.testing.assert_array_equal(flow.transform(X), flow.transform(X))


def test_the_image_is_about_standard_normal(fitted):
    Z = fitted.transform(table(500, seed=1))
    np.testing.assert_allclose(Z.mean(axis=0), 0.0, atol=0.2)
    np.testing.assert_allclose(Z.std(axis=0), 1.0, atol=0.2)


def test_what_is_said_is_kept_in_the_file(fitted, tmp_path):
    fitted.save(tmp_path / "model.brenier")
    loaded = brenier.load(tmp_path / "model.brenier")
    X = table()
    np.testing.assert_array_equal(loaded.score_samples(X), fitted.score_samples(X))
    np.testing.assert_array_equal(loaded.sample(9), fitted.sample(9))
    assert loaded.get_params()["periods"] == {"x1": [0.0, TURN]}
    assert loaded.get_params()["discrete"] == ["x2"]
    assert loaded.fit(X).score(X) == pytest.approx(fitted.score(X), abs=1e-9)


def test_what_is_chosen_keeps_it_too():
    X = table(60)
    chosen = AutoDensity(**QUICK | {"max_iter": 3}, **SAID).fit(X).chosen_
    np.testing.assert_array_equal(chosen.sample(20)[:, 2] % 1, 0)


def test_neither_order_nor_repetition_of_rows_matters(flow):
    X, rng = table(), np.random.default_rng(3)
    other = small(**SAID).fit(X[rng.permutation(len(X))])
    np.testing.assert_allclose(other.score_samples(X), flow.score_samples(X), **SAME)
    twice = rng.integers(1, 4, len(X))
    weighted = small(**SAID).fit(X, sample_weight=twice)
    repeated = small(**SAID).fit(np.repeat(X, twice, axis=0))
    np.testing.assert_allclose(repeated.score_samples(X), weighted.score_samples(X), **SAME)


def test_points_in_the_place_of_a_row_are_worth_one():
    report = small(**SAID, max_iter=2).fit(np.repeat(table(), 3, axis=0)).report_
    assert report.effective_size == pytest.approx(len(table()))
    assert report.n_rows >= 3 * len(table())


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"periods": {1: TURN}, "discrete": [1]}, "among periods or discrete"),
        ({"periods": {1: TURN}, "bounds": {1: (0, 7)}}, "with a period or with bounds"),
        ({"discrete": [2], "bounds": {2: (0, None)}}, "at -0.5 and"),
        ({"discrete": [0]}, "whole numbers in the discrete column 'x0'"),
    ],
)
def test_what_cannot_be(said, words):
    with pytest.raises(ValueError, match=words):
        small(**said).fit(table())


def test_validation_rows_are_whole_too():
    with pytest.raises(ValueError, match="whole numbers"):
        small(**SAID).fit(table(), validation_data=table() + 0.5)


def test_only_counts_that_are_not_said_to_be_discrete_are_warned_of():
    with pytest.warns(InputWarning, match=r"discrete=, --discrete"):
        small().fit(table(600))


def test_an_angle_given_the_others_and_without_them(flow):
    given = flow.condition({0: 0.3, 2: 1.0})
    angles = np.linspace(0.0, TURN, 200, endpoint=False)
    assert np.exp(given.log_density(angles)).sum() * TURN / 200 == pytest.approx(1.0, abs=1e-3)
    rows = np.column_stack([np.full(200, 0.3), angles, np.ones(200)])
    whole = flow.score_samples(rows)
    np.testing.assert_allclose(np.ptp(whole - given.log_density(angles)), 0.0, atol=1e-6)
    known = flow.marginal([0, 2]).log_density([[0.3, 1.0]])[0]
    assert known == pytest.approx(np.log(np.exp(whole).sum() * TURN / 200), abs=2e-3)


def test_what_has_no_such_columns_yet(flow, tmp_path):
    with pytest.raises(ValueError, match="density in JAX"):
        _ = flow.density_
    flow.save(tmp_path / "model.brenier")
    with pytest.raises(ModelFileError, match="not scored without JAX"):
        scoring.load(tmp_path / "model.brenier")
    with pytest.raises(ValueError, match="no start with periodic or discrete"):
        small(**SAID).fit(table(), start=flow)


def test_angles_may_be_given_in_any_turn_wherever_rows_are(flow):
    X = table(30)
    turned = X + [0.0, -TURN, 0.0]
    known = np.where([True, False, False], np.nan, turned)
    np.testing.assert_allclose(
        flow.score_samples(known, integrate_missing=True),
        flow.score_samples(np.where([True, False, False], np.nan, X), integrate_missing=True),
        atol=1e-6,
    )
    np.testing.assert_allclose(flow.transform(turned), flow.transform(X), atol=1e-6)
    marginal = flow.marginal([1, 2])
    np.testing.assert_allclose(
        marginal.log_density(turned[:5, 1:]), marginal.log_density(X[:5, 1:]), atol=1e-6
    )
    given = flow.condition({0: 0.3, 2: 1.0})
    np.testing.assert_allclose(given.log_density([-0.1]), given.log_density([TURN - 0.1]))
    assert flow.diagnose(turned).rows.n_outside_training == 0


def test_a_missing_angle_stays_missing(flow):
    row = np.array([[0.3, np.nan, 1.0]])
    known = flow.score_samples(row, integrate_missing=True)[0]
    assert known == pytest.approx(flow.marginal([0, 2]).log_density(row[:, [0, 2]])[0], abs=1e-6)


def test_means_of_counts_are_those_of_draws(flow):
    rows = flow.sample(4000)
    marginal = flow.marginal([2])
    assert marginal.mean()[0] == pytest.approx(rows[:, 2].mean(), abs=0.15)
    assert marginal.quantile(0.5) == np.median(rows[:, 2])


def test_all_counts_are_no_rows_to_recognise():
    rng = np.random.default_rng(0)
    X = rng.poisson(3.0, size=(80, 2)).astype(float)
    flow = small(discrete=[0, 1], max_iter=2).fit(X)
    assert flow.sketch_ is None
    diagnosis = flow.diagnose(X)
    assert "nothing can be said" not in diagnosis.verdict
    # Probabilities beside densities of rows anywhere in their cells: not beaten by spikes.
    assert min(score.lead for score in diagnosis.scores) > -0.5


def test_what_is_in_blocks_or_in_components_has_no_such_columns(flow, mixture):
    leading = small(periods={"x1": TURN})
    with pytest.raises(ValueError, match="a leading flow without periods"):
        brenier.TriangularConvexPotentialFlow([[1], [0, 2]], leading=leading).fit(table())
    with pytest.raises(ValueError, match="for its components"):
        _ = mixture.components_
    angles = small(periods={1: TURN}, discrete=[], max_iter=1)
    with pytest.warns(InputWarning, match="equal values"):
        angles.fit(table())
    with pytest.raises(ValueError, match="same discrete columns"):
        brenier.compare([flow, angles], table())


def test_from_the_command_line(tmp_path):
    path, model = tmp_path / "rows.csv", tmp_path / "rows.brenier"
    lines = [f"{x},{phase},{count:.0f}" for x, phase, count in table()]
    path.write_text("\n".join(["x,phase,count", *lines]))
    options = "--widths 8 --max-iter 15 --n-estimators 1 --noise 0 --n-radial 0".split()
    said = f"--period phase=0:{TURN} --discrete count --bounds count=-0.5:".split()
    done("fit", path, "-o", model, *said, *options)
    sampled = done("sample", model, "-n", 20).stdout.splitlines()[1:]
    assert all(float(line.split(",")[2]).is_integer() for line in sampled)
    assert "periods=" in done("info", model).stdout
    (tmp_path / "broken.csv").write_text("x,phase,count\n0.1,1.0,2.5\n0.1,1.0,2\n")
    said = done("score", model, tmp_path / "broken.csv").stdout
    assert "row 1: count = 2.5 is no whole number" in " ".join(said.split())


# What the rule of 16 points leaves of the probability of a cell at a bound.
CELLS = 5e-4


def probabilities(flow, x, phase, counts):
    """Return the joint density of a number and an angle with each of some counts."""
    rows = np.column_stack([np.full(len(counts), x), np.full(len(counts), phase), counts])
    return np.exp(flow.score_samples(rows))


def test_a_count_given_all_others_has_probabilities(flow):
    counts = np.arange(40.0)
    joint = probabilities(flow, 0.3, 0.5, counts)
    density = flow.condition({0: 0.3, 1: 0.5})
    assert density.log_density_of_given == pytest.approx(np.log(joint.sum()), abs=CELLS)
    shares = np.exp(density.log_density(counts))
    np.testing.assert_allclose(shares, joint / joint.sum(), atol=CELLS)
    assert density.log_density([0.5])[0] == -np.inf
    assert density.mean()[0] == pytest.approx(joint @ counts / joint.sum(), abs=1e-4)
    drawn = density.sample(N_DRAWS, random_state=0)[:, 0]
    np.testing.assert_array_equal(drawn, np.round(drawn))
    assert drawn.mean() == pytest.approx(shares @ counts, abs=0.3)
    levels = np.array([0.1, 0.5, 0.9])
    known = counts[np.searchsorted(np.cumsum(shares), levels)]
    np.testing.assert_array_equal(density.quantile(levels), known)


def test_counts_that_are_left_out_are_summed_over(flow):
    found = flow.marginal([0, 1]).log_density([[0.3, 0.5]])[0]
    known = np.log(probabilities(flow, 0.3, 0.5, np.arange(40.0)).sum())
    assert found == pytest.approx(known, abs=CELLS)
    missing = flow.score_samples([[0.3, 0.5, np.nan]], integrate_missing=True)[0]
    assert missing == pytest.approx(found, abs=1e-9)
    baseline = flow.baseline_score_samples([[0.3, 0.5, np.nan]], integrate_missing=True)[0]
    rows = np.column_stack([np.full(60, 0.3), np.full(60, 0.5), np.arange(60.0)])
    assert baseline == pytest.approx(
        np.log(np.exp(flow.baseline_score_samples(rows)).sum()), abs=1e-4
    )


def test_a_count_and_an_angle_are_free_together(flow):
    density = flow.condition({0: 0.3})
    counts = np.arange(25.0)
    phase = np.linspace(0.0, TURN, 24, endpoint=False)
    joint = np.array([probabilities(flow, 0.3, p, counts) for p in phase])
    of_counts = joint.sum(axis=0) / joint.sum()
    assert density.log_density_of_given == pytest.approx(np.log(joint.sum() * TURN / 24), abs=1e-3)
    assert density.mean()[1] == pytest.approx(of_counts @ counts, abs=1e-3)
    drawn = density.sample(50, random_state=0)
    np.testing.assert_array_equal(drawn[:, 1], np.round(drawn[:, 1]))
    at = density.log_density([[phase[3], 2.0]])[0]
    expected = np.log(joint[3, 2]) - density.log_density_of_given
    assert at == pytest.approx(expected, abs=1e-5)


def test_every_count_can_be_given(flow):
    # In coordinates without bounds some whole numbers lose their last digit.
    counts = np.arange(12.0)
    phase = np.linspace(0.0, TURN, 24, endpoint=False)
    joint = sum(probabilities(flow, 0.3, p, counts) for p in phase) * TURN / 24
    rows = np.column_stack([np.full(12, 0.3), counts])
    np.testing.assert_allclose(flow.marginal([0, 2]).log_density(rows), np.log(joint), atol=1e-4)
    assert np.isfinite(flow.condition({0: 0.3, 2: 6.0}).log_density_of_given)
    with pytest.raises(ValueError, match=r"whole number .* discrete column 'x2'; got 0.5"):
        flow.condition({2: 0.5})
