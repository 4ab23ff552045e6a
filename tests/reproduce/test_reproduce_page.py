"""The page: by itself, complete, and drawn by a browser."""

import base64
import json
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pytest
from reproduction import FIGURES, TINY

from brenier.reproduce import page
from brenier.reproduce.record import Outcome, Store, write_json

# A browser's first start on a busy machine, several times over.
TIMEOUT = 240
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Parts(HTMLParser):
    """Collects tags, and whatever attribute loads something."""

    def __init__(self):
        super().__init__()
        self.tags, self.loaded = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        loads = ("src", "href", "srcset", "data", "poster", "action", "background")
        self.loaded += [value for name, value in attrs if name in loads]


def test_the_page_is_self_contained(made):
    text = made.report.read_text()
    parts = Parts()
    parts.feed(text)
    assert len(parts.loaded) == len(FIGURES) == parts.tags.count("img")
    for source in parts.loaded:
        kind, data = source.split(",", 1)
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")
    assert not {"script", "link", "iframe", "object"} & set(parts.tags)
    for outside in ("http://", "https://", "url(", "@import"):
        assert outside not in text


def test_the_page_says_what_it_must(made):
    text = made.report.read_text()
    for claim in made.claims:
        assert claim.verdict.value in text
    for needed in ("Table 4.1", "Table 3.1", "silent", "softplus", "off one by", "floor"):
        assert needed in text
    assert f"{TINY.floor:.3f}" in text


def test_a_browser_draws_the_figures(made, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'u'}"]
    options += ["--hide-scrollbars", "--window-size=1200,6000", "--no-first-run", "--disable-quic"]
    options += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]

    def run(*arguments):
        return subprocess.run(
            [browser, *options, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )

    # In a copy, a script says how large the browser found each picture to be.
    probe = (
        "<script>addEventListener('load', () => { document.title = 'drawn:' + "
        "[...document.images].map(i => i.complete ? i.naturalWidth : 0).join(' '); })</script>"
    )
    copy = tmp_path / "probed.html"
    copy.write_text(made.report.read_text().replace("</body>", f"{probe}</body>"))
    dom = run("--dump-dom", copy.as_uri()).stdout
    widths = dom.split("<title>drawn:")[1].split("</title>")[0].split()
    assert len(widths) == len(FIGURES)
    assert min(map(int, widths)) > 800
    shot = tmp_path / "shot.png"
    run(f"--screenshot={shot}", made.report.as_uri())
    pixels = matplotlib.image.imread(shot)[..., :3]
    assert np.mean(np.any(pixels < 0.9, axis=-1)) > 0.02


TAMPERED = "<script>alert(1)</script>"


@pytest.mark.parametrize("field", ["label", "seed", "message"])
def test_what_is_in_a_record_is_text_on_the_page(made, field):
    run = replace(made.runs[0], outcome=Outcome.NOT_FINITE)
    # Annotations are checked in the tests, and not where users are.
    object.__setattr__(run, field, TAMPERED)
    shown = page._bad_runs([run])
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", TAMPERED), ("label", TAMPERED), ("message", 3), ("loss", {"train": 1.0}),
     ("units_to", "ab"), ("history", {"run": [1.0], "train": []}), ("outcome", ["FINISHED"])],
)  # fmt: skip
def test_a_record_that_was_altered_is_none(made, folder, tmp_path, field, value):
    kept = made.runs[0]
    store = Store(tmp_path)
    store.save(kept, Store(folder / "runs").model(kept.label, kept.seed))
    assert store.find(kept.label, kept.seed, kept.settings) is not None
    path = store.path(kept.label, kept.seed)
    write_json(path, json.loads(path.read_text()) | {field: value})
    assert store.find(kept.label, kept.seed, kept.settings) is None
