"""What `brenier fit` is asked for: which density, with which settings; what goes together."""

from dataclasses import dataclass
from typing import Any

import typer

from brenier.cli import options as o

# Settings that a mixture has not.
NOT_OF_MIXTURES = ("n_maps", "whiten", "n_init", "activation", "optimizer", "inner")


@dataclass(frozen=True)
class Wanted:
    """Which density is to be fitted.

    Attributes
    ----------
    settings : dict
        Those of its estimator that were given.
    algorithm : dict
        Those of its algorithm.
    given, blocks : str or None
        Names of the columns of its context, and of its blocks.
    kind : Kind
        A flow, a mixture, or whichever is better.
    thesis : bool
        Whether it is the thesis's form.
    begin_at : str or None
        The file of the model whose weights the search begins at.
    """

    settings: dict[str, Any]
    algorithm: dict[str, Any]
    given: str | None = None
    blocks: str | None = None
    kind: o.Kind = o.Kind.FLOW
    thesis: bool = False
    begin_at: str | None = None

    def check(self) -> None:
        """Refuse options that ask for different models, or that a model has not."""
        self._check_together()
        if self.begin_at is not None:
            self._check_begun()
        if self.kind is not o.Kind.FLOW:
            self._check_kind()

    def _check_together(self) -> None:
        """Refuse options of different models."""
        settings = self.settings
        composed = settings.get("n_maps", 1) != 1
        kinds = {"--given": self.given is not None, "--blocks": self.blocks is not None}
        kinds |= {"--n-maps": composed, "--thesis": self.thesis}
        asked = [name for name, wanted in kinds.items() if wanted]
        if len(asked) > 1 and asked != ["--given", "--n-maps"]:
            raise typer.BadParameter(
                f"{' and '.join(asked)} are different models: give one of them."
            )
        if self.given is not None and {"n_radial", "noise"} & settings.keys():
            raise typer.BadParameter("--given goes with neither --n-radial nor --noise.")
        for name, option in (("periods", "--period"), ("discrete", "--discrete")):
            if name in settings and (self.given is not None or self.blocks is not None):
                raise typer.BadParameter(f"{option} goes with neither --given nor --blocks.")
        if composed and settings["n_maps"] != "auto" and settings.get("n_estimators", 1) > 1:
            raise typer.BadParameter("--n-estimators does not go with --n-maps.")

    def _check_begun(self) -> None:
        """Refuse options that say what the model already says."""
        others = {
            "--given": self.given is not None,
            "--blocks": self.blocks is not None,
            "--thesis": self.thesis,
            f"--kind {self.kind.value}": self.kind is not o.Kind.FLOW,
        }
        asked = [option for option, is_asked in others.items() if is_asked]
        if asked:
            raise typer.BadParameter(
                f"--from does not go with {' or '.join(asked)}: the new model is of the old one's "
                "kind."
            )

    def _check_kind(self) -> None:
        """Refuse options that a mixture has not, nor what chooses between it and flows.

        A mixture given a context has those of its flow.
        """
        is_auto, settings = self.kind is o.Kind.AUTO, self.settings | self.algorithm
        others = {"--blocks": self.blocks is not None, "--thesis": self.thesis}
        others |= {"--given": self.given is not None and is_auto}
        if self.kind is o.Kind.MIXTURE and self.given is not None:
            others |= {"--n-maps auto": settings.get("n_maps") == "auto"}
            settings = {}
        others |= {f"--{name.replace('_', '-')}": name in settings for name in NOT_OF_MIXTURES}
        asked = [option for option, is_asked in others.items() if is_asked]
        if asked:
            raise typer.BadParameter(
                f"--kind {self.kind.value} does not go with {' or '.join(asked)}."
            )
