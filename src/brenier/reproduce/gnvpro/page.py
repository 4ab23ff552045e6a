"""The report as one HTML file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from brenier.reproduce.claims import Claim
from brenier.reproduce.gnvpro.setting import GnvproSetting
from brenier.reproduce.gnvpro.tables import LONGER
from brenier.reproduce.html import claims_html, document, figure_html, table_html
from brenier.reproduce.picture import Picture
from brenier.reproduce.tables import Table

TITLE = "GNvpro, reproduced"
ASSUMPTIONS = (
    (
        "first W of methods without elimination",
        "the optimal one of the first network, which is what the authors' code begins with: the "
        "harder opponent; Gauss-Newton and L-BFGS are run from a random W, too",
    ),
    (
        "regularisation",
        "the same fixed, small weights for all methods (below), not tuned for any of them",
    ),
    (
        "which iterate counts",
        "the one with the lowest validation loss so far, for all methods; the first, before any "
        "work, is among them",
    ),
    (
        "which member of a grid counts",
        "that with the lowest mean validation loss, chosen by these rows themselves: in hindsight, "
        "in favour of Adam and SGD; of Adam on the problems claimed also what "
        "cross-validation on the training rows of the first seed chooses, with as many passes as "
        "the shorter runs: one seed's, as a fifth of the passes from all of them would favour what "
        "is fast at first",
    ),
    (
        "how much work",
        "the paper's claims fix no number of passes: GNvpro is compared with Adam at two of them, "
        "and both verdicts are given; cross-validation is with the shorter one, and what it chose "
        "is used with the longer one, too",
    ),
    (
        "work unit",
        "a forward and backward pass of one row, or a Gauss-Newton product of one row; inner "
        "solves are not counted, as in the paper and the thesis",
    ),
    (
        "Gauss-Newton",
        "a trust region's problem in a Krylov space: of 3 dimensions at most, preconditioned by "
        "the products of earlier steps, which is ours; and, called plain, of 20 dimensions at most "
        "without memory, as in the paper",
    ),
    (
        "networks",
        "residual tanh networks of one width, the inputs beside their outputs; the authors' "
        "antisymmetric layers and several levels of depth are left out",
    ),
    (
        "convection and diffusion",
        "the paper's convection-diffusion-reaction surrogate scaled down: twelve parameters, "
        "steady, 36 observations; solved by finite differences when the experiment runs",
    ),
)


@dataclass(frozen=True)
class Contents:
    """All that the page shows: pictures with their PNG."""

    setting: GnvproSetting
    claims: Sequence[Claim]
    tables: Sequence[Table]
    pictures: Sequence[tuple[Picture, bytes]]
    versions: Mapping[str, str]


def page(contents: Contents) -> str:
    """Return the HTML of a report."""
    grids = [table for table in contents.tables if table.key.startswith("grid-")]
    others = [table for table in contents.tables if table not in grids]
    longer = [table for table in others if table.key.endswith(LONGER)]
    shorter = [table for table in others if table not in longer]
    sections = [
        _head(contents.setting),
        claims_html(contents.claims),
        "<h2>Figures</h2>",
        *(figure_html(picture.name, picture.caption, png) for picture, png in contents.pictures),
        "<h2>Losses at equal work units</h2>",
        *map(table_html, shorter),
        "<h2>Longer runs</h2>",
        *map(table_html, longer),
        "<h2>Grids</h2>",
        *map(table_html, grids),
        _settings(contents),
    ]
    return document(TITLE, sections)


def _head(setting: GnvproSetting) -> str:
    warning = (
        '<p class="warning">Quick variant: two problems, one seed, little work and grids of two. '
        "It shows that everything works; its numbers are not those of the experiment.</p>"
        if setting.quick
        else ""
    )
    titles = "; ".join(problem.title for problem in setting.problems)
    return (
        f"<h1>{TITLE}</h1>"
        "<p>E. Newman, L. Ruthotto, J. Hart, B. van Bloemen Waanders, <cite>Train Like a (Var)Pro: "
        "Efficient Training of Neural Networks with Variable Projection</cite>, 2021, arXiv "
        "2007.13171, which the thesis carries over to likelihoods (its Figure 2.1). Outputs of a "
        "network are W f(x): for every f the best W is a convex problem, and eliminating it leaves "
        f"a problem in the weights of f alone. Problems: {escape(titles)}. {len(setting.seeds)} "
        f"seed(s), each with its own rows and first weights, the same for all methods; "
        f"{setting.passes:,} passes' worth of work units a run, and {setting.long_passes:,} of the "
        "longer ones.</p>" + warning
    )


def _settings(contents: Contents) -> str:
    setting = contents.setting
    assumed = "".join(
        f"<tr><td>{escape(what)}</td><td>{escape(how)}</td></tr>" for what, how in ASSUMPTIONS
    )
    weights = "; ".join(
        f"{loss}: ridge {one.ridge:g} on W, decay {one.decay:g} on the network's weights"
        for loss, one in setting.regularisation.items()
    )
    used = "".join(
        f"<tr><td>{escape(method.label)}</td><td>{escape(method.words)}</td>"
        f"<td>{escape(repr(method.optimizer(setting.seeds[0])))}</td></tr>"
        for method in setting.methods
    )
    versions = ", ".join(f"{name} {version}" for name, version in contents.versions.items())
    return (
        "<h2>What was assumed</h2><div class=wide><table class=text><tr><th>what</th><th>assumed"
        f"</th></tr>{assumed}</table></div><h2>Settings</h2><p>Regularisation, of half the squares "
        f"beside the mean loss of a row: {escape(weights)}. {escape(versions)}.</p>"
        "<div class=wide><table class=text><tr><th>method</th><th>what it is</th><th>settings, "
        f"first seed</th></tr>{used}</table></div>"
    )
