"""The recipe on a model that is N(0, I): verdicts, records as text and as JSON, bad input."""

import json

import numpy as np
import pytest
from normal_model import bent, draws, images, normal

from brenier.diagnostics.diagnose import diagnose
from brenier.diagnostics.diagnose_conditional import ConditionalModel, diagnose_conditional
from brenier.diagnostics.near_normal import standard_normal

NAMES = ("a", "b")


def of_joint(X, **changes):
    return diagnose(images(X), draws(2), NAMES, **changes)


def of_conditional(Y, context, **changes):
    model = ConditionalModel(
        lambda C, L, seed: normal(len(C), L, Y.shape[1], seed=seed),
        lambda C, targets: standard_normal(targets),
    )
    names = [f"y{i}" for i in range(Y.shape[1])]
    contexts = [f"c{j}" for j in range(context.shape[1])]
    return diagnose_conditional(images(Y), context, model, names, contexts, **changes)


@pytest.fixture(scope="module")
def right():
    return of_joint(normal(200, 2))


@pytest.fixture(scope="module")
def wrong():
    return of_joint(bent(400), train=bent(300, seed=5), classifier=True)


@pytest.fixture(scope="module")
def conditional():
    context = normal(200, 2, seed=3)
    return of_conditional(normal(200, 1) + 0.8 * context[:, :1], context)


def test_of_a_right_model_no_fault_is_shown(right):
    assert not right.test.rejects
    assert right.verdict.startswith("No fault can be shown with 200 rows")


def test_of_a_wrong_model_the_loss_and_the_panel_are_named(wrong):
    assert wrong.test.rejects
    assert wrong.test.panel == "correlations"
    assert wrong.panels[0].name == "correlations"
    assert wrong.verdict.startswith("The density loses 0.")
    assert "z0" in wrong.verdict
    assert "nats per row, or more" in wrong.verdict


def test_the_panels_are_those_that_there_are(right, wrong, conditional):
    joint = {"pit", "radius", "correlations", "coverage", "energy", "columns"}
    assert {panel.name for panel in right.panels} == joint
    assert {panel.name for panel in wrong.panels} == joint | {"classifier"}
    ours = {"pit", "radius", "context", "ranks", "coverage", "tarp", "intervals"}
    assert {panel.name for panel in conditional.panels} == ours


def test_an_unknown_panel_is_an_error(right):
    assert right.panel("pit").name == "pit"
    with pytest.raises(ValueError, match="Expected one of the panels .*'pit'.*; got 'tarp'"):
        right.panel("tarp")


@pytest.mark.parametrize("which", ["right", "wrong", "conditional"])
def test_all_numbers_are_plain(which, request):
    diagnosis = request.getfixturevalue(which)
    plain = json.loads(json.dumps(diagnosis.to_dict(), allow_nan=False))
    assert plain["verdict"] == diagnosis.verdict
    assert "shown" not in plain
    assert len(plain["panels"]) == len(diagnosis.panels)


def test_the_text_has_the_verdict_and_every_panel(wrong):
    text = str(wrong)
    assert text.startswith(wrong.verdict)
    assert all(panel.sentence in text for panel in wrong.panels)
    assert "  ! The model leaves a dependence out" in text
    assert all(score.name in text for score in wrong.scores)


def test_references_say_what_they_are_fitted_to(right, wrong):
    assert {score.n_rows for score in right.scores} == {100}
    assert "one half of the rows" in right.notes[-1]
    assert {score.n_rows for score in wrong.scores} == {400}
    assert wrong.scores[1].fitted_to == "300 other rows"
    assert wrong.rows.n_outside_training is not None


def test_a_better_density_leads_the_model(wrong):
    mixture = next(score for score in wrong.scores if score.name == "Gaussian mixture")
    assert mixture.lead < -2 * mixture.lead_error


def test_the_same_seed_gives_the_same_diagnosis(right):
    again, other = of_joint(normal(200, 2)), of_joint(normal(200, 2), seed=1)
    assert again.to_dict() == right.to_dict()
    assert other.nats_missing != right.nats_missing


def test_rows_are_kept_in_proportion_to_their_weights():
    X = np.concatenate([normal(300, 2), normal(300, 2, seed=1) + 3.0])
    weights = np.where(np.arange(600) < 300, 1.0, 0.0)
    found = of_joint(X, weights=weights)
    assert found.n_used == 300
    assert not found.test.rejects
    half = of_joint(X[:300], weights=np.where(np.arange(300) % 2, 1.0, 0.25))
    assert 160 < half.n_used < 215
    assert any("in proportion to its weight" in note for note in half.notes)


def test_rows_without_density_come_first_in_the_verdict():
    seen = images(normal(200, 2))
    seen.z[4], seen.log_density[4] = np.nan, -np.inf
    found = diagnose(seen, draws(2), NAMES)
    assert found.verdict.startswith("The model has no density at 1 rows")
    assert found.n_used == 199
    assert found.rows.worst[0].row == 4


def test_draws_that_were_not_found_are_left_out():
    drawn = draws(2)
    drawn.X[:30] = np.nan
    drawn.log_density[:30] = np.nan
    found = diagnose(images(normal(60, 2)), drawn, NAMES)
    assert any(note.startswith("30 of 300 draws have no preimage") for note in found.notes)
    drawn.X[:290] = np.nan
    with pytest.raises(ValueError, match="Expected 20 draws of the model or more; got 10 of 300"):
        diagnose(images(normal(60, 2)), drawn, NAMES)


def test_a_column_of_one_value_is_no_error():
    X = normal(60, 2)
    X[:, 1] = 0.5
    found = of_joint(X)
    assert found.test.rejects
    assert found.nats_missing.value > 0.5


def test_weights_that_are_all_zero_are_an_error():
    with pytest.raises(ValueError, match="thinned by their weights; got 0 of 60"):
        of_joint(normal(60, 2), weights=np.zeros(60))


def test_too_few_rows_are_an_error():
    with pytest.raises(ValueError, match="Expected 20 rows or more .* got 12 of 12"):
        of_joint(normal(12, 2))


def test_a_wrong_conditional_model_is_wrong_in_its_context(conditional):
    assert conditional.is_conditional
    assert conditional.test.rejects
    panel = conditional.panel("context")
    assert panel.worst == ("z0", "c0")
    assert panel.is_suspicious
    intervals = conditional.panel("intervals")
    assert intervals.worst == ("y0", "c0")
    assert intervals.coverage.shape == (1, 2, 10, 2)
    assert conditional.nats_missing.value > 0.1
    assert conditional.ranked_scores[0].target == "y0"


def test_of_a_right_conditional_model_no_fault_is_shown():
    assert not of_conditional(normal(200, 2, seed=2), normal(200, 1, seed=3)).test.rejects


def test_rows_where_nothing_could_be_drawn_are_told():
    Y, context = normal(100, 1), normal(100, 1, seed=1)

    def sample(C, L, seed):
        drawn = normal(len(C), L, 1, seed=seed)
        drawn[C[:, 0] > 1.5] = np.nan
        return drawn

    model = ConditionalModel(sample, lambda C, targets: standard_normal(targets))
    found = diagnose_conditional(images(Y), context, model, ["y"], ["c"])
    assert any("without a preimage" in note for note in found.notes)
