"""Images in bits per dimension, of one peer."""

import numpy as np
import pytest
from benchmarks import report
from benchmarks.images import OURS, keep, markdown, measured

from brenier.reproduce.images.data import ImageSet
from brenier.reproduce.images.peers import PEERS


def test_bits_are_those_of_the_density():
    values = np.random.default_rng(0).integers(0, 5, size=(200, 4)).astype(float)
    images = ImageSet("noise", "noise", 2, 5, lambda: values)
    found, rows = measured(images, "gaussian", 3), images.split(3)
    fitted = PEERS["gaussian"](rows.train, rows.validation, 3, lambda: 0.0)
    bits = rows.bits(fitted.log_density(rows.test))
    assert found["bits"] == pytest.approx(bits.mean(), rel=1e-12)
    assert found["error"] == pytest.approx(bits.std(ddof=1) / np.sqrt(40), rel=1e-12)
    assert found["split"] == 3


def record(peer, split, bits, images="digits"):
    more = {"error": 0.01, "seconds": 3.0, "constant": 3, "chosen": {}}
    return {"images": images, "peer": peer, "split": split, "bits": bits, **more}


@pytest.mark.parametrize("ours", OURS)
def test_the_page_has_means_and_paired_differences(ours):
    records = [record("mixture", 0, 2.5), record("mixture", 1, 2.7)]
    records += [record(ours, 0, 2.3), record(ours, 1, 2.4)]
    text = "\n".join(markdown(records))
    assert "8 x 8 digits, 17 levels, 3 of 64 pixels left out" in text
    assert f"| {ours} | 2 | 2.350 \N{PLUS-MINUS SIGN} 0.050 |  |" in text
    more = "2.600 \N{PLUS-MINUS SIGN} 0.100 | 0.250 \N{PLUS-MINUS SIGN} 0.050"
    assert f"| mixture | 2 | {more} |" in text
    assert "28 x 28" not in text
    # Of one split there is no error.
    alone = "\n".join(markdown([record(ours, 0, 2.3), record("mixture", 0, 2.5)]))
    assert "| mixture | 1 | 2.500 | 0.200 |" in alone


def test_a_record_takes_the_place_of_its_fit_alone(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(report, "read", lambda name: list(kept))
    monkeypatch.setattr(
        report, "write", lambda name, records: kept.__setitem__(slice(None), records)
    )
    for bits in (2.5, 2.4):
        keep(record("mixture", 0, bits))
        keep(record("mixture", 1, bits + 1))
        keep(record("mixture", 0, bits + 2, images="mnist"))
    assert [one["bits"] for one in kept] == [2.4, 3.4, 4.4]
