"""The reproduction of GNvpro from beginning to end: runs, tables, pictures, files in DIR."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from brenier.io.atomic import write_atomically
from brenier.io.plain import to_plain
from brenier.reproduce.claims import Claim
from brenier.reproduce.gnvpro.claims import claims
from brenier.reproduce.gnvpro.figures import (
    figure_2_1,
    figure_accuracies,
    figure_longer,
    figure_losses,
)
from brenier.reproduce.gnvpro.methods import ADAM, FAMILIES
from brenier.reproduce.gnvpro.page import Contents, page
from brenier.reproduce.gnvpro.record import Run, Store
from brenier.reproduce.gnvpro.results import Results, choose, plan_of_folds, plan_of_longer
from brenier.reproduce.gnvpro.runs import plan_of, run_all
from brenier.reproduce.gnvpro.setting import GnvproSetting
from brenier.reproduce.gnvpro.tables import (
    LONGER,
    table_folds,
    table_grid,
    table_longer,
    table_of,
)
from brenier.reproduce.picture import write_pictures
from brenier.reproduce.record import write_json
from brenier.reproduce.runs import Teller
from brenier.reproduce.tables import Table, to_csv, to_dict
from brenier.reproduce.versions import versions_used

# In DIR/runs: those of the shorter budget, of folds, and of the longer one.
KEPT = ("", "folds", "long")


@dataclass(frozen=True)
class GnvproReproduction:
    """What came out, and the page that shows it.

    Attributes
    ----------
    setting : GnvproSetting
        What was run.
    runs, folds, longer : sequence of Run
        With the shorter budget; by which the grid of Adam was chosen; with the longer budget.
    claims, tables, report : sequence of Claim, sequence of Table, Path
        What was made of them.
    """

    setting: GnvproSetting
    runs: Sequence[Run]
    folds: Sequence[Run]
    longer: Sequence[Run]
    claims: Sequence[Claim]
    tables: Sequence[Table]
    report: Path


def reproduce_gnvpro(setting: GnvproSetting, folder: Path, teller: Teller) -> GnvproReproduction:
    """Run what is not yet in the folder, and write tables, pictures, numbers and the page there.

    Parameters
    ----------
    setting : GnvproSetting
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
    folder.mkdir(parents=True, exist_ok=True)
    store, kept_folds, kept_longer = (Store(folder / "runs" / part) for part in KEPT)
    runs = run_all(setting, plan_of(setting), store, teller)
    teller.say("Cross-validation")
    folds = run_all(setting, plan_of_folds(setting), kept_folds, teller)
    short = Results(setting, runs, choose(setting, folds))
    teller.say("Longer runs")
    longer = run_all(setting.longer, plan_of_longer(short), kept_longer, teller)
    long = Results(setting.longer, longer, short.choice)
    tables = [table_of(short, problem) for problem in setting.problems]
    tables += [table_longer(long, problem) for problem in setting.claimed]
    tables += [table_grid(short, family) for family in FAMILIES]
    tables += [table_grid(long, ADAM, LONGER), table_folds(short, folds)]
    judged = claims(short, long, folds)
    teller.say("Drawing")
    drawn = [
        figure_2_1(short, store),
        figure_losses(short),
        figure_longer(long),
        figure_accuracies(short),
    ]
    pictures = [picture for picture in drawn if picture is not None]
    pngs = write_pictures(folder, pictures)
    versions = versions_used()
    write_atomically(folder / "tables.csv", to_csv(tables).encode())
    write_json(
        folder / "results.json", to_plain(_results(short, long, folds, tables, judged, versions))
    )
    contents = Contents(setting, judged, tables, [*zip(pictures, pngs, strict=True)], versions)
    write_atomically(folder / "report.html", page(contents).encode())
    return GnvproReproduction(setting, runs, folds, longer, judged, tables, folder / "report.html")


def _results(
    short: Results,
    long: Results,
    folds: Sequence[Run],
    tables: Sequence[Table],
    judged: Sequence[Claim],
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Return everything that was set and measured; histories are in DIR/runs."""
    setting = short.setting
    return {
        "setting": {
            "problems": [problem.name for problem in setting.problems],
            "seeds": setting.seeds,
            "passes": setting.passes,
            "share": setting.share,
            "folds": setting.folds,
            "fold seeds": setting.fold_seeds,
            "long passes": setting.long_passes,
            "long of grid": setting.long_of_grid,
            "regularisation": setting.regularisation,
            "adam": setting.adam_rates,
            "sgd": setting.sgd_rates,
            "batches": setting.batches,
            "quick": setting.quick,
        },
        "versions": versions,
        "claims": [{**asdict(claim), "verdict": claim.verdict.value} for claim in judged],
        "chosen": {name: method.label for name, method in short.choice.items()},
        **{
            name: [{k: v for k, v in asdict(run).items() if k != "history"} for run in runs]
            for name, runs in (("runs", short.runs), ("folds", folds), ("longer", long.runs))
        },
        "tables": to_dict(tables),
    }
