"""Jobs about whole fits; each is called in a new process by `benchmarks.speed.child`.

`rows` is the path of an array's file; `settings` are the estimator's, none for the defaults.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.memory import peak_mib, resident_mib

NO_SETTINGS: Mapping[str, Any] = {}
N_DRAWS = 1000


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def compile_all(rows: str, settings: Mapping[str, Any] = NO_SETTINGS) -> dict[str, Any]:
    """Return the time of compilation of fit, score and sample together; programs are kept."""
    from benchmarks.speed.compilation import CompilationWatch
    from brenier import ConvexPotentialFlow

    X, watch = np.load(rows), CompilationWatch()

    def all_three() -> None:
        flow = ConvexPotentialFlow(**settings).fit(X)
        flow.score(X)
        flow.sample(N_DRAWS)

    seconds, _ = _timed(all_three)
    return {"seconds": seconds, **watch.report()}


def second(
    rows: str, heldout: str | None = None, settings: Mapping[str, Any] = NO_SETTINGS
) -> dict[str, Any]:
    """Return the seconds of the second fit to the same rows, for which all is compiled."""
    from benchmarks.speed.compilation import CompilationWatch
    from brenier import ConvexPotentialFlow

    X, validation = np.load(rows), None if heldout is None else np.load(heldout)

    def fit() -> None:
        ConvexPotentialFlow(**settings).fit(X, validation_data=validation)

    first_seconds, _ = _timed(fit)
    watch = CompilationWatch()
    seconds, _ = _timed(fit)
    return {"seconds": seconds, "first_seconds": first_seconds, **watch.report()}


def first(rows: str, settings: Mapping[str, Any] = NO_SETTINGS) -> dict[str, Any]:
    """Return the seconds of one fit, compilation included, and the peak of memory."""
    from brenier import ConvexPotentialFlow

    X = np.load(rows)
    seconds, flow = _timed(lambda: ConvexPotentialFlow(**settings).fit(X))
    return {
        "seconds": seconds,
        "peak_mib": peak_mib(),
        "status": flow.report_.status.value,
    }


def cross_validate(rows: str, settings: Mapping[str, Any] = NO_SETTINGS) -> dict[str, Any]:
    """Return the mean score of five folds; the whole process is what is timed."""
    from sklearn.model_selection import cross_val_score

    from brenier import ConvexPotentialFlow

    scores = cross_val_score(ConvexPotentialFlow(**settings), np.load(rows), cv=5)
    return {"score": float(scores.mean())}


def keep_model(rows: str, model: str, settings: Mapping[str, Any] = NO_SETTINGS) -> dict[str, Any]:
    """Fit and leave the model's file."""
    from brenier import ConvexPotentialFlow

    ConvexPotentialFlow(**settings).fit(np.load(rows)).save(model)
    return {}


def sample(model: str, more: int = 20) -> dict[str, Any]:
    """Return the seconds of the first sample in this process, and of some further ones."""
    from brenier import load

    load_seconds, flow = _timed(lambda: load(model))
    first_seconds, _ = _timed(lambda: flow.sample(N_DRAWS, random_state=0))
    further = [
        _timed(lambda seed=seed: flow.sample(N_DRAWS, random_state=seed))[0]
        for seed in range(1, 1 + more)
    ]
    return {"load_seconds": load_seconds, "first": first_seconds, "further": further}


def gain(
    train: str, heldout: str, test: str, settings: Mapping[str, Any] = NO_SETTINGS
) -> dict[str, Any]:
    """Return the gain over the Gaussian on test rows (nats a row), and the fit's seconds."""
    from brenier import ConvexPotentialFlow

    X, V, T = map(np.load, (train, heldout, test))
    flow = ConvexPotentialFlow(**settings)
    seconds, _ = _timed(lambda: flow.fit(X, validation_data=V))
    mean = float(np.mean(flow.score_samples(T) - flow.baseline_score_samples(T)))
    return {"gain": mean, "seconds": seconds, "status": flow.report_.status.value}


def many(
    shapes: Sequence[Sequence[int]], rounds: int, settings: Mapping[str, Any] = NO_SETTINGS
) -> dict[str, Any]:
    """Return the resident memory (MiB) after every fit: all shapes, so many times over."""
    from benchmarks.speed.draws import smooth_rows
    from brenier import ConvexPotentialFlow

    resident = []
    for seed in range(rounds):
        for N, n in shapes:
            ConvexPotentialFlow(**settings).fit(smooth_rows(N, n, seed))
            resident.append(resident_mib())
    return {"resident_mib": resident, "peak_mib": peak_mib()}


def spline_flow(train: str, heldout: str) -> dict[str, Any]:
    """Return the seconds of the whole fit of zuko's spline flow, as in `benchmarks.peers`."""
    from benchmarks.data import Split
    from benchmarks.peers import PEERS

    X, V = np.load(train), np.load(heldout)
    fit = PEERS["zuko-nsf"].load()
    start = time.perf_counter()
    fitted = fit(Split(X, V, V), 0, lambda: time.perf_counter() - start)
    return {"seconds": time.perf_counter() - start, "best_at": fitted.best_at}
