"""What the numbers of a report may depend on besides its settings."""

import os
import platform
from importlib.metadata import version

from brenier.version import __version__

LIBRARIES = ("jax", "numpy", "scipy", "scikit-learn", "equinox", "optax", "matplotlib")


def versions_used() -> dict[str, str]:
    """Return the versions and the machine that numbers may depend on."""
    return {
        "brenier": __version__,
        "python": platform.python_version(),
        **{library: version(library) for library in LIBRARIES},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
    }
