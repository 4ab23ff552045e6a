"""One tiny reproduction, which the tests look at from all sides."""

import pytest
from reproduction import TINY

from brenier.reproduce.picture import Picture
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


@pytest.fixture
def drawn_before(made, folder, monkeypatch):
    """Take the pictures from `made`'s folder: drawing them is what a repetition would cost."""

    def read(picture, form):
        return (folder / f"{picture.name}.{form}").read_bytes()

    monkeypatch.setattr(Picture, "encoded", read)
