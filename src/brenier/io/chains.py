"""Which columns of samplers' files are no parameters, told by their names.

Stan's (and CmdStanPy's) sampler columns end in two underscores. GetDist's and Cobaya's chains begin
with a weight and minus the log-posterior; Cobaya's hold minus log-priors and chi-squares, too.
UltraNest's weighted samples begin with a weight and a log-likelihood. R's posterior package marks
chains and draws with a point.
"""

import re
from collections.abc import Sequence

from brenier.io.columns import NO_ROLES, Roles

_COBAYA = re.compile(r"minuslogpost|minuslogprior(__.*)?|chi2(__.*)?|loglike")


def roles_of(names: Sequence[str]) -> Roles:
    """Return the roles of a sampler's columns; those of other tables have none."""
    if "lp__" in names or "chain__" in names:
        own = tuple(name for name in names if name.endswith("__") and name != "chain__")
        return Roles(chain="chain__" if "chain__" in names else None, left_out=own)
    if ".chain" in names and ".draw" in names:
        own = tuple(name for name in (".iteration", ".draw", "lp__") if name in names)
        return Roles(chain=".chain", left_out=own)
    if tuple(names[:2]) == ("weight", "minuslogpost"):
        return Roles("weight", left_out=tuple(name for name in names if _COBAYA.fullmatch(name)))
    if tuple(names[:2]) == ("weight", "logl"):
        return Roles("weight", left_out=("logl",))
    return NO_ROLES


def without_warm_up(data: bytes, comments: Sequence[str]) -> tuple[bytes, tuple[str, ...]]:
    """Return a file of Stan's without the draws of its warm-up, where it holds them, and say so."""
    saved = any(re.fullmatch(r"save_warmup\s*=\s*(1|true)\b.*", comment) for comment in comments)
    place = re.search(rb"(?m)^#\s*Adaptation terminated", data) if saved else None
    if place is None:
        return data, ()
    header = re.search(rb"(?m)^[^#\s].*\n", data)
    start = 0 if header is None else header.end()
    if start >= place.start():
        return data, ()
    return data[:start] + data[place.start() :], ("the draws of the warm-up left out",)
