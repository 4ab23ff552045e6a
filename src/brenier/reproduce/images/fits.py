"""Every density fitted to every split of the images, measured and kept.

A fit is kept in DIR/runs as JSON with its numbers and NPZ with images: some that were drawn, with
the nearest training images, and of our densities test images, carried to z and back. Of the first
split the model is there too. The JSON is written last.
"""

import io
import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import cdist

from brenier.estimators import ConvexPotentialMixture
from brenier.flow.evaluation import in_batches, inverse, log_density, transform
from brenier.io.atomic import write_atomically
from brenier.io.plain import to_plain, with_nan
from brenier.reproduce.images.data import Images, ImageSet
from brenier.reproduce.images.peers import PEERS
from brenier.reproduce.images.setting import FLOW, OURS, ImageSetting
from brenier.reproduce.record import write_json
from brenier.reproduce.runs import Teller
from brenier.training.stored_report import MALFORMED, check_types

Rows = Float[np.ndarray, "_ n"]


@dataclass(frozen=True)
class Numbers:
    """What is measured of one density on one split.

    Attributes
    ----------
    label, split : str, int
        Which density, which split.
    settings : dict
        All that decides the numbers; a fit is used again only if it is the same.
    bits, error : float
        Bits per dimension of the test images, mean and standard error.
    seconds : float
        Of the fit, compilation included.
    nearest, nearest_of_test : float
        Distance of the drawn images, and of test images, to the nearest training image: root mean
        square over the pixels (levels), mean over images.
    round_trip : float
        Furthest that a pixel of a test image is from where it comes back to from z (levels); NaN of
        a density without a map.
    n_lost : int
        Test images that did not come back.
    chosen : dict
        What was chosen by rows.
    """

    label: str
    split: int
    settings: dict[str, Any]
    bits: float
    error: float
    seconds: float
    nearest: float
    nearest_of_test: float
    round_trip: float
    n_lost: int
    chosen: dict[str, Any]


@dataclass(frozen=True)
class Shown:
    """Pixels of images, those that vary (levels).

    Attributes
    ----------
    drawn, neighbours : (N, n)
        Drawn images, and the training image nearest to each of them.
    test, z, back : (M, n)
        Test images, where a map carries them, and where they come back to; none without a map.
    """

    drawn: Rows
    neighbours: Rows
    test: Rows
    z: Rows
    back: Rows


@dataclass(frozen=True)
class Fit:
    """One density on one split."""

    images: ImageSet
    numbers: Numbers
    shown: Shown


@dataclass(frozen=True)
class _Density:
    """What is to be measured: a log-density, new rows, and the map to z and back, if any."""

    log_density: Callable[[Rows], Float[np.ndarray, " _"]]
    draw: Callable[[int], Rows]
    chosen: dict[str, Any]
    there_and_back: Callable[[Rows], tuple[Rows, Rows]] | None = None


def fit_all(setting: ImageSetting, folder: Path, teller: Teller) -> list[Fit]:
    """Return every fit, those already in DIR/runs taken from there."""
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    plan = [(images, split) for images in setting.here for split in setting.splits]
    fits = []
    for position, (images, split) in enumerate(plan, 1):
        title = f"[{position}/{len(plan)}] {images.name}, split {split}"
        fits += _of_split(setting, images, split, folder / "runs", teller, title)
    return fits


def _of_split(
    setting: ImageSetting, images: ImageSet, split: int, folder: Path, teller: Teller, title: str
) -> list[Fit]:
    """Return the fits of one split; both of ours come from one."""
    rows, fits = images.split(split), []
    for labels in ((OURS, FLOW), *((peer,) for peer in PEERS)):
        found = [_kept(setting, images, label, split, folder) for label in labels]
        kept = [fit for fit in found if fit is not None]
        if len(kept) < len(labels):
            made = _made(setting, rows, split, labels, folder, teller, title)
        else:
            made = kept
        for fit in made:
            numbers = fit.numbers
            said = f"{numbers.bits:.3f} bits per dimension, {numbers.seconds:.0f} s"
            teller.say(f"{title}, {numbers.label}: {said}{' (kept)' * (made is kept)}")
        fits += made
    return fits


def _made(
    setting: ImageSetting,
    rows: Images,
    split: int,
    labels: Sequence[str],
    folder: Path,
    teller: Teller,
    title: str,
) -> list[Fit]:
    """Return fits that were made and kept: of a peer, or both of ours."""
    begun = time.perf_counter()
    if labels[0] == OURS:
        with teller.follow(f"{title}, {OURS}") as callback:
            model = _ours(setting.estimator(rows.images, split), rows, callback)
        densities = (_of_mixture(model, split), _of_flow(model, split))
        if split == setting.splits[0]:
            model.save(folder / f"{rows.images.name}-{OURS}-split{split}.brenier")
    else:
        fitted = PEERS[labels[0]](
            rows.train, rows.validation, split, lambda: time.perf_counter() - begun
        )
        densities = (_Density(fitted.log_density, fitted.draw, fitted.chosen),)
    seconds = time.perf_counter() - begun
    fits = []
    for label, density in zip(labels, densities, strict=True):
        decides = to_plain(setting.decides(rows.images, label, split))
        fits.append(_measured(rows, label, split, density, seconds, decides, setting.n_draws))
        _keep(fits[-1], folder)
    return fits


def _ours(estimator: ConvexPotentialMixture, rows: Images, callback: Any) -> ConvexPotentialMixture:
    with warnings.catch_warnings():
        # How the fit ends is in its report.
        warnings.simplefilter("ignore", UserWarning)
        return estimator.fit(rows.train, validation_data=rows.validation, callback=callback)


def _of_mixture(model: ConvexPotentialMixture, seed: int) -> _Density:
    def there_and_back(Y: Rows) -> tuple[Rows, Rows]:
        Z, labels = model.transform(Y, return_labels=True, random_state=seed)
        return Z, model.inverse_transform(Z, labels)

    chosen = {"pool": model.report_.pool, "components": len(model.weights_)}
    draw = _seeded(model.sample, seed)
    return _Density(model.score_samples, draw, chosen, there_and_back)


def _of_flow(model: ConvexPotentialMixture, seed: int) -> _Density:
    flow, report = model.flow_, model.report_

    def draw(N: int) -> Rows:
        return in_batches(inverse, flow, np.random.default_rng(seed).normal(size=(N, flow.n)))[0]

    def there_and_back(Y: Rows) -> tuple[Rows, Rows]:
        Z = in_batches(transform, flow, Y)
        X, inversion = in_batches(inverse, flow, Z)
        return Z, np.where(inversion.converged[:, None], X, np.nan)

    chosen = {"decay": report.decay, "radial units": report.n_radial}
    return _Density(lambda Y: in_batches(log_density, flow, Y), draw, chosen, there_and_back)


def _seeded(sample: Callable[..., Rows], seed: int) -> Callable[[int], Rows]:
    return lambda N: sample(N, random_state=seed)


def _measured(
    rows: Images,
    label: str,
    split: int,
    density: _Density,
    seconds: float,
    decides: dict[str, Any],
    n_draws: int,
) -> Fit:
    """Return what a density makes of the test images."""
    bits = rows.bits(density.log_density(rows.test))
    test, train = rows.values(rows.test), rows.values(rows.train)
    drawn = np.clip(rows.values(density.draw(n_draws)), 0, rows.images.levels)
    distances, nearest = _nearest(drawn, train)
    z = back = test[:0]
    if density.there_and_back is not None:
        z, returned = density.there_and_back(rows.test)
        back = rows.values(returned)
    lost = ~np.isfinite(back).all(axis=1)
    furthest = np.max(np.abs(back - test[: len(back)])[~lost]) if len(back) else np.nan
    numbers = Numbers(
        label=label,
        split=split,
        settings=decides,
        bits=float(bits.mean()),
        error=float(bits.std(ddof=1) / np.sqrt(len(bits))),
        seconds=seconds,
        nearest=float(distances.mean()),
        nearest_of_test=float(_nearest(test, train)[0].mean()),
        round_trip=float(furthest),
        n_lost=int(np.sum(lost)),
        chosen=density.chosen,
    )
    return Fit(rows.images, numbers, Shown(drawn, train[nearest], test[: len(back)], z, back))


def _nearest(images: Rows, train: Rows) -> tuple[Float[np.ndarray, " N"], Int[np.ndarray, " N"]]:
    """Return how far the nearest training image is (root mean square), and which it is."""
    distances = cdist(images, train) / np.sqrt(train.shape[1])
    nearest = np.argmin(distances, axis=1)
    return distances[np.arange(len(images)), nearest], nearest


def _path(folder: Path, images: ImageSet, label: str, split: int) -> Path:
    return folder / f"{images.name}-{label}-split{split}.json"


def _keep(fit: Fit, folder: Path) -> None:
    """Keep a fit: first its images, then its numbers."""
    path, file = _path(folder, fit.images, fit.numbers.label, fit.numbers.split), io.BytesIO()
    np.savez_compressed(file, **{f.name: getattr(fit.shown, f.name) for f in fields(Shown)})
    write_atomically(path.with_suffix(".npz"), file.getvalue())
    write_json(path, to_plain(asdict(fit.numbers)))


def _kept(
    setting: ImageSetting, images: ImageSet, label: str, split: int, folder: Path
) -> Fit | None:
    """Return the kept fit of these very settings; None if there is none."""
    path = _path(folder, images, label, split)
    try:
        plain = json.loads(path.read_text())
        if plain["settings"] != to_plain(setting.decides(images, label, split)):
            return None
        file = io.BytesIO(path.with_suffix(".npz").read_bytes())
        with np.load(file, allow_pickle=False) as arrays:
            shown = Shown(**{f.name: arrays[f.name] for f in fields(Shown)})
        return Fit(images, _numbers(plain), shown)
    except (OSError, BadZipFile, *MALFORMED):
        return None


def _numbers(plain: Mapping[str, Any]) -> Numbers:
    """Return the numbers that JSON was made of; null stands for NaN."""
    values = {f.name: plain[f.name] for f in fields(Numbers)}
    numbers = Numbers(**{**values, "round_trip": with_nan(values["round_trip"])})
    check_types(numbers, "fit")
    return numbers
