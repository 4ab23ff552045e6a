"""What the experiment with images is: which images, how many splits, which densities."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from brenier.estimators import ConvexPotentialMixture
from brenier.reproduce.abstract import AbstractSetting
from brenier.reproduce.images.data import ALPHA, IMAGE_SETS, SEED, SHARES, ImageSet
from brenier.reproduce.images.peers import PEERS
from brenier.version import __version__

OURS, FLOW = "brenier", "brenier-flow"
IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        OURS: "`ConvexPotentialMixture` with the defaults",
        FLOW: "its flow alone, one convex potential",
        "gaussian": "one Gaussian",
        "shrunk": "one Gaussian with a covariance shrunk as Ledoit and Wolf do",
        "factors": "factor analysis; the number of factors by the validation images",
        "mixture": "a mixture of Gaussians with full covariances; how many by the validation "
        "images",
    }
)
"""What every label stands for."""


@dataclass(frozen=True)
class ImageSetting(AbstractSetting):
    """What is run.

    Attributes
    ----------
    sets : tuple of ImageSet
        Those whose package is not installed are left out.
    splits : tuple of int
        Of the images into those to fit, to choose by and to test.
    form : mapping
        Settings that differ from `ConvexPotentialMixture()`.
    n_draws : int
        Images drawn from every density.
    quick : bool
        Whether it is the short variant.
    """

    sets: tuple[ImageSet, ...] = tuple(IMAGE_SETS.values())
    splits: tuple[int, ...] = tuple(range(5))
    form: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    n_draws: int = 500
    quick: bool = False

    @property
    def words(self) -> str:
        """Images and densities."""
        titles = ", ".join(images.title for images in self.sets)
        return f"{titles}, in bits per dimension; densities: {', '.join(self.labels)}"

    @property
    def labels(self) -> tuple[str, ...]:
        """All densities, ours first."""
        return (OURS, FLOW, *PEERS)

    @property
    def here(self) -> list[ImageSet]:
        """The sets that can be had."""
        return [images for images in self.sets if images.is_here]

    @property
    def left_out(self) -> list[str]:
        """What is left out, and the remedies."""
        return [images.remedy for images in self.sets if not images.is_here]

    def estimator(self, images: ImageSet, split: int) -> ConvexPotentialMixture:
        """Return ours, unfitted: as users get it, but for its judge rows, as the test rows judge.

        The weights of its potentials and Gaussians are decided by the rows to choose by.
        """
        form = {**images.form, **self.form}
        return ConvexPotentialMixture(judge_fraction=0.0, random_state=split, **form)

    def decides(self, images: ImageSet, label: str, split: int) -> dict[str, Any]:
        """Return all that decides the numbers of a fit."""
        ours = label in (OURS, FLOW)
        return {
            "images": images.name,
            "split": split,
            "alpha": ALPHA,
            "shares": SHARES,
            "seed": SEED,
            "draws": self.n_draws,
            "estimator": self.estimator(images, split).get_params() if ours else {},
            "brenier": __version__,
        }

    def with_seeds(self, n: int) -> "ImageSetting":
        """Return the experiment with so many splits."""
        return replace(self, splits=tuple(range(n)))

    def shortened(self) -> "ImageSetting":
        """Return the quick variant: the smallest images, one split, few iterations."""
        return replace(
            self,
            sets=self.sets[:1],
            splits=self.splits[:1],
            form={**self.form, "max_iter": 20},
            quick=True,
        )
