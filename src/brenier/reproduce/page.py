"""The report as one HTML file: pictures inside, no script, nothing loaded from anywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from brenier.reproduce.claims import Claim
from brenier.reproduce.html import claims_html, document, figure_html, in_words, table_html
from brenier.reproduce.mass import Mass
from brenier.reproduce.record import Run
from brenier.reproduce.setting import Setting
from brenier.reproduce.tables import Table

ASSUMPTIONS = (
    (
        "noise of the moons",
        "0.05 (`make_moons`), raw coordinates; the thesis's losses exclude 0.07 or more",
    ),
    ("activation", "softplus"),
    ("map from free to non-negative weights", "softplus"),
    ("rows that Adam sees", "one fixed sample, every row once an epoch in fresh random order"),
    ("learning rate of Adam with elimination, length of the warm-up", "0.02; 20 epochs"),
    (
        "initial weights",
        "kinks through random rows, in random directions, of random slopes; the "
        "same for all optimizers of one seed",
    ),
    ("final barrier weight", "1e-5 nats"),
    ("which iterate is reported", "the best on the validation rows"),
    (
        "where L-BFGS, gradient descent and Gauss-Newton end",
        "at the budget, or at a projected gradient of 1e-5 nats",
    ),
    ("seeds", "each has its own rows and initial weights"),
)


@dataclass(frozen=True)
class Contents:
    """All that the page shows: figures as PNG with their captions, mass by model."""

    setting: Setting
    claims: Sequence[Claim]
    runs: Sequence[Run]
    tables: Sequence[Table]
    figures: Sequence[tuple[str, str, bytes]]
    masses: Mapping[str, Mass]
    versions: Mapping[str, str]


def page(contents: Contents) -> str:
    """Return the HTML of a report."""
    title = f"The thesis, reproduced: {contents.setting.name}"
    sections = [
        _head(contents, title),
        claims_html(contents.claims),
        "<h2>Losses and costs</h2>",
        *(table_html(table) for table in contents.tables if table.key == "4.1"),
        "<h2>Figures</h2>",
        *(figure_html(*figure) for figure in contents.figures),
        "<h2>Mass of the densities</h2>",
        _masses(contents.masses),
        "<h2>Checks and comparisons</h2>",
        *(table_html(table) for table in contents.tables if table.key != "4.1"),
        _bad_runs(contents.runs),
        _settings(contents),
    ]
    return document(title, sections)


def _head(contents: Contents, title: str) -> str:
    s = contents.setting
    warning = (
        '<p class="warning">Quick variant: one seed, a small budget and fewer validation and test '
        "rows. It shows that everything works; its numbers are not those of the experiment.</p>"
        if s.quick
        else ""
    )
    return (
        f"<h1>{escape(title)}</h1>"
        "<p>Y. Chen, <cite>Efficient Training of Input Convex Neural Networks Using Variable "
        f"Projection</cite>, Emory University, 2023, section 4.1, run anew on {escape(s.name)}: "
        f"{s.n_train} training, {s.n_validation} validation and {s.n_test} test rows, "
        f"{len(s.seeds)} seed(s), {s.budget:,} work units a run. A work unit is one forward and "
        "backward pass of one sample; a Gauss-Newton product is one per sample.</p>" + warning
    )


def _masses(masses: Mapping[str, Mass]) -> str:
    rows = "".join(
        f"<tr><td>{escape(label)}</td><td>{m.integral:.4f}</td><td>{m.integral - 1:+.1e}</td>"
        f"<td>{m.preimages:.4f} \N{PLUS-MINUS SIGN} {m.error:.4f}</td></tr>"
        for label, m in masses.items()
    )
    return (
        "<div class=wide><table><tr><th>model, first seed</th><th>integral of the density</th><th>"
        "off one by</th><th>share of normal samples with a preimage</th></tr>"
        f"{rows}</table></div><p class=note>The thesis's network has a bounded image: the two "
        "numbers are the same mass, once by quadrature on a grid, once by counting, with its "
        "standard error. With quadratic terms (default) both are one. J as reported is of the "
        "density as it stands, not divided by its mass: with a mass of 0.99 a normalised density "
        "would have a J lower by 0.01.</p>"
    )


def _bad_runs(runs: Sequence[Run]) -> str:
    bad = [run for run in runs if not run.finished]
    if not bad:
        return f"<h2>Runs that ended badly</h2><p>None of {len(runs)}.</p>"
    items = "".join(
        f"<li>{escape(run.label)}, seed {escape(str(run.seed))}: {escape(run.outcome.value)}"
        f"<pre>{escape(run.message)}</pre></li>"
        for run in bad
    )
    return f"<h2>Runs that ended badly</h2><ul>{items}</ul>"


def _settings(contents: Contents) -> str:
    assumed = "".join(
        f"<tr><td>{escape(what)}</td><td>{escape(how)}</td></tr>" for what, how in ASSUMPTIONS
    )
    estimators = {
        label: contents.setting.estimator(label, contents.setting.seeds[0]).get_params()
        for label in contents.setting.labels
    }
    used = "".join(
        f"<tr><td>{escape(label)}</td><td>{escape(in_words(parameters))}</td></tr>"
        for label, parameters in estimators.items()
    )
    versions = ", ".join(f"{name} {version}" for name, version in contents.versions.items())
    return (
        "<h2>Assumed where the thesis is silent</h2><table class=text><tr><th>what</th><th>"
        f"assumed</th></tr>{assumed}</table><h2>Settings</h2>"
        f"<p>{escape(repr(contents.setting.distribution))}; rows of seed s are drawn "
        f"with seeds 3s, 3s + 1 and 3s + 2. {escape(versions)}.</p>"
        f"<div class=wide><table class=text><tr><th>optimizer</th><th>settings</th></tr>"
        f"{used}</table></div>"
    )
