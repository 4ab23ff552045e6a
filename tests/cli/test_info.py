"""`brenier info`: what a model file is."""

import json

from terminal import done

from brenier import load


def test_info_says_what_the_file_is(model):
    shown = done("info", model).stdout
    for part in ("brenier 0", "mass=0:", "widths=4", "iteration limit", "judge"):
        assert part in shown
    answer = json.loads(done("info", model, "--json").stdout)
    assert answer["columns"] == [
        {"name": "speed", "low": None, "high": None},
        {"name": "mass", "low": 0.0, "high": None},
    ]
    assert answer["status"] == "iteration limit"
    assert answer["report"] == load(model).report_.to_dict()
