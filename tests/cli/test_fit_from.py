"""`brenier fit --from MODEL`: a fit that begins at a model."""

import numpy as np
import pytest
from small_tables import NAMES, rows
from terminal import done, invoke

from brenier import ConvexPotentialMixture, load
from brenier.cli.door import ExitCode
from brenier.io.table import write_table

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:The fit ended with status 'iteration limit':sklearn.exceptions.ConvergenceWarning"
    ),
]


def test_a_model_with_the_settings_of_the_old_one(model, folder):
    write_table(folder / "new.csv", 1.01 * rows(seed=3), NAMES)
    path = folder / "new.brenier"
    done("fit", folder / "new.csv", "--from", model, "-o", path, "--max-iter", "3")
    old, new = load(model), load(path)
    assert new.widths == old.widths
    assert new.bounds == old.bounds
    assert new.max_iter == 3
    np.testing.assert_array_equal(new.flow_.preprocessing.order, old.flow_.preprocessing.order)
    assert set(new.report_.run_decay) == {old.report_.decay}


def test_given_columns_come_from_the_model(folder):
    few = ("--widths", "3", "--max-iter", "5", "--n-estimators", "1", "--decay", "0.001")
    context = NAMES[0]
    path = folder / "given.brenier"
    done("fit", folder / "train.csv.gz", "--given", context, "-o", path, *few)
    done("fit", folder / "train.csv.gz", "--from", path, "-o", folder / "again.brenier")
    again = load(folder / "again.brenier")
    assert again.feature_names_in_.tolist() == [context]
    assert again.target_names_.tolist() == [name for name in NAMES if name != context]


def test_what_does_not_go_with_it_is_refused(model, folder):
    train = folder / "train.csv.gz"
    run = invoke("fit", train, "--from", model, "--given", NAMES[0], "-o", folder / "x.brenier")
    assert run.exit_code == ExitCode.USAGE
    assert "--from does not go with --given" in " ".join(run.stderr.split())
    run = invoke("fit", train, "--from", model, "--widths", "7,7", "-o", folder / "x.brenier")
    assert run.exit_code == ExitCode.BAD_INPUT
    assert "Expected the model's own 'widths'" in run.stderr
    X = rows()
    few = {"widths": (3,), "n_radial": 0, "noise": 0.0, "max_iter": 3, "decay": 0.1}
    few |= {"n_estimators": 1, "validation_fraction": 0.0}
    ConvexPotentialMixture(**few).fit(X).save(folder / "mixture.brenier")
    run = invoke("fit", train, "--from", folder / "mixture.brenier", "-o", folder / "x.brenier")
    assert run.exit_code == ExitCode.BAD_INPUT
    assert "whose fits begin from nothing. Leave out --from." in run.stderr
