"""`brenier fit --from MODEL`: the estimator of a model, to be fitted from where that ended."""

from collections.abc import Sequence
from typing import Any

from brenier.cli.files import with_names
from brenier.cli.inputs import Inputs


def begun(path: str, settings: dict[str, Any]) -> tuple[Any, Any]:
    """Return a model, and an estimator with its settings but for some, not yet fitted."""
    from brenier.estimators import ConditionalConvexPotentialFlow, ConvexPotentialFlow, load

    model = load(path)
    if type(model) not in (ConditionalConvexPotentialFlow, ConvexPotentialFlow):
        raise ValueError(
            f"Expected a ConvexPotentialFlow, or a conditional one, in {path}; got a "
            f"{type(model).__name__}, whose fits begin from nothing. Leave out --from."
        )
    return model, type(model)(**{**model.get_params(deep=False), **settings})


def parts_of(inputs: Inputs, context: Sequence[str]) -> tuple[tuple[Any, Any], Any]:
    """Return context and targets, with their names, and what is held out likewise."""
    import numpy as np

    names = list(inputs.shown_names)
    missing = [name for name in context if name not in names]
    targets = [name for name in names if name not in context]
    if missing or not targets:
        got = ", ".join(map(repr, missing)) if missing else "all of them"
        raise ValueError(
            f"Expected --given to name some columns of {inputs.name} "
            f"({', '.join(map(repr, names))}); got {got}."
        )

    def parts(rows: Any) -> tuple[Any, Any]:
        values = np.asarray(rows)
        places = [[names.index(name) for name in part] for part in (context, targets)]
        X, Y = (np.ascontiguousarray(values[:, columns]) for columns in places)
        return with_names(X, context), with_names(Y, targets)

    validation = None
    if isinstance(inputs.validation_data, tuple):
        rows, weights = inputs.validation_data
        validation = (*parts(rows), weights)
    elif inputs.validation_data is not None:
        validation = parts(inputs.validation_data)
    return parts(inputs.values), validation
