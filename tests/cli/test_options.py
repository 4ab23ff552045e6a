"""Options: how they are read, which are refused, and what the help says of them."""

import re

import pytest
from terminal import done, invoke

from brenier import ConvexPotentialFlow
from brenier.cli import options
from brenier.cli.door import ExitCode
from brenier.training.algorithm import NAMES
from brenier.training.settings import default_settings

FRACTIONS = ("validation_fraction", "judge_fraction")


@pytest.mark.parametrize(
    "arguments",
    [
        "fit",
        "frobnicate",
        "fit x.csv --bounds x",
        "fit x.csv --bounds x=1",
        "fit x.csv --bounds x=:",
        "fit x.csv --bounds x=a:1",
        "fit x.csv --bounds x=nan:1",
        "fit x.csv --bounds x=2:1",
        "fit x.csv --bounds x=0: --bounds x=:1",
        "fit x.csv --period x",
        "fit x.csv --period x=0:",
        "fit x.csv --period x=0:1 --period x=0:2",
        "fit x.csv --period x=0:1 --given y",
        "fit x.csv --discrete x --blocks y",
        "fit x.csv --discrete x,,y",
        "fit x.csv --widths 32,0",
        "fit x.csv --widths 32,,32",
        "fit x.csv --tau 0",
        "fit x.csv --decay -1",
        "fit x.csv --max-iter 0",
        "fit x.csv --validation-fraction 1",
        "fit x.csv --max-seconds inf",
        "fit x.csv --whiten some",
        "fit x.csv --seed -1",
        "fit x.csv -o -",
        "fit -",
        "fit - -o m --validation -",
        "score m x.csv --json -o -",
        "fit x.csv --kind some",
        "fit x.csv --kind mixture --given a --noise 0",
        "fit x.csv --kind mixture --blocks a",
        "fit x.csv --kind mixture --n-maps 2",
        "fit x.csv --kind mixture --whiten none",
        "fit x.csv --kind mixture --thesis",
        "fit x.csv --kind auto --n-maps 2",
        "fit x.csv --kind mixture --given a --n-maps auto",
        "fit x.csv --kind auto --given a",
        "fit x.csv --n-maps 0",
        "fit x.csv --devices two",
        "fit x.parquet --coordinator a:1",
        "fit x.parquet --distributed --process-id 0",
        "fit x.parquet --distributed --devices 2",
        "fit x.parquet --distributed --max-seconds 5",
        "fit x.parquet --distributed --optimizer adam",
        "fit x.parquet y.parquet --distributed",
        "fit x.csv --n-maps some",
        "fit x.csv --max-rows 0",
        "fit x.csv --max-rows some",
        "sample m -n 0",
    ],
)
def test_usage_errors(arguments):
    result = invoke(*arguments.split())
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == ""
    assert "Error: " in result.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x=0:1", options.Bounds("x", 0.0, 1.0)),
        ("x=-1e3:", options.Bounds("x", -1000.0, None)),
        ("x=:5", options.Bounds("x", None, 5.0)),
        ("p(a=b)=0:1", options.Bounds("p(a=b)", 0.0, 1.0)),
    ],
)
def test_bounds_are_read(text, expected):
    assert options.parse_bounds(text) == expected


def test_choices_are_those_of_the_estimators():
    whiten = ConvexPotentialFlow._parameter_constraints["whiten"][0].options
    assert {choice.value for choice in options.Whiten} == whiten
    for setting, choices in (
        ("activation", options.Activation),
        ("optimizer", options.Optimizer),
        ("inner", options.Inner),
    ):
        assert tuple(choice.value for choice in choices) == NAMES[setting]


def test_help_shows_the_defaults():
    shown = {}
    for option in re.split(r"\n  (?=-)", done("fit", "--help").stdout)[1:]:
        # Names are broken at their hyphens.
        text = " ".join(option.split()).replace("- ", "-")
        default = re.search(r"\[default: ([^\]]*)\]", text)
        if default:
            shown[re.search(r"--([a-z-]+)", text)[1]] = default[1]
    del shown["output"]
    joint, composed, conditional, both = (
        default_settings(composed=of_several, conditional=given)
        for given in (False, True)
        for of_several in (False, True)
    )
    plain = {
        name: getattr(joint, name)
        for name in (*"n_maps whiten n_radial tau max_iter tol".split(), *FRACTIONS)
    }
    plain |= {name: getattr(joint.algorithm, name) for name in ("activation", "optimizer", "inner")}
    plain |= {
        "max_rows": options.MOST_ROWS.value,
        "kind": "flow",
        "max_seconds": "none",
        "devices": "none",
        "seed": ConvexPotentialFlow().random_state,
    }
    # Where the default depends on the kind of density, the help says how.
    assert composed.widths == conditional.widths == both.widths
    assert joint.n_init == conditional.n_init
    assert joint.n_estimators == conditional.n_estimators
    assert joint.few_rows == conditional.few_rows
    assert composed.n_estimators == both.n_estimators == both.n_estimators_few
    expected = {name.replace("_", "-"): str(value) for name, value in plain.items()} | {
        "widths": f"{_commas(joint.widths)}; of several maps, or with --given, "
        f"{_commas(composed.widths)}",
        "n-init": f"{joint.n_init}; of several maps {composed.n_init}, with --given {both.n_init}",
        "n-estimators": f"{joint.n_estimators}; of at most {joint.few_rows} rows "
        f"{joint.n_estimators_few}, with --given {conditional.n_estimators_few}; of several maps "
        f"{composed.n_estimators}",
    }
    assert shown == expected


def _commas(widths):
    return ",".join(map(str, widths))
