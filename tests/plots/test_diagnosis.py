"""A diagnosis as a page: whole, by itself, read by everyone; and its pictures."""

import re
import shutil
import subprocess
from html import escape
from html.parser import HTMLParser

import numpy as np
import pytest
from pictures import table

from brenier import ConditionalConvexPotentialFlow, ConvexPotentialFlow
from brenier.plots.diagnosis import About, diagnosis_page, plot_corner
from brenier.plots.diagnosis.corner import MOST_COLUMNS, contour_levels
from brenier.plots.diagnosis.svg import PROPERTIES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ODD = "<b>&'length' $x^2$"
# A telephone's width.
NARROW = 400
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
VOID = {"meta", "br", "hr", "img"}


class Outline(HTMLParser):
    """The elements of a page, checked to be closed in their order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.ids, self.links = [], [], [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.seen.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [given[name] for name in ("href", "src", "xlink:href") if name in given]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def outline(page):
    found = Outline()
    found.feed(page)
    assert found.open == []
    return found


def about(flow):
    command, reports = "brenier diagnose a b", [("", flow.report_)]
    return About(ODD, command, [("decay", "0.1")], [("jax", "1")], reports)


@pytest.fixture(scope="module")
def diagnosis(moon):
    flow, X = moon
    rng = np.random.default_rng(5)
    return flow.diagnose(table(np.asarray(X) + 0.1 * rng.normal(size=(300, 2)), list(X.columns)))


@pytest.fixture(scope="module")
def page(diagnosis, moon):
    flow, _ = moon
    about = About(
        ODD, "brenier diagnose a b", [("decay", "0.1")], [("jax", "1")], [("", flow.report_)]
    )
    return diagnosis_page(diagnosis, about)


def test_the_page_is_whole_and_loads_nothing(page):
    found = outline(page)
    assert len(set(found.ids)) == len(found.ids)
    assert all(link.startswith("#") and link[1:] in found.ids for link in found.links)
    assert {used for used in re.findall(r"url\(#([^)]*)\)", page)} <= set(found.ids)
    assert "script" not in found.seen
    assert not re.search(r"(?:src|href)=\"?http|@import|url\((?!#)", page)


def test_names_are_escaped(page):
    assert ODD not in page
    assert escape(ODD) in page


def test_every_picture_has_words_and_the_colours_of_the_page(page):
    pictures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    # Panels, the corner plot, the training curve.
    assert len(pictures) >= 10
    for picture in pictures:
        words = re.search(r'aria-label="([^"]+)"', picture)[1]
        assert len(words) > 20
        assert f"<title>{words}</title>" in picture
        assert not any(number in picture for number in PROPERTIES)
        assert "var(--rows)" in picture or "var(--draws)" in picture
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_the_page_says_what_the_diagnosis_says(page, diagnosis):
    assert escape(diagnosis.verdict) in page
    for panel in diagnosis.panels:
        assert escape(panel.sentence) in page
    for row in diagnosis.rows.worst:
        assert f"<td>{row.row}</td>" in page
    assert "brenier diagnose a b" in page
    assert "<td>decay</td><td>0.1</td>" in page
    assert page.count("where the seconds went") == 1


def test_the_same_diagnosis_gives_the_same_page(page, diagnosis, moon):
    flow, _ = moon
    about = About(
        ODD, "brenier diagnose a b", [("decay", "0.1")], [("jax", "1")], [("", flow.report_)]
    )
    assert diagnosis_page(diagnosis, about) == page


def test_a_page_of_a_density_given_others():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    y = table(x[:, :1] + rng.normal(size=(300, 1)), [ODD])
    few = {"widths": (4,), "context_widths": (4,), "max_iter": 5, "n_estimators": 1}
    flow = ConditionalConvexPotentialFlow(**few).fit(x[:200], y[:200])
    page = diagnosis_page(flow.diagnose(x[200:], y[200:]), About("given"))
    outline(page)
    assert ODD not in page
    for name in ("intervals", "tarp", "ranks", "context"):
        assert f'<section class="panel" id="{name}">' in page
    assert "CRPS" in page


def test_of_many_columns_those_that_fit_worst_are_in_the_corner_plot(moon):
    rng = np.random.default_rng(0)
    n = MOST_COLUMNS + 2
    few = {"widths": (4,), "max_iter": 2, "n_estimators": 1, "n_radial": 0}
    flow = ConvexPotentialFlow(**few).fit(rng.normal(size=(200, n)))
    X = rng.normal(size=(200, n))
    X[:, -1] += 3.0
    diagnosis = flow.diagnose(X)
    figure = plot_corner(diagnosis)
    labels = {ax.get_xlabel() for ax in figure.axes} - {""}
    assert len(labels) == MOST_COLUMNS
    assert f"x{n - 1}" in labels
    assert "2 columns that fit better are left out" in diagnosis_page(diagnosis, About("many"))


def test_contours_hold_the_shares_they_should():
    x = np.linspace(-5, 5, 201)
    density = np.exp(-0.5 * (x[:, None] ** 2 + x**2))
    low, high = contour_levels(density, (0.5, 0.9))
    assert density[density >= high].sum() / density.sum() == pytest.approx(0.5, abs=0.01)
    assert density[density >= low].sum() / density.sum() == pytest.approx(0.9, abs=0.01)
    assert len(contour_levels(np.zeros((3, 3)), (0.5,))) == 0


BROWSER = next((found for name in BROWSERS if (found := shutil.which(name))), None)


@pytest.mark.skipif(BROWSER is None, reason="There is no browser.")
def test_a_narrow_screen_shows_it_without_scrolling_sideways(page, tmp_path):
    frame = f'<iframe id="page" width="{NARROW}" height="600" srcdoc="{escape(page)}"></iframe>'
    measure = (
        "onload = () => { const seen = document.getElementById('page').contentDocument;"
        "document.title = [seen.documentElement.scrollWidth, seen.querySelectorAll('svg').length,"
        "[...seen.querySelectorAll('svg')].filter(one => one.getBoundingClientRect().height < 50)"
        ".length].join(' ') }"
    )
    (tmp_path / "frame.html").write_text(f"{frame}<script>{measure}</script>", encoding="utf-8")
    run = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *("--virtual-time-budget=5000", f"--user-data-dir={tmp_path / 'profile'}"),
            (tmp_path / "frame.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    title = re.search(r"<title>([^<]*)</title>", run.stdout)
    assert title, run.stderr
    width, pictures, flat = map(int, title[1].split())
    assert width <= NARROW
    assert pictures >= 10
    assert flat == 0
