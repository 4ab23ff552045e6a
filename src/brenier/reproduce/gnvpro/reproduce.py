"""The reproduction of GNvpro from beginning to end: runs, tables, pictures, files in DIR."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from brenier.io.atomic import write_atomically
from brenier.io.plain import to_plain
from brenier.reproduce.claims import Claim
from brenier.reproduce.gnvpro.claims import claims
from brenier.reproduce.gnvpro.figures import figure_2_1, figure_accuracies, figure_losses
from brenier.reproduce.gnvpro.methods import FAMILIES
from brenier.reproduce.gnvpro.page import Contents, page
from brenier.reproduce.gnvpro.record import Run, Store
from brenier.reproduce.gnvpro.runs import run_all
from brenier.reproduce.gnvpro.setting import GnvproSetting
from brenier.reproduce.gnvpro.tables import table_grid, table_of
from brenier.reproduce.picture import write_pictures
from brenier.reproduce.record import write_json
from brenier.reproduce.runs import Teller
from brenier.reproduce.tables import Table, to_csv, to_dict
from brenier.reproduce.versions import versions_used


@dataclass(frozen=True)
class GnvproReproduction:
    """What came out, and the page that shows it."""

    setting: GnvproSetting
    runs: Sequence[Run]
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
    runs = run_all(setting, folder, teller)
    tables = [table_of(setting, runs, problem) for problem in setting.problems]
    tables += [table_grid(setting, runs, family) for family in FAMILIES]
    judged = claims(setting, runs)
    teller.say("Drawing")
    drawn = [
        figure_2_1(setting, runs, Store(folder / "runs")),
        figure_losses(setting, runs),
        figure_accuracies(setting, runs),
    ]
    pictures = [picture for picture in drawn if picture is not None]
    pngs = write_pictures(folder, pictures)
    versions = versions_used()
    write_atomically(folder / "tables.csv", to_csv(tables).encode())
    write_json(folder / "results.json", to_plain(_results(setting, runs, tables, judged, versions)))
    contents = Contents(setting, judged, tables, [*zip(pictures, pngs, strict=True)], versions)
    write_atomically(folder / "report.html", page(contents).encode())
    return GnvproReproduction(setting, runs, judged, tables, folder / "report.html")


def _results(
    setting: GnvproSetting,
    runs: Sequence[Run],
    tables: Sequence[Table],
    judged: Sequence[Claim],
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Return everything that was set and measured; histories are in DIR/runs."""
    return {
        "setting": {
            "problems": [problem.name for problem in setting.problems],
            "seeds": setting.seeds,
            "passes": setting.passes,
            "share": setting.share,
            "regularisation": setting.regularisation,
            "adam": setting.adam_rates,
            "sgd": setting.sgd_rates,
            "batches": setting.batches,
            "quick": setting.quick,
        },
        "versions": versions,
        "claims": [{**asdict(claim), "verdict": claim.verdict.value} for claim in judged],
        "runs": [{k: v for k, v in asdict(run).items() if k != "history"} for run in runs],
        "tables": to_dict(tables),
    }
