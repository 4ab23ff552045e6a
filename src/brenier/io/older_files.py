"""Model files of format versions 1 and 2 as files of today's format.

Those of version 1 have no `kind`: what a flow is has to be seen from the keys that are there.
Settings, reports and arrays have other names, and some may be missing: radial units, noise,
compositions, tails. Reports of version 2 know no judge rows.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

Metadata = dict[str, Any]
Arrays = dict[str, np.ndarray]

# Estimators that were classes of their own.
COMPOSED = {
    "ComposedConvexPotentialFlow": "ConvexPotentialFlow",
    "ComposedConditionalConvexPotentialFlow": "ConditionalConvexPotentialFlow",
}
# Settings by their names then.
SETTINGS = {"n_cones": "n_radial", "jitter": "noise", "n_blocks": "n_maps"}
# Settings that were the estimator's, and are now its algorithm's.
OF_ALGORITHM = {
    "scheme": "optimizer",
    "inner": "inner",
    "activation": "activation",
    "nonnegativity": "nonnegativity",
    "quadratic": "quadratic",
    "max_work_units": "max_work_units",
}
# That algorithm where nobody had changed it.
DEFAULT_ALGORITHM = {
    "optimizer": "lbfgs-varpro",
    "inner": "primal-dual",
    "activation": "gaussian-softplus",
    "nonnegativity": "bounds",
    "quadratic": True,
    "max_work_units": None,
}
# Why nothing judged what was fitted before there were judge rows.
UNJUDGED = "an older brenier fitted it, which set no rows apart to judge"
# Fields of reports by their names then.
REPORT = {
    "jitter": "noise",
    "n_blocks": "n_maps",
    "n_cones": "n_radial",
    "search_decay": "run_decay",
    "search_n_cones": "run_n_radial",
    "search_log_likelihood": "run_log_likelihood",
}


def upgraded(metadata: Metadata, arrays: Arrays, version: int) -> tuple[Metadata, Arrays]:
    """Return what a file of an older version would hold in today's format.

    Raises
    ------
    KeyError
        If something is missing that files have.
    """
    if version == 1:
        metadata, arrays = _of_version_1(metadata, arrays)
    return _unjudged(metadata), arrays


def _unjudged(metadata: Metadata) -> Metadata:
    """Return metadata with reports of today: what was held out had chosen the model."""
    if "parts" in metadata:
        return {**metadata, "parts": [_unjudged(part) for part in metadata["parts"]]}
    report = {name: v for name, v in metadata["report"].items() if name != "heldout_gain"}
    heldout = report["heldout_log_likelihood"]
    report["heldout_log_likelihood"] = None if heldout is None else heldout["mean"]
    report["n_rows"] = report["n_train"] + report["n_heldout"]
    report["effective_size"] = float(report["n_rows"])
    report |= {"n_far": 0, "far_rows": []}
    report |= {"n_judge": 0, "log_likelihood": None, "gain": None, "not_judged": UNJUDGED}
    return {**metadata, "report": report}


def _of_version_1(metadata: Metadata, arrays: Arrays) -> tuple[Metadata, Arrays]:
    """Return what a file of version 1 would hold in version 2."""
    kind = metadata.get("estimator")
    if "parts" in metadata:
        return _of_parts(metadata, arrays)
    structure, prefixes = _structure(metadata["structure"], arrays)
    found = {
        "kind": COMPOSED.get(str(kind), kind),
        "brenier_version": metadata["brenier_version"],
        "parameters": _parameters(str(kind), metadata["parameters"]),
        "column_names": metadata["column_names"],
        "target_names": metadata.get("target_names"),
        "structure": structure,
        "report": _report(metadata["report"]),
    }
    return found, {_renamed(name, prefixes): array for name, array in arrays.items()}


def _of_parts(metadata: Metadata, arrays: Arrays) -> tuple[Metadata, Arrays]:
    """Return a file of several flows."""
    parts, found = [], {}
    for k, part in enumerate(metadata["parts"]):
        prefix = f"block{k}."
        own = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
        of_part, own = _of_version_1(part, own)
        parts.append(of_part)
        found |= {prefix + name: array for name, array in own.items()}
    return {**metadata, "kind": metadata["estimator"], "parts": parts}, found


def _parameters(kind: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in parameters.items() if name not in OF_ALGORITHM}
    found = {SETTINGS.get(name, name): value for name, value in rest.items()}
    own = {new: parameters[old] for old, new in OF_ALGORITHM.items() if old in parameters}
    algorithm = DEFAULT_ALGORITHM | own
    found["algorithm"] = None if algorithm == DEFAULT_ALGORITHM else algorithm
    found.setdefault("n_maps", 1)
    if "onditional" not in kind and "Regressor" not in kind:
        # There were none before they were settings.
        found = {"n_radial": 0, "noise": 0.0} | found
    return found


def _report(report: Mapping[str, Any]) -> dict[str, Any]:
    n_solves, n_runs = len(report["newton_steps"]), len(report["search_decay"])
    added = {"jitter": 0.0, "n_blocks": 1, "n_cones": 0, "tail": 0.0}
    added |= {"search_n_cones": [0] * n_runs, "chord_steps": [0] * n_solves}
    whole = added | dict(report)
    found = {REPORT.get(name, name): value for name, value in whole.items()}
    # Chord steps were among the Newton steps, solve by solve and in the history.
    steps = zip(whole["newton_steps"], whole["chord_steps"], strict=True)
    found["newton_steps"] = [newton - chord for newton, chord in steps]
    history = dict(report["history"])
    history["run"] = history.pop("search")
    if any(whole["chord_steps"]):
        history["newton_steps"] = [None] * len(history["newton_steps"])
    seconds = dict(report["seconds"])
    seconds["runs"] = seconds.pop("searches")
    return {**found, "history": history, "seconds": seconds}


def _structure(
    structure: Mapping[str, Any], arrays: Arrays
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the flow is made of, and what names of arrays began with and begin with."""
    if "blocks" in structure:
        maps = [
            _separable(own, radial=f"block{b}.cones.B" in arrays)
            for b, own in enumerate(structure["blocks"])
        ]
        prefixes = {f"block{b}.": f"map.{b}." for b in range(len(maps))}
        return {"kind": "joint", "map": {"kind": "composition", "maps": maps}}, prefixes
    if "n_members" not in structure:
        map_ = _separable(structure, radial="cones.B" in arrays)
        names = ("K.", "b.", "L.", "axes", "w", "cones.")
        return {"kind": "joint", "map": map_}, {name: f"map.{name}" for name in names}
    n_members = structure["n_members"]
    features = {"kind": "conditional"} | {
        key: structure[key] for key in ("activation", "n_layers", "n_context_layers")
    }
    parts = [{"kind": "potential", "features": features}] * n_members
    prefixes = {f"{i}.": f"map.{i}." for i in range(n_members)} | {"shares": "map.shares"}
    if structure.get("in_turn"):
        return {"kind": "conditional", "map": {"kind": "composition", "maps": parts}}, prefixes
    if "shares" in arrays:
        return {"kind": "conditional", "map": {"kind": "sum", "members": parts}}, prefixes
    return {"kind": "conditional", "map": parts[0]}, {"0.": "map."}


def _separable(structure: Mapping[str, Any], *, radial: bool) -> dict[str, Any]:
    features = {**structure, "kind": "separable", "radial": radial}
    return {"kind": "potential", "features": features}


def _renamed(name: str, prefixes: Mapping[str, str]) -> str:
    for old, new in prefixes.items():
        if name == old or (name.startswith(old) and old.endswith(".")):
            return (new + name.removeprefix(old)).replace(".cones.", ".radial.")
    return name
