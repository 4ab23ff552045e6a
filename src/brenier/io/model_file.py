"""One safe model file: (metadata, arrays) to bytes and back, knowing no estimator.

The file is in the safetensors format: a JSON header, then raw arrays. Its header holds four texts:
`format`; `format_version`; `metadata`, the caller's dictionary as JSON with sorted keys; `sha256`,
a digest of that JSON and of every array. Reading it runs no code, whatever the file holds.

The same content gives the same bytes. A file is replaced whole or not at all.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from brenier.io.atomic import StrPath, write_atomically
from brenier.io.older_files import upgraded
from brenier.io.regular import open_regular, size_of

FORMAT = "brenier"
FORMAT_VERSION = 3
OLDEST_FORMAT_VERSION = 1

# Where safetensors keeps its header texts; no array may have this name.
_TEXTS = "__metadata__"
_PREFIX_BYTES = 8
# A longer header is some other file's bytes read as a length: one with twenty thousand iterates has
# a tenth of it. JSON takes many times its length in memory, so what is in it counts.
MAX_HEADER_BYTES = 1 << 25
MAX_VALUES = 1 << 22
MAX_CONTAINERS = 1 << 17

# First bytes of what people mistake for a model file.
_FOREIGN = (
    (b"\x80", "a pickle, which is never opened since opening one can run any code"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"PAR1", "a Parquet table"),
)


class ModelFileError(ValueError):
    """A file that is not a whole, unaltered model file of a version this brenier reads."""


def write_model(
    path: StrPath, metadata: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Write a model file, replacing an older one only once the new one is safe on disk.

    Parameters
    ----------
    path : path
        Where to write; the folder must exist.
    metadata : mapping
        Dictionaries with text keys, lists, texts, finite numbers, booleans and None. Tuples come
        back as lists.
    arrays : mapping from text to array
        Arrays of any shape of booleans, integers or floats of at most 64 bits.

    Raises
    ------
    ValueError
        If the metadata or an array has no place in the file; the message says which entry.
    OSError
        If the file cannot be written; an older file of that name is then unchanged.
    """
    _check_json(metadata, "metadata")
    text = json.dumps(metadata, sort_keys=True, allow_nan=False, separators=(",", ":"))
    plain = {name: _plain(name, arrays[name]) for name in arrays}
    texts = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "metadata": text,
        "sha256": _digest(text, plain),
    }
    write_atomically(path, with_sorted_header(save(plain, metadata=texts)))


def read_model(path: StrPath) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the metadata and the arrays of a model file, after checking every byte of both.

    Those of an older format come as they would be in today's.

    Raises
    ------
    ModelFileError
        If the file is missing, truncated, altered, of another program, or of a version that this
        brenier does not read; the message says which.
    """
    try:
        with open_regular(path) as file:
            head, header = _read_header(file, path)
            _check_version(header[_TEXTS], path)
            _check_size(header, size_of(file) - len(head), path)
            body = file.read()
    except OSError as error:
        raise ModelFileError(_unreadable(path, error)) from error
    texts = header[_TEXTS]
    metadata, arrays = _checked_content(texts, head + body, path)
    version = int(texts["format_version"])
    if version == FORMAT_VERSION:
        return metadata, arrays
    try:
        return upgraded(metadata, arrays, version)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(
            f"Expected a complete brenier model in {os.fspath(path)}; got one without its {error}. "
            "Fit again, or load it with the version that wrote it."
        ) from error


def _check_json(value: Any, where: str) -> None:
    """Raise `ValueError` naming the first entry that JSON would refuse or change."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            if not isinstance(key, str):
                raise ValueError(f"Expected text keys in {where}; got {key!r}. Use str({key!r}).")
            _check_text(key, where)
            _check_json(entry, f"{where}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            _check_json(entry, f"{where}[{index}]")
    elif isinstance(value, str):
        _check_text(value, where)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(
            f"Expected finite numbers in the metadata; got {float(value)} at {where}. Store None "
            "or a text in its place."
        )
    elif not isinstance(value, (str, int, float, type(None))):
        raise ValueError(
            f"Expected metadata that JSON can hold; got {type(value).__name__} at {where}. "
            "Convert it to a dict, list, str, int, float, bool or None, or store it as an array."
        )


def _check_text(text: str, where: str) -> None:
    """Raise `ValueError` for halves of characters of UTF-16, which JSON holds and no file does."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"Expected text that UTF-8 can hold in {where}; got {text!r:.80}. Rename it."
        ) from error


def _plain(name: str, array: np.ndarray) -> np.ndarray:
    """Return the array as safetensors needs it: C order, little-endian."""
    array = np.asarray(array)
    if not isinstance(name, str) or name == _TEXTS:
        raise ValueError(f"Expected a text other than {_TEXTS!r} as array name; got {name!r}.")
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise ValueError(
            f"Expected arrays of booleans, integers or floats of at most 64 bits; got dtype "
            f"{array.dtype} for {name!r}. Convert it, or store it in the metadata."
        )
    # safetensors.numpy.save writes the memory of an array in Fortran order as if it were C order.
    return np.array(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _digest(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of the metadata and of every array's name, dtype, shape and bytes."""
    digest = hashlib.sha256()

    def add(part: bytes) -> None:
        # The length first, so that no two contents give the same stream.
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)

    add(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        for label in (name, array.dtype.str, str(array.shape)):
            add(label.encode())
        add(array.tobytes())
    return digest.hexdigest()


def with_sorted_header(blob: bytes, *, limit: int = MAX_HEADER_BYTES) -> bytes:
    """Return the same safetensors file with sorted header keys.

    safetensors writes the texts in the order of a hash map with a random seed. The offsets in the
    header count from its end, so its length is free; it stays a multiple of 8 to align the arrays.
    """
    length = int.from_bytes(blob[:_PREFIX_BYTES], "little")
    content = json.loads(blob[_PREFIX_BYTES : _PREFIX_BYTES + length])
    header = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > limit:
        raise ValueError(
            f"Expected metadata of at most {limit} bytes as JSON; got a header of "
            f"{len(header)}. Store long lists as arrays."
        )
    return len(header).to_bytes(_PREFIX_BYTES, "little") + header + blob[_PREFIX_BYTES + length :]


def _read_header(file: BinaryIO, path: StrPath) -> tuple[bytes, dict[str, Any]]:
    """Return the bytes up to the arrays and the header they hold, checked to be of this format."""
    size = size_of(file)
    start = file.read(64)
    if not start:
        _refuse(path, "an empty file", "It was not written to its end; save the model again.")
    length = int.from_bytes(start[:_PREFIX_BYTES], "little")
    if length > MAX_HEADER_BYTES or start[_PREFIX_BYTES : _PREFIX_BYTES + 1] not in (b"{", b""):
        _refuse_foreign(path, _kind(start))
    if _PREFIX_BYTES + length > size:
        _refuse_truncated(path, size, f"more than {_PREFIX_BYTES + length}")
    file.seek(0)
    head = file.read(_PREFIX_BYTES + length)
    if _is_excessive(head):
        _refuse(path, "one with more in its header than any model has", "Save the model again.")
    try:
        header = json.loads(head[_PREFIX_BYTES:])
        ours = header[_TEXTS]["format"] == FORMAT
    except (ValueError, KeyError, TypeError, RecursionError):
        ours = False
    if not ours:
        _refuse_foreign(path, "a file of another program")
    return head, header


def _is_excessive(text: bytes) -> bool:
    """Whether JSON has more in it than any model's, and would fill the memory."""
    containers = text.count(b"{") + text.count(b"[")
    return containers > MAX_CONTAINERS or text.count(b",") > MAX_VALUES


def _kind(start: bytes) -> str:
    """Say what a file that is not in the safetensors format seems to be."""
    for magic, kind in _FOREIGN:
        if start.startswith(magic):
            return kind
    # The last bytes may be half of a character.
    text = start.decode("utf-8", errors="ignore")
    printable = all(letter.isprintable() or letter.isspace() for letter in text)
    return "a text file" if printable and len(text) > len(start) // 2 else "a file of another kind"


def _check_version(texts: Mapping[str, str], path: StrPath) -> None:
    version = str(texts.get("format_version"))
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        _refuse_altered(path)
    if int(version) > FORMAT_VERSION:
        _refuse(
            path,
            f"one of format version {version}, made by a newer brenier",
            f"This one reads versions up to {FORMAT_VERSION}: upgrade it.",
        )
    if int(version) < OLDEST_FORMAT_VERSION:
        _refuse(
            path,
            f"one of format version {version}, which is no longer supported",
            "Save the model again with a brenier that reads it, or fit it anew.",
        )


def _check_size(header: Mapping[str, Any], size: int, path: StrPath) -> None:
    """Raise if the arrays do not end where the header says, and the file with them."""
    try:
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != _TEXTS]
        expected = max(ends, default=0)
        missing, more = size < expected, size > expected
    except (KeyError, IndexError, TypeError):
        _refuse_altered(path)
    if missing:
        _refuse_truncated(path, size, f"{expected} of arrays")
    if more:
        _refuse_altered(path)


def _checked_content(
    texts: Mapping[str, str], blob: bytes, path: StrPath
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        arrays = load(blob)
        metadata = json.loads(texts["metadata"])
        _check_json(metadata, "metadata")
        intact = _digest(texts["metadata"], arrays) == texts["sha256"]
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError, RecursionError):
        _refuse_altered(path)
    if not (intact and isinstance(metadata, dict)):
        _refuse_altered(path)
    return metadata, arrays


def _unreadable(path: StrPath, error: OSError) -> str:
    if isinstance(error, IsADirectoryError) or Path(path).is_dir():
        return f"Expected a model file; got the folder {os.fspath(path)}. Name a file in it."
    if isinstance(error, FileNotFoundError):
        return f"Expected a model file; got no file at {os.fspath(path)}. Check the path."
    return (
        f"Expected a readable model file; got {error.strerror or error} for {os.fspath(path)}. "
        "Check the path and its permissions."
    )


def _refuse(path: StrPath, got: str, remedy: str) -> NoReturn:
    raise ModelFileError(f"Expected a brenier model file in {os.fspath(path)}; got {got}. {remedy}")


def _refuse_foreign(path: StrPath, kind: str) -> NoReturn:
    _refuse(path, kind, "Give a file that brenier saved.")


def _refuse_truncated(path: StrPath, got: int, expected: str) -> NoReturn:
    _refuse(
        path,
        f"a truncated one, with {got} bytes where its header says {expected}",
        "Copy the original again, or save the model again.",
    )


def _refuse_altered(path: StrPath) -> NoReturn:
    _refuse(
        path,
        "one whose content does not agree with its checksum: it was altered or damaged",
        "Copy the original again, or save the model again.",
    )
