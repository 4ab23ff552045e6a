"""Settings of estimators: the defaults that depend on the kind of density, and one seed."""

from dataclasses import fields

import numpy as np
import pytest

from brenier import (
    Algorithm,
    ConditionalConvexPotentialFlow,
    ConvexPotentialFlow,
    ConvexPotentialRegressor,
)
from brenier.estimators.parameters import seed_of, settings_of
from brenier.training.settings import Hyperparameters, Settings, default_settings

KINDS = {
    "joint": (ConvexPotentialFlow(), False),
    "composed": (ConvexPotentialFlow(n_maps=2), False),
    "conditional": (ConditionalConvexPotentialFlow(), True),
    "composed conditional": (ConditionalConvexPotentialFlow(n_maps=2), True),
}
# The defaults that differ, kind by kind in the order above.
DIFFERENT = {
    "n_maps": (1, 2, 1, 2),
    "widths": ((16,) * 4, (16, 16), (16, 16), (16, 16)),
    "context_widths": ((16, 16), (16, 16), (16, 16), (8, 8)),
    "n_gates": (4, 4, 4, 0),
    "n_radial": (8, 8, 0, 0),
    "noise": (None, None, 0.0, 0.0),
    "decays": (*[(1e-5, 1e-4, 1e-2)] * 2, (1e-2, 1e-1), (1e-3, 1e-2, 1e-1)),
    "n_iter_no_change": (25, 50, 25, 50),
    "n_init": (1, 3, 1, 4),
    "own_splits": (False, False, True, True),
    "n_estimators": (3, 1, 3, 1),
    "n_estimators_few": (4, 1, 6, 1),
    "cross_rows": (300, 300, 100, 0),
    "tails": (False, False, True, True),
    "mixture_prior": (0.5, 0.5, 0.0, 0.0),
}
on_kinds = pytest.mark.parametrize("kind", KINDS)


@on_kinds
def test_defaults_are_those_of_the_kind(kind):
    estimator, conditional = KINDS[kind]
    settings = settings_of(estimator, conditional=conditional)
    place = list(KINDS).index(kind)
    for name, values in DIFFERENT.items():
        assert getattr(settings, name) == values[place], name
    plain = Settings()
    for field in fields(Settings):
        if field.name not in DIFFERENT:
            assert getattr(settings, field.name) == getattr(plain, field.name), field.name
    composed = estimator.n_maps > 1
    assert settings == default_settings(composed=composed, conditional=conditional)


@on_kinds
@pytest.mark.parametrize("n_rows", [2000, 2001])
def test_few_rows_get_more_potentials_where_each_learns_from_others(kind, n_rows):
    settings = settings_of(KINDS[kind][0], conditional=KINDS[kind][1])
    of_more = {"joint": 3, "conditional": 3, "composed": 1, "composed conditional": 1}
    of_few = {**of_more, "joint": 4, "conditional": 6}
    expected = of_few if n_rows == 2000 else of_more
    assert settings.n_potentials(n_rows) == expected[kind]


def test_regressor_has_the_defaults_of_a_conditional_density():
    settings = settings_of(ConvexPotentialRegressor(), conditional=True)
    assert settings == default_settings(conditional=True)


@on_kinds
def test_settings_given_go_before_the_defaults(kind):
    estimator, conditional = KINDS[kind]
    given = {"widths": [3, np.int64(2)], "n_init": np.int32(2), "tol": 1, "decay": np.float32(0.5)}
    # Compositions cannot be averaged.
    n = 1 if estimator.n_maps > 1 else 5
    given |= {"n_estimators": n, "max_seconds": 7, "algorithm": Algorithm(optimizer="gd-varpro")}
    changed = type(estimator)(n_maps=estimator.n_maps, **given)
    settings = settings_of(changed, conditional=conditional)
    expected = given | {"widths": (3, 2), "n_estimators_few": n}
    default = default_settings(composed=estimator.n_maps > 1, conditional=conditional)
    for field in fields(Settings):
        value = expected.get(field.name, getattr(default, field.name))
        assert getattr(settings, field.name) == value, field.name
    for name, kind_of in (("n_init", int), ("tol", float), ("decay", float), ("widths", tuple)):
        assert type(getattr(settings, name)) is kind_of
    assert settings.n_potentials(10) == settings.n_potentials(10**6) == n


@on_kinds
def test_candidates_are_few_and_one_where_nothing_is_held_out(kind):
    estimator, conditional = KINDS[kind]
    settings = settings_of(estimator, conditional=conditional)
    candidates = settings.candidates(heldout=True)
    if conditional:
        assert [c.decay for c in candidates] == list(settings.decays)
        assert {c.n_radial for c in candidates} == {0}
    else:
        assert candidates == (
            Hyperparameters(1e-5, 0),
            Hyperparameters(1e-4, 8),
            Hyperparameters(1e-2, 8),
        )
    blind = Hyperparameters(settings.blind_decay, settings.n_radial)
    assert settings.candidates(heldout=False) == (blind,)


@pytest.mark.parametrize("kind", ["composed", "conditional", "composed conditional"])
@pytest.mark.parametrize(
    ("algorithm", "message"),
    [
        (Algorithm(quadratic=False), "quadratic=True for .*; got quadratic=False"),
        (Algorithm(nonnegativity="softplus"), "nonnegativity='bounds' for .*; got 'softplus'"),
        (Algorithm.thesis(), "The thesis's form is that of single joint densities"),
    ],
)
def test_the_thesis_form_is_that_of_single_joint_densities(kind, algorithm, message):
    estimator, conditional = KINDS[kind]
    changed = type(estimator)(n_maps=estimator.n_maps, algorithm=algorithm)
    with pytest.raises(ValueError, match=message):
        settings_of(changed, conditional=conditional)
    assert settings_of(ConvexPotentialFlow(algorithm=algorithm), conditional=False)


def test_seeds_are_integers_or_drawn_from_a_generator():
    assert seed_of(np.int64(3)) == 3
    drawn = [seed_of(np.random.RandomState(seed)) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert type(drawn[0]) is int
