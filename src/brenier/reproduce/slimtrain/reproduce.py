"""The experiment from beginning to end: runs, tables, pictures, files in DIR."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from brenier.io.atomic import write_atomically
from brenier.io.plain import to_plain
from brenier.optimizers.slimtrain import DEPTH, FIRST
from brenier.reproduce.claims import Claim
from brenier.reproduce.html import claims_html, document, figure_html, table_html
from brenier.reproduce.picture import Picture, write_pictures
from brenier.reproduce.record import write_json
from brenier.reproduce.runs import Teller
from brenier.reproduce.slimtrain.claims import claims
from brenier.reproduce.slimtrain.figures import figures
from brenier.reproduce.slimtrain.measured import Measured
from brenier.reproduce.slimtrain.record import Run
from brenier.reproduce.slimtrain.runs import run_all
from brenier.reproduce.slimtrain.setting import FAMILIES, SlimtrainSetting
from brenier.reproduce.slimtrain.tables import tables
from brenier.reproduce.tables import Table, to_csv, to_dict
from brenier.reproduce.versions import versions_used

TITLE = "slimTrain, reproduced"


@dataclass(frozen=True)
class SlimtrainReproduction:
    """What came out, and the page that shows it."""

    setting: SlimtrainSetting
    runs: Sequence[Run]
    claims: Sequence[Claim]
    tables: Sequence[Table]
    report: Path


def reproduce_slimtrain(
    setting: SlimtrainSetting, folder: Path, teller: Teller
) -> SlimtrainReproduction:
    """Run what is not yet in the folder, and write tables, pictures, numbers and the page there.

    Parameters
    ----------
    setting : SlimtrainSetting
        What to run.
    folder : Path
        Made if missing; runs of the same settings in it are used again.
    teller : Teller
        Told how it goes on.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C; finished runs are kept.
    OSError
        If a file cannot be written.
    """
    runs = run_all(setting, folder, teller)
    measured = Measured(setting, runs)
    claimed, made = claims(measured), tables(measured)
    teller.say("Drawing")
    pictures = figures(measured)
    pngs, versions = write_pictures(folder, pictures), versions_used()
    write_atomically(folder / "tables.csv", to_csv(made).encode())
    results = _results(setting, runs, claimed, made, versions)
    write_json(folder / "results.json", to_plain(results))
    text = page(setting, claimed, made, [*zip(pictures, pngs, strict=True)], versions)
    write_atomically(folder / "report.html", text.encode())
    return SlimtrainReproduction(setting, runs, claimed, made, folder / "report.html")


def page(
    setting: SlimtrainSetting,
    claimed: Sequence[Claim],
    made: Sequence[Table],
    pictures: Sequence[tuple[Picture, bytes]],
    versions: Mapping[str, str],
) -> str:
    """Return the HTML of the report."""
    sections = [
        _head(setting),
        claims_html(claimed),
        "<h2>Figures</h2>",
        *(figure_html(picture.name, picture.caption, png) for picture, png in pictures),
        "<h2>Losses</h2>",
        *(table_html(table) for table in made),
        _settings(setting, versions),
    ]
    return document(TITLE, sections)


def _head(setting: SlimtrainSetting) -> str:
    warning = (
        '<p class="warning">Quick variant: one problem, one seed, few epochs. It shows that '
        "everything works; its numbers are not those of the experiment.</p>"
        if setting.quick
        else ""
    )
    return (
        f"<h1>{TITLE}</h1>"
        "<p>E. Newman, J. Chung, M. Chung, L. Ruthotto, <cite>slimTrain - A Stochastic "
        "Approximation Method for Training Separable Deep Neural Networks</cite>, SIAM J. Sci. "
        "Comput. 44, 2022: the last layer W is updated on every mini-batch by sampled "
        "limited-memory Tikhonov, whose regularisation is chosen by sampled generalised "
        "cross-validation, and the network moves by Adam. What is said of it is that the learning "
        "rate then matters less than to Adam on all weights. Beside it, and not of the paper, "
        "stands Mechanic (A. Cutkosky, A. Defazio, H. Mehta, 2023), which finds the scale of "
        "Adam's steps along the way: it begins at a tenth of the learning rate. The problems are "
        f"smaller than the paper's, and need no download. {setting.epochs} epochs for all: the "
        "same work units, one for a forward and a backward pass of one sample. "
        f"{len(setting.seeds)} seed(s), each with its own rows, first weights and order of "
        f"mini-batches.</p>{warning}"
    )


def _settings(setting: SlimtrainSetting, versions: Mapping[str, str]) -> str:
    problems = "".join(
        f"<tr><td>{escape(one.title)}</td><td>{one.sizes[0]}, {one.sizes[1]} and {one.sizes[2]}"
        f"</td><td>tanh units {' '.join(map(str, one.widths))}"
        f"{', residual' if one.residual else ''}</td></tr>"
        for one in setting.problems
    )
    schemes = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(words)}</td></tr>"
        for name, words in FAMILIES.items()
    )
    of = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        "<h2>Settings</h2><div class=wide><table class=text><tr><th>problem</th><th>training, "
        f"validation, test rows</th><th>network</th></tr>{problems}</table></div>"
        "<div class=wide><table class=text><tr><th>scheme</th><th>what it is</th></tr>"
        f"{schemes}</table></div>"
        f"<p>W sees the last layer's units and a constant. slimTrain remembers {DEPTH} "
        f"mini-batches where nothing else is said, and begins with Lambda = {FIRST:g}. Weights of "
        f"half the squares of the network's weights: {setting.decay:g}; of those of W: "
        f"{setting.ridge:g} (Adam only). Inputs and targets have mean zero column by column, and "
        "all columns are divided by one number.</p>"
        f"<p>{escape(of)}.</p>"
    )


def _results(
    setting: SlimtrainSetting,
    runs: Sequence[Run],
    claimed: Sequence[Claim],
    made: Sequence[Table],
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Return everything that was set and measured."""
    plain = {**asdict(setting), "problems": [problem.name for problem in setting.problems]}
    return {
        "setting": plain,
        "versions": versions,
        "claims": [{**asdict(one), "verdict": one.verdict.value} for one in claimed],
        "runs": [asdict(run) for run in runs],
        "tables": to_dict(made),
    }
