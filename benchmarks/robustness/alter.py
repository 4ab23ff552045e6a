"""Random alterations of bytes, and of plain data as JSON holds it."""

import copy
from typing import Any

import numpy as np

# What an entry is replaced by: of every type, and at the edges.
STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 2**31, 2**63, 10**30, -(10**400)),
    *(0.5, -0.5, 1e-300, 1e300, -1e300, 1e308),
    *("", "x", "0", "nan", "joint", "conditional", "potential", "sum", "composition", "a" * 10_000),
    *("\x1b[31m", "\x00", "=1+1", "ü"),
    *([], {}, [None], [[]], [1, 2], ["x"], {"a": 1}, {"kind": "potential"}, [[0, 1]]),
)


def altered_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Return bytes with one alteration: some changed, cut off, repeated, or put in between."""
    if not data:
        return rng.bytes(8)
    at, length = int(rng.integers(len(data))), int(rng.integers(1, 65))
    match rng.integers(6):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + rng.bytes(length) + data[at + length :]
        case 2:
            return data[:at] + rng.bytes(length) + data[at:]
        case 3:
            return data[:at] + data[at + length :]
        case 4:
            return data[:at] + data[max(0, at - length) : at] + data[at:]
        case _:
            flipped = bytes([data[at] ^ (1 << int(rng.integers(8)))])
            return data[:at] + flipped + data[at + 1 :]


def altered_data(data: Any, rng: np.random.Generator) -> Any:
    """Return plain data with one entry replaced, removed, repeated, or exchanged with another."""
    found = copy.deepcopy(data)
    places = list(_places(found))
    if not places:
        return strange(rng)
    holder, key = places[rng.integers(len(places))]
    match rng.integers(5):
        case 0 | 1:
            holder[key] = strange(rng)
        case 2:
            del holder[key]
        case 3 if isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        case 3:
            holder[f"{key}x"] = holder.pop(key)
        case _:
            other, its = places[rng.integers(len(places))]
            holder[key] = copy.deepcopy(other[its])
    return found


def strange(rng: np.random.Generator) -> Any:
    """Return what no entry should be, or hardly any."""
    return copy.deepcopy(STRANGE[rng.integers(len(STRANGE))])


def _places(data: Any) -> Any:
    """Yield every entry's holder and key; of long lists only the first entries."""
    items: Any = ()
    if isinstance(data, dict):
        items = list(data.items())
    elif isinstance(data, list):
        items = list(enumerate(data))[:3]
    for key, value in items:
        yield data, key
        yield from _places(value)


def altered_array(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an array of another shape, another type, or with other entries."""
    match rng.integers(7):
        case 0:
            with np.errstate(invalid="ignore"):
                return array.astype(rng.choice(np.array(["f4", "i8", "u1", "?"])))
        case 1:
            return array.reshape(-1) if array.ndim != 1 else array[:, None]
        case 2:
            return np.zeros((0, *array.shape[1:]))
        case 3:
            return np.concatenate([array, array]) if array.ndim else np.array([1.0])
        case 4:
            return array.T.copy() if array.ndim > 1 else array[:1] if array.ndim else array[None]
        case _:
            found = np.array(array, dtype=float)
            if found.size:
                strange_numbers = np.array([np.nan, np.inf, -np.inf, 1e308, -1.0, 0.0, 5e-324])
                found.flat[rng.integers(found.size)] = rng.choice(strange_numbers)
            return found
