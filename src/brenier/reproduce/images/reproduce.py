"""The experiment with images from beginning to end: fits, tables, pictures, files in DIR."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from brenier.io.atomic import write_atomically
from brenier.io.plain import to_plain
from brenier.reproduce.html import document, figure_html, in_words, table_html
from brenier.reproduce.images.data import ALPHA, SHARES, ImageSet
from brenier.reproduce.images.figures import figure_nearest, figure_round_trip, figure_samples
from brenier.reproduce.images.fits import Fit, fit_all
from brenier.reproduce.images.setting import FLOW, IN_WORDS, OURS, ImageSetting
from brenier.reproduce.picture import Picture, write_pictures
from brenier.reproduce.record import write_json
from brenier.reproduce.runs import Teller
from brenier.reproduce.tables import Entry, Table, to_csv, to_dict
from brenier.reproduce.versions import versions_used

TITLE = "Images in bits per dimension"


@dataclass(frozen=True)
class ImageReproduction:
    """What came out, and the page that shows it."""

    setting: ImageSetting
    fits: Sequence[Fit]
    tables: Sequence[Table]
    report: Path


def reproduce_images(setting: ImageSetting, folder: Path, teller: Teller) -> ImageReproduction:
    """Fit what is not yet in the folder, and write tables, pictures, numbers and the page there.

    Parameters
    ----------
    setting : ImageSetting
        What to run.
    folder : Path
        Made if missing; fits of the same settings in it are used again.
    teller : Teller
        Told how it goes on.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C; finished fits are kept.
    OSError
        If a file cannot be written.
    """
    for remedy in setting.left_out:
        teller.say(remedy)
    fits = fit_all(setting, folder, teller)
    tables = [table_of(setting, images, fits) for images in setting.here]
    teller.say("Drawing")
    pictures = [one for images in setting.here for one in _pictures(setting, images, fits)]
    pngs = write_pictures(folder, pictures)
    versions = versions_used()
    write_atomically(folder / "tables.csv", to_csv(tables).encode())
    write_json(folder / "results.json", to_plain(_results(setting, fits, tables, versions)))
    text = page(setting, tables, [*zip(pictures, pngs, strict=True)], versions)
    write_atomically(folder / "report.html", text.encode())
    return ImageReproduction(setting, fits, tables, folder / "report.html")


def table_of(setting: ImageSetting, images: ImageSet, fits: Sequence[Fit]) -> Table:
    """Return bits per dimension and what else is measured, by density."""
    of_label = {
        label: [fit.numbers for fit in fits if (fit.images, fit.numbers.label) == (images, label)]
        for label in setting.labels
    }
    ours, entries = {one.split: one.bits for one in of_label[OURS]}, []
    for label, found in of_label.items():
        bits = [one.bits for one in found]
        entries.append(Entry.of(label, "bits per dimension", "bits", bits))
        entries.append(Entry(label, "standard error", "bits", _error(bits, found[0].error)))
        if label != OURS:
            above = [one.bits - ours[one.split] for one in found]
            entries.append(Entry.of(label, f"above {OURS}", "bits", above))
        nearest = [one.nearest for one in found]
        entries.append(Entry.of(label, "drawn to nearest", "levels", nearest))
        trips = [one.round_trip for one in found if not math.isnan(one.round_trip)]
        furthest = max(trips, default=math.nan)
        entries.append(Entry(label, "round trip, furthest", "levels of a pixel", furthest))
        if label != FLOW:
            entries.append(Entry.of(label, "fit", "s", (one.seconds for one in found)))
    of_test = np.mean([one.nearest_of_test for one in of_label[OURS]])
    one_split = " Of one split it is that over its test images." * (len(setting.splits) == 1)
    form = in_words({**images.form, **setting.form}) or "none"
    return Table(
        images.name,
        f"{images.title}, {images.levels} levels",
        entries,
        [
            f"Mean \N{PLUS-MINUS SIGN} standard deviation over {len(setting.splits)} split(s); the "
            f"standard error is that of the mean.{one_split}",
            "Drawn to nearest: root mean square over pixels of the distance to the nearest "
            f"training image; of test images it is {of_test:.2f} levels.",
            f"The seconds of {OURS} are of the fit that {FLOW} is part of, compilation included. "
            f"Its settings that differ from the defaults: {form}.",
        ],
    )


def _error(bits: Sequence[float], of_one: float) -> float:
    """Return the standard error of the mean over splits; of one split that over its images."""
    return float(np.std(bits, ddof=1) / math.sqrt(len(bits))) if len(bits) > 1 else of_one


def _pictures(setting: ImageSetting, images: ImageSet, fits: Sequence[Fit]) -> list[Picture]:
    """Return the pictures of the first split."""
    split = setting.splits[0]
    own = [fit for fit in fits if (fit.images, fit.numbers.split) == (images, split)]
    rows = images.split(split)
    return [draw(rows, own) for draw in (figure_samples, figure_round_trip, figure_nearest)]


def lines(made: ImageReproduction) -> list[str]:
    """Return what came out, a line for every set of images, with the best of the others."""
    found = []
    for table in made.tables:
        bits = {row: table.cell(row, "bits per dimension") for row in table.rows}
        mean = {e.row: e.mean for e in table.entries if e.quantity == "bits per dimension"}
        best = min((row for row in bits if row not in (OURS, FLOW)), key=lambda row: mean[row])
        found.append(
            f"{table.title}: {bits[OURS]} bits per dimension, {bits[FLOW]} of its flow alone; best "
            f"of the others {bits[best]} ({best})"
        )
    return found


def page(
    setting: ImageSetting,
    tables: Sequence[Table],
    pictures: Sequence[tuple[Picture, bytes]],
    versions: Mapping[str, str],
) -> str:
    """Return the HTML of the report."""
    sections = [
        _head(setting),
        "<h2>Bits per dimension</h2>",
        *(table_html(table) for table in tables),
        "<h2>Pictures</h2>",
        *(figure_html(picture.name, picture.caption, png) for picture, png in pictures),
        _settings(setting, versions),
    ]
    return document(TITLE, sections)


def _head(setting: ImageSetting) -> str:
    warnings = [*setting.left_out]
    if setting.quick:
        warnings.append(
            "Quick variant: one split and few iterations. It shows that everything works; its "
            "numbers are not those of the experiment."
        )
    first, second = (round(100 * share) for share in SHARES)
    constants = "; ".join(
        f"{images.title}: {images.split(setting.splits[0]).n_constant} of {images.side**2}"
        for images in setting.here
    )
    return (
        f"<h1>{TITLE}</h1>"
        "<p>Densities of all pixels of an image together. The same for all: x = (value + uniform "
        "noise) / levels, y = log(s / (1 - s)) with s = &alpha; + (1 - 2 &alpha;) x, &alpha; = "
        f"{ALPHA:g}. Told is -log<sub>2</sub> of the probability of a pixel's level, a mean over "
        "the pixels that do not have one value in all images. Of an image whose levels were "
        f"uniform it would be log<sub>2</sub> of their number. Pixels left out: "
        f"{escape(constants)}. "
        f"{len(setting.splits)} split(s) of {first}, {second} and {100 - first - second} % to fit, "
        "to choose by and to test.</p>"
        + "".join(f'<p class="warning">{escape(text)}</p>' for text in warnings)
    )


def _settings(setting: ImageSetting, versions: Mapping[str, str]) -> str:
    used = "".join(
        f"<tr><td>{escape(label)}</td><td>{escape(IN_WORDS[label])}</td></tr>"
        for label in setting.labels
    )
    split = setting.splits[0]
    shown = "".join(
        f"<p>{OURS}, {escape(images.title)}, split {split}: "
        f"{escape(in_words(setting.estimator(images, split).get_params()))}.</p>"
        for images in setting.here
    )
    of = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"<h2>Settings</h2><div class=wide><table class=text><tr><th>density</th><th>what it is"
        f"</th></tr>{used}</table></div>{shown}<p>{escape(of)}.</p>"
    )


def _results(
    setting: ImageSetting, fits: Sequence[Fit], tables: Sequence[Table], versions: Mapping[str, str]
) -> dict[str, Any]:
    """Return everything that was set and measured."""
    return {
        "setting": {
            "sets": [images.name for images in setting.here],
            "left out": setting.left_out,
            "splits": setting.splits,
            "alpha": ALPHA,
            "shares": SHARES,
            "quick": setting.quick,
        },
        "constant pixels": {
            images.name: images.split(setting.splits[0]).n_constant for images in setting.here
        },
        "versions": versions,
        "fits": [{"images": fit.images.name, **asdict(fit.numbers)} for fit in fits],
        "tables": to_dict(tables),
    }
