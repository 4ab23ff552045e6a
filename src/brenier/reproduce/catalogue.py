"""What `brenier reproduce` can run, each by its name."""

from brenier.reproduce.abstract import AbstractSetting
from brenier.reproduce.gnvpro.setting import GnvproSetting
from brenier.reproduce.images.setting import ImageSetting
from brenier.reproduce.setting import reproductions

IMAGES, GNVPRO = "images", "gnvpro"


def experiments() -> dict[str, AbstractSetting]:
    """Return the settings of all experiments."""
    return {**reproductions(), IMAGES: ImageSetting(), GNVPRO: GnvproSetting()}
