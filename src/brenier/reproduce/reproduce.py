"""One reproduction from beginning to end: runs, checks, tables, figures, files in DIR."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from brenier.io.atomic import write_atomically
from brenier.io.plain import to_plain
from brenier.reproduce import tables as t
from brenier.reproduce.checks import Checks, run_checks
from brenier.reproduce.claims import Claim, claims
from brenier.reproduce.figures import (
    figure_2_1,
    figure_4_1,
    figure_4_2,
    figure_spread,
)
from brenier.reproduce.mass import Mass, mass_of
from brenier.reproduce.page import ASSUMPTIONS, Contents, page
from brenier.reproduce.picture import Picture, write_pictures
from brenier.reproduce.record import Run, Store, write_json
from brenier.reproduce.runs import Teller, run_all
from brenier.reproduce.setting import BASELINE, DEFAULT, Setting
from brenier.reproduce.versions import versions_used


@dataclass(frozen=True)
class Reproduction:
    """What came out, and the page that shows it."""

    setting: Setting
    runs: Sequence[Run]
    claims: Sequence[Claim]
    tables: Sequence[t.Table]
    report: Path

    @property
    def bad(self) -> list[Run]:
        """Runs that ended in NaN or a crash."""
        return [run for run in self.runs if not run.finished]


def reproduce(setting: Setting, folder: Path, teller: Teller) -> Reproduction:
    """Run what is not yet in the folder, and write tables, figures, numbers and the page there.

    Parameters
    ----------
    setting : Setting
        What to run.
    folder : Path
        Made if missing; finished runs of the same settings in it are used again.
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
    teller.say("Checking the gradient and comparing the inner solvers")
    checks = run_checks(setting)
    made = [
        t.table_4_1(setting, runs),
        t.table_3_1(checks),
        t.table_elimination(setting, runs),
        t.table_sensitivity(setting, runs),
        t.table_inner(checks),
        t.table_inner_share(setting, runs),
    ]
    judged = claims(setting, runs, checks)
    teller.say("Drawing")
    store, shown = Store(folder / "runs"), models_shown(setting, runs)
    X = setting.rows(setting.seeds[0]).train
    flows = {label: store.model(label, setting.seeds[0]) for label in shown}
    grid = {"n_grid": setting.n_grid, "n_normal": setting.n_normal}
    masses = {label: mass_of(flow, X, **grid) for label, flow in flows.items()}
    drawn = [
        figure_4_1(setting, runs),
        figure_2_1(setting, runs),
        figure_spread(setting, runs),
        *(figure_4_2(label, flow, X) for label, flow in flows.items()),
    ]
    pictures = [picture for picture in drawn if picture is not None]
    pngs = write_pictures(folder, pictures)
    versions = versions_used()
    write_atomically(folder / "tables.csv", t.to_csv(made).encode())
    results = _results(setting, runs, made, judged, checks, masses, pictures, versions)
    write_json(folder / "results.json", to_plain(results))
    contents = Contents(
        setting,
        judged,
        runs,
        made,
        [(p.name, p.caption, png) for p, png in zip(pictures, pngs, strict=True)],
        masses,
        versions,
    )
    write_atomically(folder / "report.html", page(contents).encode())
    return Reproduction(setting, runs, judged, made, folder / "report.html")


def models_shown(setting: Setting, runs: Sequence[Run]) -> list[str]:
    """Return whose pictures are drawn: the baseline, the thesis network's best optimizer, ours.

    The best has the lowest mean validation loss; of each there must be a model of the first seed.
    """
    first = {run.label for run in runs if run.finished and run.seed == setting.seeds[0]}

    def validation(label: str) -> float:
        return t.spread_of(run.loss["validation"] for run in t.good(runs, label)).mean

    best = sorted(
        (label for label in setting.optimizers if label in first and label != BASELINE),
        key=validation,
    )
    return [label for label in (BASELINE, *best[:1], DEFAULT) if label in first]


def _results(
    setting: Setting,
    runs: Sequence[Run],
    tables: Sequence[t.Table],
    judged: Sequence[Claim],
    checks: Checks,
    masses: Mapping[str, Mass],
    pictures: Sequence[Picture],
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Return everything that was set and measured; histories are in DIR/runs."""
    return {
        "setting": {
            **{f.name: getattr(setting, f.name) for f in fields(setting)},
            "distribution": repr(setting.distribution),
            "published": {label: asdict(s) for label, s in setting.published.items()},
            "floor": setting.floor,
        },
        "versions": versions,
        "assumptions": dict(ASSUMPTIONS),
        "claims": [{**asdict(claim), "verdict": claim.verdict.value} for claim in judged],
        "runs": [
            {k: v for k, v in {**asdict(r), "outcome": r.outcome.value}.items() if k != "history"}
            for r in runs
        ],
        "tables": t.to_dict(tables),
        "inner": [asdict(comparison) for comparison in checks.inner],
        "mass": {label: asdict(mass) for label, mass in masses.items()},
        "figures": {picture.name: picture.caption for picture in pictures},
    }
