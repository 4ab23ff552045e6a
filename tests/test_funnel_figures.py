"""What the documentation says of the funnel is what was kept of it."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIGURES = json.loads((ROOT / "benchmarks" / "results" / "funnel.json").read_text())
TEXT = " ".join((ROOT / "docs" / "tools.md").read_text().split())


def said(pattern):
    """Return the numbers that a sentence has."""
    return [float(number) for number in re.search(pattern, TEXT).groups()]


def kept(run, quantity):
    return [runs[run][quantity] for runs in FIGURES.values()]


def test_the_page_says_of_the_funnel_what_was_kept():
    alone, last = "NUTS", "NUTS through a density, round 4"
    three = r"(\d+), (\d+) and (\d+)"
    pattern = rf"worth {three} independent ones of that coordinate, without the map {three},"
    effective = kept(last, "effective draws of v") + kept(alone, "effective draws of v")
    assert said(pattern) == [round(draws) for draws in effective]
    pattern = rf"{three} of them diverge, without the map {three};"
    assert said(pattern) == kept(last, "divergences") + kept(alone, "divergences")
    (quantity,) = {name for name in FIGURES["seed 0"][alone] if name.startswith("percent of v")}
    shares = kept(last, quantity)
    assert said(r"and ([\d.]+) to ([\d.]+) % lie below") == [
        round(share, 1) for share in (min(shares), max(shares))
    ]
    assert max(kept(alone, quantity)) == 0
    gradients = zip(kept(last, "gradients"), kept(alone, "gradients"), strict=True)
    assert all(0.24 < through / without < 0.34 for through, without in gradients)
