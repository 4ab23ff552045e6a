"""The benchmark of few rows a column: its Gaussians are densities, and its table says who leads."""

import numpy as np
from benchmarks.few_a_column import SETS, gaussians, lead, markdown


def record(rows, seed, brenier, is_gaussian):
    more = {"set": "made", "columns": 3, "baseline": -2.0, "shrunk": -3.0, "factors": -2.5}
    own = {"rows": rows, "seed": seed, "brenier": brenier, "is_gaussian": is_gaussian}
    return {**more, **own, "what": "", "seconds": 1.0}


def test_a_lead_is_that_over_the_better_gaussian():
    fit = record(10, 0, -1.0, is_gaussian=False)
    assert lead(fit) == 1.5
    assert lead(fit, "baseline") == 0.5


def test_a_line_has_the_seeds_of_one_table():
    records = [
        record(10, 0, -1.0, is_gaussian=False),
        record(20, 0, -2.0, is_gaussian=True),
        record(10, 1, -2.0, is_gaussian=True),
    ]
    lines = [line for line in markdown(records) if line.startswith("| made")]
    assert lines == [
        "| made | 3 | 10 | 2 | +1.00 | +0.50 | +0.50 | 1 of 2 |",
        "| made | 3 | 20 | 1 | +0.50 | +0.50 | +0.50 | 0 of 1 |",
    ]


def test_gaussians_are_of_the_rows_in_their_own_units():
    rows, _ = SETS["three factors"]
    X = rows(np.random.default_rng(0), 500, 0)
    units = np.geomspace(1e-3, 1e3, X.shape[1])
    own, scaled = (gaussians(table[:100], table[100:]) for table in (X, X * units))
    for kind in own:
        np.testing.assert_allclose(scaled[kind], own[kind] - np.log(units).sum(), atol=1e-6)
    assert np.mean(own["factors"]) > np.mean(own["shrunk"])
