"""Packages that some commands want and that do not come with the program."""

from importlib.util import find_spec


def check_matplotlib() -> None:
    """Raise `ValueError` where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise ValueError(
            "Expected matplotlib, which draws the figures; it is not installed. Install "
            "brenier[plots]."
        )
