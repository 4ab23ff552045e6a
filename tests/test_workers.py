"""A file's tests stay on one worker, where they share what takes long to make."""

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="There are no workers.")
def test_a_test_is_known_by_its_files_group(request):
    assert request.node.nodeid.endswith("@test_workers.py")
