"""What several test files share."""

import jax
import pytest


@pytest.fixture(scope="module")
def x64():
    """Double precision for a whole file; the library never sets the global flag."""
    with jax.enable_x64(True):
        yield
