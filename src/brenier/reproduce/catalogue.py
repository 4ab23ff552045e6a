"""What `brenier reproduce` can run, each by its name."""

from brenier.reproduce.abstract import AbstractSetting
from brenier.reproduce.gnvpro.setting import GnvproSetting
from brenier.reproduce.images.setting import ImageSetting
from brenier.reproduce.setting import reproductions
from brenier.reproduce.slimtrain.setting import SlimtrainSetting

IMAGES, GNVPRO, SLIMTRAIN = "images", "gnvpro", "slimtrain"


def experiments() -> dict[str, AbstractSetting]:
    """Return the settings of all experiments."""
    others = {IMAGES: ImageSetting(), GNVPRO: GnvproSetting(), SLIMTRAIN: SlimtrainSetting()}
    return {**reproductions(), **others}
