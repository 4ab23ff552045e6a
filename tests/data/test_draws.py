"""Draws of chains as rows and back: of dictionaries, of objects like ArviZ's, and of its own."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from small_fits import ends_early, small

import brenier
from brenier import from_arviz, to_arviz, to_chains

RNG = np.random.default_rng(0)
CHAINS = {
    "mu": RNG.normal(size=(4, 50)),
    "theta": RNG.normal(size=(4, 50, 3)),
    "L": RNG.normal(size=(4, 50, 2, 2)),
}
NAMES = ["mu", "theta[0]", "theta[1]", "theta[2]", "L[0, 0]", "L[0, 1]", "L[1, 0]", "L[1, 1]"]


class Variable:
    """What the documentation of xarray promises of a DataArray, as far as it is asked for."""

    def __init__(self, values, dims, **coords):
        self.values, self.dims, self.coords = values, dims, coords

    def transpose(self, *order):
        first = [dim for dim in order if dim is not ...]
        dims = (*first, *(dim for dim in self.dims if dim not in first))
        values = np.transpose(self.values, [self.dims.index(dim) for dim in dims])
        return Variable(values, dims, **self.coords)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


def inference_data(**variables):
    dataset = SimpleNamespace(data_vars=variables)
    return SimpleNamespace(posterior=dataset, groups=lambda: ["posterior"])


def test_a_dictionary_of_chains_becomes_rows():
    draws = from_arviz(CHAINS)
    X, names, groups = draws
    assert names == NAMES
    assert X.shape == (200, 8)
    assert groups.tolist() == np.repeat(range(4), 50).tolist()
    np.testing.assert_array_equal(X[groups == 2, 0], CHAINS["mu"][2])
    np.testing.assert_array_equal(X[60], [v for x in CHAINS.values() for v in x[1, 10].ravel()])
    assert from_arviz(CHAINS, ["theta", "mu"]).names == [*NAMES[1:4], "mu"]
    assert from_arviz(CHAINS, "mu").X.shape == (200, 1)


def test_rows_become_chains_again():
    X, names, _ = from_arviz(CHAINS)
    back = to_chains(X, names, n_chains=4)
    assert list(back) == list(CHAINS)
    for name, values in CHAINS.items():
        np.testing.assert_array_equal(back[name], values)
    assert to_chains(pd.DataFrame(X, columns=names), names)["L"].shape == (1, 200, 2, 2)


def test_an_object_like_inference_data_is_read_by_its_documented_attributes():
    turned = Variable(
        CHAINS["theta"].T, ("school", "draw", "chain"), school=np.array(["a", "b", "c"])
    )
    data = inference_data(mu=Variable(CHAINS["mu"], ("chain", "draw")), theta=turned)
    X, names, groups = from_arviz(data, ["theta", "mu"])
    assert names == ["theta[a]", "theta[b]", "theta[c]", "mu"]
    np.testing.assert_array_equal(X, from_arviz(CHAINS, ["theta", "mu"]).X)
    assert len(groups) == 200
    with pytest.raises(ValueError, match="group 'prior'; got 'posterior'"):
        from_arviz(data, group="prior")
    lost = inference_data(mu=Variable(CHAINS["mu"], ("chain", "step")))
    with pytest.raises(ValueError, match="chain and draw of 'mu'; got chain, step"):
        from_arviz(lost)


@pytest.mark.parametrize(
    ("draws", "variables", "said"),
    [
        (CHAINS, ["thetas"], "among 'mu', 'theta', 'L'; got 'thetas'. Did you mean 'theta'"),
        (CHAINS, [], "at least one variable; got none"),
        ({"a": np.zeros(5)}, None, r"'a' as an array \(chains, draws, ...\); got one of shape"),
        ({"a": np.full((2, 5), "u")}, None, "numbers in 'a'; got <U1"),
        ({"a": np.zeros((2, 5)), "b": np.zeros((2, 4))}, None, "got 2 of 4 in 'b'"),
        (np.zeros((2, 5)), None, "mapping of variables to arrays.*got ndarray"),
    ],
)
def test_what_is_no_draws_is_named(draws, variables, said):
    with pytest.raises(ValueError, match=said):
        from_arviz(draws, variables)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a", "b", "c"], r"3 columns 'a', 'b', 'c'; got an array of shape \(10, 2\)"),
        (["a", "a"], "one column for each entry of 'a'; got 'a'"),
        (["a", "a[0]"], "one column for each entry of 'a'"),
        (["L[0, 0]", "L[1, 1]"], "all entries of 'L'"),
    ],
)
def test_names_that_do_not_fit_are_named(names, said):
    with pytest.raises(ValueError, match=said):
        to_chains(np.zeros((10, 2)), names)


def test_chains_are_of_equal_length():
    with pytest.raises(ValueError, match="got 10 rows for n_chains=3"):
        to_chains(np.zeros((10, 1)), ["a"], n_chains=3)


@ends_early
@pytest.mark.filterwarnings("ignore:Expected 50 effective:brenier.status.InputWarning")
def test_draws_are_fitted_as_chains():
    X, names, groups = from_arviz(CHAINS, ["mu", "theta"])
    flow = small(max_iter=2).fit(X, groups=groups)
    assert to_chains(flow.sample(20), names)["theta"].shape == (1, 20, 3)


def test_without_arviz_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz", None)
    monkeypatch.setitem(sys.modules, "arviz_base", None)
    with pytest.raises(ImportError, match="pip install arviz.*to_chains"):
        to_arviz(np.zeros((10, 1)), ["a"])


def test_older_and_newer_arviz_are_called_as_each_wants(monkeypatch):
    def called(*args, **named):
        return args, named

    for version, n_args, named in (
        ("0.22.0", 0, {"posterior"}),
        ("1.3.0", 1, set()),
    ):
        module = ModuleType("arviz")
        module.__version__, module.from_dict = version, called
        monkeypatch.setitem(sys.modules, "arviz", module)
        got_args, got_named = to_arviz(np.zeros((10, 1)), ["a"])
        assert len(got_args) == n_args
        assert set(got_named) == named


def test_names_are_public():
    assert {"from_arviz", "to_arviz", "to_chains"} <= set(brenier.__all__)


def test_with_arviz_itself():
    pytest.importorskip("arviz_base")
    X, names, groups = from_arviz(CHAINS)
    tree = to_arviz(X, names, n_chains=4)
    again = from_arviz(tree)
    assert again.names == names
    np.testing.assert_array_equal(again.X, X)
    np.testing.assert_array_equal(again.groups, groups)
    # A group by itself, and its dataset.
    for part in (tree["posterior"], tree["posterior"].to_dataset()):
        assert from_arviz(part, ["theta"]).names == NAMES[1:4]
