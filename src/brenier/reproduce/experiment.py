"""Any experiment, run: what is said at the end, and where the page is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path

from brenier.reproduce.abstract import AbstractSetting
from brenier.reproduce.claims import Claim
from brenier.reproduce.gnvpro.reproduce import reproduce_gnvpro
from brenier.reproduce.gnvpro.setting import GnvproSetting
from brenier.reproduce.images.reproduce import lines, reproduce_images
from brenier.reproduce.images.setting import ImageSetting
from brenier.reproduce.reproduce import reproduce
from brenier.reproduce.runs import Teller
from brenier.reproduce.setting import Setting
from brenier.reproduce.slimtrain.reproduce import reproduce_slimtrain
from brenier.reproduce.slimtrain.setting import SlimtrainSetting


@dataclass(frozen=True)
class Result:
    """What is said of an experiment.

    Attributes
    ----------
    lines : sequence of str
        What came out.
    report : Path
        The page.
    nothing : bool
        Whether no run ended well.
    """

    lines: Sequence[str]
    report: Path
    nothing: bool = False


@singledispatch
def run(setting: AbstractSetting, folder: Path, teller: Teller) -> Result:
    """Run what is not yet in the folder, and write the report there."""
    raise TypeError(f"Expected the setting of an experiment; got {type(setting).__name__}.")


@run.register
def _(setting: Setting, folder: Path, teller: Teller) -> Result:
    made = reproduce(setting, folder, teller)
    return Result(_said(made.claims), made.report, nothing=len(made.bad) == len(made.runs))


@run.register
def _(setting: ImageSetting, folder: Path, teller: Teller) -> Result:
    made = reproduce_images(setting, folder, teller)
    return Result(lines(made), made.report)


@run.register
def _(setting: GnvproSetting, folder: Path, teller: Teller) -> Result:
    made = reproduce_gnvpro(setting, folder, teller)
    return Result(_said(made.claims), made.report)


@run.register
def _(setting: SlimtrainSetting, folder: Path, teller: Teller) -> Result:
    made = reproduce_slimtrain(setting, folder, teller)
    return Result(_said(made.claims), made.report)


def _said(claims: Sequence[Claim]) -> list[str]:
    return [f"{claim.verdict.value}: {claim.what}: {claim.numbers}" for claim in claims]
