"""The documentation's site: it builds strictly, fetches nothing, and leaves out no public name."""

import ast
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import matplotlib as mpl
import polars as pl
import pytest
from matplotlib import pyplot as plt

import brenier
from brenier import plots
from brenier.status import FitStatus

ROOT = Path(__file__).parents[1]
SOURCE = Path(brenier.__file__).parent
TROUBLE = (ROOT / "docs" / "trouble.md").read_text()
# Seconds; it takes some two.
A_MINUTE = 60
# Of the pictures of the page of plots together.
MOST_BYTES = 700_000
# Of a picture of the gallery; how many there are.
MOST_BYTES_OF_EXAMPLE, N_EXAMPLES = 60_000, 10
# Settings with which an example takes seconds.
FEWER = {"widths": (3,), "max_iter": 2, "n_estimators": 1, "decay": 1e-2}
# With these besides, joint densities.
FEWER_JOINT = FEWER | {"n_radial": 0, "noise": 0.0}
# The attribute by which an element fetches something when a page is read.
FETCHES = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}
# Which row of the page "When a fit goes wrong" is about the warnings of a function.
WARNERS = {
    "_end_fit": "the status and its remedy",
    "Checkpoint.__exit__": "could not be written to the end",
    "_warn_of_chains": "Expected independent rows",
    "told_of_far_rows": "Expected measured values",
    "_warn_of_few": "effective rows or more",
    "_discrete_columns": "Expected columns with a density",
    "AbstractConditional._check_distinct": "Expected columns of X that vary",
    "AbstractVarPro._check_inputs": "Expected columns of X that vary",
    "AbstractVarPro._told": "The fit ended at its time limit",
    "AbstractJoint._check_distinct": "Expected more distinct rows than columns",
    "_warn_if_far": "rows of X lie far outside",
    "warn_of_no_image": "lie on or beyond",
    "found_preimages": "points have no preimage",
    "_warn_of_far": "Expected given values near those that the density was fitted to",
    "warn_of_errors": "Expected importance samples worth",
    "_warn_of_seen": "Expected draws that the density was not fitted to",
    "_told": "Expected weights whose largest have a Pareto shape k",
    "ConvexPotentialFlow.sample": "normal points had no preimage",
}

# What gives others' warnings again.
REPEATERS = {"RowWarnings.of_piece", "RowWarnings.give"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site strictly; return its folder."""
    if find_spec("material") is None or find_spec("mkdocstrings") is None:
        pytest.skip("mkdocs-material and mkdocstrings are not installed: brenier[docs]")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    run = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=A_MINUTE
    )
    assert run.returncode == 0, run.stderr
    return folder


class Page(HTMLParser):
    """The ids of a page, and what it fetches when it is read."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.fetched = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids.add(attributes.get("id"))
        self.fetched.append(attributes.get(FETCHES.get(tag)) or "")


def test_pages_fetch_nothing_from_a_network(site):
    pages = list(site.glob("*.html"))
    assert {"index.html", "api.html", "mathematics.html"} <= {page.name for page in pages}
    for path in pages:
        fetched = Page(path.read_text()).fetched
        assert [url for url in fetched if url.startswith(("http:", "https:", "//"))] == []
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text()) == []


def test_search_works_from_disk(site):
    assert (site / "search" / "search_index.js").read_text().startswith("var __index")
    assert "assets/iframe-worker.js" in (site / "index.html").read_text()


def test_formulas_are_drawn(site):
    text = (site / "mathematics.html").read_text()
    assert text.count("<math") > 200
    assert re.findall(r"\\[(\[]", text) == []
    assert "arithmatex" not in text


def test_options_stay_whole(site):
    guide = (site / "guide.html").read_text()
    codes = re.findall(r"(?<!<pre>)(?<!</span>)<code>(.*?)</code>", guide, re.DOTALL)
    named = [code for code in codes if "--drop-missing" in code]
    assert named
    assert all('<span class="option">--drop-missing</span>' in code for code in named)
    assert ".option" in (site / "assets" / "site.css").read_text()


def test_references_of_docstrings_are_lists(site):
    text = (site / "api.html").read_text()
    assert ".. [" not in text
    assert re.search(r"<ol><li>Y\. Chen, .*?</li><li>C\.-W\. Huang", text, re.DOTALL)


def test_a_formula_that_the_converter_does_not_know_is_refused():
    pytest.importorskip("latex2mathml", reason="latex2mathml is not installed: brenier[docs]")
    sys.path.insert(0, str(ROOT / "docs" / "hooks"))
    try:
        import formulas
    finally:
        sys.path.pop(0)
    assert "<mi>x</mi>" in formulas.mathml(r"\lvert x \rvert", "inline")
    assert ">∈<" in formulas.mathml(r"x \in A", "inline").replace("&#x02208;", "∈")
    with pytest.raises(ValueError, match="nonsense"):
        formulas.mathml(r"\nonsense x", "inline")


def test_every_public_name_is_in_the_reference(site):
    ids = Page((site / "api.html").read_text()).ids
    last_parts = {str(name).rpartition(".")[2] for name in ids if str(name).startswith("brenier.")}
    assert set(brenier.__all__) - {"__version__"} - last_parts == set()
    assert set(plots.__all__) - last_parts == set()
    assert "brenier.__version__" in (site / "api.html").read_text()


def test_every_status_has_its_row():
    rows = re.findall(r"^\| (.*?) \|", TROUBLE, flags=re.MULTILINE)
    assert {status.value for status in FitStatus} - set(rows) == set()


def warners(tree, inside=""):
    """Yield the functions that warn, with the class they are in."""
    for node in ast.iter_child_nodes(tree):
        name = node.name if isinstance(node, ast.ClassDef) else inside
        if isinstance(node, ast.FunctionDef):
            calls = (n for n in ast.walk(node) if isinstance(n, ast.Call))
            if any(ast.unparse(call.func) == "warnings.warn" for call in calls):
                yield f"{inside}.{node.name}"
        else:
            yield from warners(node, name)


def test_every_warning_has_its_row():
    trees = [ast.parse(path.read_text()) for path in SOURCE.rglob("*.py")]
    found = {name for tree in trees for name in warners(tree)}
    rows = {w: [n for n in found if n == w or n.endswith(f".{w}")] for w in WARNERS}
    assert all(rows.values()), rows
    assert found - {name for names in rows.values() for name in names} == REPEATERS
    assert [text for text in WARNERS.values() if text not in TROUBLE] == []


def texts(path):
    """Yield the texts in a module, with nothing in place of what is put into them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(v.value) for v in node.values if isinstance(v, ast.Constant))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_what_the_page_says_is_said_is_said():
    said = " ".join(text for path in SOURCE.rglob("*.py") for text in texts(path))
    quoted = re.findall(r'^\| (?:or )?"(.*?)"', TROUBLE, flags=re.MULTILINE)
    assert len(quoted) > 30
    parts = [part.strip("; ") for text in quoted for part in text.split("...")]
    assert [part for part in parts if part not in said] == []


@pytest.fixture(scope="module")
def pictures():
    """Return the module that makes the page of plots."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import plots as module
    finally:
        sys.path.pop(0)
    return module


def test_the_page_of_plots_is_what_its_script_says(pictures):
    assert (ROOT / "docs" / "plots.md").read_text() == pictures.text()
    shown = {name for name in plots.__all__ if name.startswith("plot_")}
    assert {picture.function for picture in pictures.PICTURES} == shown
    sizes = [(ROOT / "docs" / picture.image).stat().st_size for picture in pictures.PICTURES]
    assert sum(sizes) < MOST_BYTES


def test_the_lines_of_the_page_of_plots_draw(pictures):
    mpl.use("Agg")
    flow = brenier.load(ROOT / "tests" / "fixtures" / "composed.brenier")
    posterior = brenier.load(ROOT / "tests" / "fixtures" / "joint.brenier")
    X = flow.sample(50, random_state=0)
    draws = pl.DataFrame(posterior.sample(50, 0), schema=list(posterior.feature_names_in_))
    names = {"flow": flow, "X": X, "X_new": X, "posterior": posterior, "draws": draws}
    for picture in pictures.PICTURES:
        figure = pictures.draw(picture, names)
        assert figure.axes
        plt.close(figure)


@pytest.fixture(scope="module")
def gallery():
    """Return the module that runs the examples of the gallery."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import gallery as module
    finally:
        sys.path.pop(0)
    return module


def test_the_gallery_is_ten_examples_with_pictures(gallery):
    page = gallery.PAGE.read_text()
    examples = gallery.examples()
    assert len(examples) == page.count("```python") == page.count("\n## ") == N_EXAMPLES
    assert gallery.text({}) == page
    for example in examples:
        assert (gallery.IMAGES / f"{example.name}.png").stat().st_size < MOST_BYTES_OF_EXAMPLE
        assert f'savefig("{example.name}.png"' in example.code
        assert ("print(" in example.code) == bool(example.printed)
        assert len(example.words) > len(example.name)
    known = {f"{example.name}.png" for example in examples}
    assert {path.name for path in gallery.IMAGES.iterdir()} == known


def shorter(code):
    """Return an example with few rows and iterations: its lines are the same."""
    code = re.sub(r"\bwidths=\([^)]*\), |\bn_radial=0\b", "", code)
    return re.sub(r"\bCon\w+\(", fewer, re.sub(r"\b(\d+_000|[35]00)\b", "150", code))


def fewer(opened):
    """Return the beginning of an estimator's call with the settings that make its fit quick."""
    name = opened.group()
    is_joint = name in ("ConvexPotentialFlow(", "ConvexPotentialMixture(")
    settings = FEWER_JOINT if is_joint else FEWER
    return name + "".join(f"{key}={value!r}, " for key, value in settings.items())


@pytest.mark.filterwarnings("ignore:The fit ended:sklearn.exceptions.ConvergenceWarning")
def test_the_lines_of_the_gallery_draw(gallery, tmp_path):
    mpl.use("Agg")
    for example in gallery.examples():
        printed = replace(example, code=shorter(example.code)).run(tmp_path)
        assert (tmp_path / f"{example.name}.png").is_file()
        assert bool(printed) == bool(example.printed)


def tool(name):
    """Return a module of the folder `tools`."""
    module = module_from_spec(spec_from_file_location(name, ROOT / "tools" / f"{name}.py"))
    sys.modules[name] = module
    module.__spec__.loader.exec_module(module)
    return module


def test_the_page_of_sizes_has_every_requirement():
    sizes = tool("sizes")
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split("[<>=]", text)[0] for text in asked}
    assert set(sizes.USES) == names
    assert {name for packages in sizes.PARTS.values() for name in packages} == names
    assert sizes.needed("brenier").keys() > names
    rows = re.findall(r"^\| (.*?) \| .* \| ([\d.]+) \|$", sizes.PAGE.read_text(), re.MULTILINE)
    page = {name: float(size) for name, size in rows}
    assert page.keys() > {*names, *sizes.PARTS, "jaxlib"}
    together = sum(page[part] for part in sizes.PARTS)
    # Of tenths that are added up.
    assert together == pytest.approx(page["**together**"], abs=0.05 * (len(sizes.PARTS) + 1))


def test_the_release_check_knows_what_is_promised():
    check = tool("release_check")
    page = (ROOT / "docs" / "release.md").read_text()
    assert check.promised_pythons() == ["3.11", "3.12", "3.13"]
    assert check.lowest_jax() == "jax==0.8.*"
    assert "Python 3.11, 3.12 and 3.13; JAX from 0.8 on" in page
    assert set(check.pythons([])) <= set(check.promised_pythons())
