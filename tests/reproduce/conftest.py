"""One tiny reproduction, which the tests look at from all sides."""

import pytest
from reproduction import TINY

from brenier.reproduce.reproduce import reproduce
from brenier.reproduce.runs import Teller


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture(scope="session")
def told():
    return []


@pytest.fixture(scope="session")
def made(folder, told):
    return reproduce(TINY, folder, Teller(told.append))
