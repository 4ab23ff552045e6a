"""Every number in one place: no literal outside the settings but those with a reason."""

import ast
from dataclasses import fields
from pathlib import Path

import pytest

import brenier
from brenier.potential.mills import LOG_SQRT_2_PI, MILLS
from brenier.supervised.convex_settings import ConvexSettings
from brenier.supervised.settings import SupervisedSettings
from brenier.training.settings import NOT_TRIED, Settings, describe

ROOT = Path(brenier.__file__).parent
PROJECT = Path(__file__).parents[1]
# Rooms whose code makes the numbers of a fit; the others show, store or read.
ROOMS = ("arrays.py", "linalg.py", "data", "potential", "networks", "inner", "varpro")
ROOMS += ("optimizers", "flow", "training", "supervised", "marginal", "estimators")
# Of formulas, halves, signs, axes and shapes.
OF_FORMULAS = {-1, 0, 1, 2, 0.5}
# Where all numbers of the recipe are, and where those of solvers stand beside their formulas.
SETTINGS = ("training/settings.py", "supervised/settings.py")
SOLVER_TABLES = ("inner/", "optimizers/", "varpro/mini_batches.py")
SOLVER_TABLES += ("flow/inverse.py", "flow/tail.py", "marginal/quadrature.py")
# Toy distributions are what they are; their numbers are no part of a fit.
OTHER = ("data/datasets.py", "supervised/convex_settings.py")

REASONS = {
    "arrays.py": (
        {3, 4, 64, 1.8378770664093453},
        "lengths that rows are padded to: padding changes no number; log 2 pi",
    ),
    "linalg.py": ({8, 10, 17, 32}, "n from P = n (n + 1) / 2; bytes at a time, forms of a sum"),
    "varpro/sample.py": (
        {8, 16, 18, 28, 32, 128, 256, 600_000},
        "bytes, tiles and lengths of memory: no number depends on them but by rounding",
    ),
    "supervised/convex.py": ({512}, "rows at once: no number depends on it"),
    "supervised/predictor.py": ({13}, "rows at once: no number depends on it"),
    "supervised/scaling.py": (
        {3, 4, 8.0},
        "widths that columns are padded to; 4 p (1 - p) is one at a half; a score beyond those of "
        "any table",
    ),
    "supervised/search.py": (
        {1e-8, 256},
        "a ridge that makes the constant unique; rows that short tables are padded to",
    ),
    "varpro/supervised.py": ({14}, "rows in memory at a time: no number depends on it"),
    "varpro/reduced.py": ({1e12}, "a ridge that holds what is zero"),
    "flow/evaluation.py": ({16, 512}, "rows and cells of a batch: no number depends on it"),
    "flow/gaussians.py": ({22}, "numbers in memory at once: no number depends on it"),
    "flow/conditional_mixture.py": ({1e-9}, "what a quantile can do without"),
    "flow/pieces.py": (
        {5, 6.0, 48, 0.01},
        "neighbours and places that are looked at to tell pieces apart, and what is chance",
    ),
    "training/pooling.py": ({0.05}, "shares too little to tell"),
    "training/piece_flows.py": ({1e-3}, "responsibility of next to nothing: a row is none of it"),
    "training/pool.py": (
        {5, 1e-9, 10_000},
        "parts of a cross-validation; where the climb to the only maximum ends",
    ),
    "estimators/abstract_varpro.py": ({3, 5}, "levels of the stack"),
    "estimators/convex_regression.py": ({4}, "levels of the stack"),
    "estimators/diagnosing.py": ({19}, "what makes seeds others than users'"),
    "estimators/comparing.py": ({2000}, "draws of each model"),
    "estimators/mixture.py": ({3, 100}, "levels of the stack; draws until sampling gives up"),
    "estimators/conditional_mixture.py": (
        {3, 512},
        "levels of the stack; points of the conditional mean",
    ),
    "data/rows.py": ({16, 64}, "bytes and bits of a hash"),
    "data/checks.py": (
        {4, 5, 1e-290, 1e300},
        "rounding; the range of numbers; how many rows an error lists",
    ),
    "data/repeats.py": (
        {20, 0.01, 0.25, 0.3, 0.75, 1e-4},
        "what is a column whose values repeat, and quartiles",
    ),
    "data/column_order.py": (
        {27, 30, 31, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB},
        "what makes uniform bits of any",
    ),
    "data/names.py": ({5}, "how many names an error lists"),
    "data/dependence.py": (
        {5, 6, 8, 12, 15, 1000, 0.1, 1.5, 10.0, 1e-7, 1e-6},
        "what is rounding: shares, digits, the variance of a uniform; terms that are shown",
    ),
    "data/cells.py": (
        {5, 8, 16, 32, 64, 256},
        "points of a cell (NOTES, Angles and counts), bits of a hash, steps to a root; how many "
        "rows an error lists",
    ),
    "data/circles.py": (
        {0.08, 0.2, 256},
        "the blend of both sides of a cut, and where that is (NOTES, Angles and counts)",
    ),
    "training/checkpoint.py": ({16}, "bytes of a hash"),
    "data/sketch.py": ({11, 53, 64, 1024}, "bits of a hash; how many are kept"),
    "data/row_sample.py": (
        {4, 16, 20, 0x73616D706C652121},
        "rows at once, in a block, and held beside those that are kept; the key of a hash",
    ),
    "data/folding.py": ({65_536}, "rows at once: no number depends on it"),
    "data/bounds.py": ({5}, "how many rows an error lists"),
    "potential/activations.py": (
        {3, 4, 1e3},
        "derivatives of squareplus; where a density is zero",
    ),
    "potential/mills.py": ({4, LOG_SQRT_2_PI, *map(abs, MILLS)}, "log sqrt(2 pi), a polynomial"),
    "potential/gaussian.py": ({1e-9}, "rounding of an identity"),
    "potential/head.py": (
        {20, 1e-12},
        "columns from which the one form of Hessians is the quicker; rounding of directions",
    ),
    "potential/hessians.py": ({32}, "columns of matrices up to which many are multiplied at once"),
    "potential/wide.py": (
        {64, 128, 2.5e8, 1e-6},
        "rows that a Hessian in w is of, and its work; the rounding of 32 bits",
    ),
    "potential/icnn.py": ({1e-24}, "keeps the derivative of a norm finite at zero"),
    "potential/picnn.py": ({1e-24}, "keeps the derivative of a norm finite at zero"),
    "potential/radial.py": ({1e-24}, "keeps the derivative of a norm finite at zero"),
    "potential/initialise.py": ({1e-12, 1e-8}, "keeps a division by a constant column finite"),
    "varpro/function.py": ({1e3, 1e-6}, "a value outside the domain; room above a bound"),
    "varpro/taylor.py": ({13}, "steps of the Taylor check by default"),
    "training/stacking.py": (
        {3, 4, 29, 30, 1e-6},
        "an axis; bytes that are held, and work; the gradient at which the solver is done",
    ),
    "training/covariance.py": ({128, 2e-2}, "scikit-learn's factor analysis: its kind, its end"),
    "training/likelihood.py": ({512}, "columns from which one program or another is the better"),
    "training/judge.py": ({1e-6}, "rounding"),
    "training/background.py": ({0.2}, "seconds until Ctrl-C is seen"),
    "training/session.py": ({0.3, 0.9}, "shares of the time kept for the end of a fit"),
    "training/judged_mean.py": (
        {0.1, 0.99},
        "leverages beyond which it is none: no number of the model",
    ),
    "training/far_rows.py": (
        {3, 5, 64, 100, 1e-6, 1e-3, 1e3, 0.1, 8192, 32768},
        "the robust fit's degrees of freedom, steps and end, where a search starts; how many far "
        "rows are named and make a code; of a long table, how many are looked at",
    ),
    "training/report.py": ({0.05, 0.95, 100}, "too little to tell; the level of intervals"),
    "data/chains.py": (
        {0.2, 3, 4, 20},
        "correlations that are warned of; lengths of blocks, which decide standard errors",
    ),
    "data/split.py": ({10}, "blocks without which there is no standard error"),
    "flow/context.py": ({0.6744897501960817}, "the median absolute deviation of a normal"),
    "training/context_spread.py": (
        {10, 50, 1e-9, 1e-10},
        "steps of a likelihood's search and its end, what counts as zero",
    ),
    "estimators/row_warnings.py": ({50}, "effective rows below which a warning is due"),
    "estimators/normal.py": (
        {5, 32, 256},
        "labels an error shows; nodes of the conditional mean",
    ),
    "estimators/abstract_density.py": ({3}, "levels of the stack"),
    "estimators/abstract_joint.py": (
        {4, 1e-12},
        "levels of the stack; what holds the seam of a circle: rounding",
    ),
    "estimators/joint.py": ({32, 100}, "the thesis's widths; draws until sampling gives up"),
    "estimators/abstract_conditional_density.py": ({3}, "lengths of tuples"),
    "estimators/abstract_conditional.py": (
        {3, 4, 0.9},
        "the default level of intervals, levels of the stack",
    ),
    "estimators/files.py": ({20_000}, "iterates of a run that a file keeps"),
    "estimators/rebuild.py": ({1e-9}, "agreement of probes when a model is loaded"),
    "marginal/joint.py": ({0.158655, 0.841345}, "shares of a normal below one deviation and two"),
    "marginal/proposals.py": (
        {3, 5.0, 1e-3, 1e-10},
        "an axis; Student's degrees of freedom, and what keeps proposals' scales positive",
    ),
    "marginal/cloud.py": (
        {10, 16, 22, 64, 512, 2048, 16384, 1.1, 100.0},
        "rounds and points of importance samples, whose errors are stated; numbers in memory",
    ),
    "marginal/masses.py": ({16}, "rows at which two columns are worth a quadrature"),
    "marginal/weights.py": (
        {3.0, 5, 0.2, 0.7},
        "the largest weights, and the shape beyond which their mean is none, of Vehtari et al.",
    ),
    "estimators/asking.py": ({3, 12, 4096}, "draws and Gaussians that show where a density lies"),
    "estimators/conditioned.py": (
        {4, 5, 400, 1.5, 1e-12, 4096},
        "levels of the stack; what is warned of: few effective draws, values far from all draws; "
        "counts that a mean sums over",
    ),
    "estimators/conditioned_blocks.py": ({15}, "draws of means and quantiles"),
    "estimators/marginals.py": ({3, 4, 15}, "levels of the stack; draws of means and quantiles"),
    "estimators/evidence.py": (
        {4, 15, 16384, 0.8},
        "levels of the stack; draws of the region that a harmonic mean is truncated to, its mass",
    ),
    "flow/shelf.py": ({1e-6, 1e-9}, "rounding of an identity, and of sums of weights"),
}
MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in ROOT.rglob("*.py")
    if path.relative_to(ROOT).parts[0] in ROOMS
)


def numbers(name):
    """Return the numeric literals of a module, but those of formulas."""
    nodes = ast.walk(ast.parse((ROOT / name).read_text()))
    values = (node.value for node in nodes if isinstance(node, ast.Constant))
    found = {v for v in values if isinstance(v, int | float) and not isinstance(v, bool)}
    return found - OF_FORMULAS


def test_numbers_are_settings_or_have_a_reason():
    without = {}
    for name in MODULES:
        if name not in SETTINGS and not name.startswith(SOLVER_TABLES) and name not in OTHER:
            allowed, _ = REASONS.get(name, (set(), ""))
            without[name] = numbers(name) - allowed
    assert {name: found for name, found in without.items() if found} == {}


def test_no_reason_is_left_over():
    for name, (allowed, reason) in REASONS.items():
        assert reason
        assert numbers(name) == allowed, name


def headings():
    """Return what the notes' trials are called."""
    lines = (PROJECT / "benchmarks" / "NOTES.md").read_text().splitlines()
    return {line.removeprefix("## ").strip() for line in lines if line.startswith("## ")}


def test_every_setting_says_what_it_does_and_where_it_comes_from():
    described = list(describe())
    assert [one.name for one in described] == [field.name for field in fields(Settings)]
    for one in described:
        assert one.what
        assert one.trial == NOT_TRIED or any(h.startswith(one.trial) for h in headings()), one.trial


@pytest.mark.parametrize("settings", [SupervisedSettings, ConvexSettings])
def test_so_do_those_of_regression_and_classification(settings):
    for one in fields(settings):
        assert one.metadata["what"]
        assert one.metadata["trial"] == NOT_TRIED or one.metadata["trial"] in headings()
