"""What every experiment's setting has."""

from abc import ABC, abstractmethod


class AbstractSetting(ABC):
    """What is run, and how much of it.

    Attributes
    ----------
    quick : bool
        Whether it is the short variant, whose numbers only show that everything works.
    """

    quick: bool

    @property
    @abstractmethod
    def words(self) -> str:
        """What it is, in a line."""

    @abstractmethod
    def shortened(self) -> "AbstractSetting":
        """Return the quick variant."""

    @abstractmethod
    def with_seeds(self, n: int) -> "AbstractSetting":
        """Return the experiment with so many seeds."""
