"""A vine copula with kernel margins: pyvinecopulib's density."""

import numpy as np
import pyvinecopulib as pv
from pyvinecopulib.sklearn import VineDensity

from benchmarks.data import Split
from benchmarks.peers.protocol import (
    CORES,
    Clock,
    Fitted,
    drawn_in_data_units,
    in_data_units,
    whitened,
    with_rows_to_choose_by,
)


def vine(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit non-parametric pair copulas on whitened rows and on rows as they are.

    The validation rows choose: whitening helps where columns depend linearly, and hurts where each
    has its own shape.
    """
    controls = pv.FitControlsVinecop(family_set=pv.nonparametric, num_threads=CORES)
    rows = with_rows_to_choose_by(rows, seed)
    whiten, standard = whitened(rows)
    found = []
    for name in ("whitened", "as they are"):
        train = standard.train if name == "whitened" else rows.train
        model = VineDensity(controls=controls, random_state=seed).fit(train)
        log_density, draw = model.score_samples, model.sample
        if name == "whitened":
            log_density = in_data_units(log_density, whiten)
            draw = drawn_in_data_units(draw, whiten)
        found.append((float(np.mean(log_density(rows.valid))), clock(), name, log_density, draw))
    _, best_at, name, log_density, draw = max(found, key=lambda trial: trial[0])
    return Fitted(log_density, draw, best_at, {"rows": name})
