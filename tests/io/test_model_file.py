"""The model file: what goes in comes out, bit for bit, and nothing else is ever believed."""

import errno
import gzip
import hashlib
import io
import json
import os
import pickle
import string
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import safe_open
from safetensors.numpy import save

from brenier.io.model_file import (
    FORMAT,
    FORMAT_VERSION,
    ModelFileError,
    read_model,
    with_sorted_header,
    write_model,
)

METADATA = {"widths": [32, 32], "tau": 1e-4, "columns": None, "report": {"status": "converged"}}
ARRAYS = {
    "weights": np.linspace(-1.0, 1.0, 12).reshape(3, 4),
    "counts": np.arange(5, dtype=np.int32),
    "mask": np.array([True, False]),
    "scalar": np.array(2.5),
    "empty": np.zeros((0, 3)),
}


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.brenier"
    write_model(path, METADATA, ARRAYS)
    return path


def assert_same(got, expected):
    assert got.keys() == expected.keys()
    for name, array in expected.items():
        assert got[name].dtype == array.dtype, name
        assert got[name].shape == array.shape, name
        assert got[name].tobytes() == array.tobytes(), name


def edit_header(path, edit):
    """Rewrite the header of a model file, leaving its arrays alone."""
    blob = path.read_bytes()
    length = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8 : 8 + length])
    edit(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + blob[8 + length :])


def with_texts(path, **changes):
    """Rewrite the texts in the header of a model file."""
    edit_header(path, lambda header: header["__metadata__"].update(changes))


def documented_digest(text, arrays):
    """Return the SHA-256 that a file of this metadata, as JSON, and of these arrays must have."""
    parts = [text.encode()]
    for name in sorted(arrays):
        array = arrays[name]
        parts += [name.encode(), array.dtype.str.encode(), str(array.shape).encode()]
        parts += [array.tobytes()]
    stream = hashlib.sha256()
    for part in parts:
        stream.update(len(part).to_bytes(8, "little") + part)
    return stream.hexdigest()


# Round trips.


def test_content_comes_back(model):
    metadata, arrays = read_model(model)
    assert metadata == METADATA
    assert_same(arrays, ARRAYS)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
any_arrays = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.uint8, np.bool_]),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
)


@settings(deadline=None, max_examples=50)  # the disk decides how long one takes
@given(
    metadata=st.dictionaries(st.text(), json_values, max_size=4),
    arrays=st.dictionaries(st.text(string.ascii_letters + "/.é ", max_size=6), any_arrays),
)
def test_any_content_comes_back_bit_for_bit(tmp_path_factory, metadata, arrays):
    path = tmp_path_factory.getbasetemp() / "any.brenier"
    write_model(path, metadata, arrays)
    got_metadata, got_arrays = read_model(path)
    assert got_metadata == metadata
    assert_same(got_arrays, arrays)


def test_no_arrays_and_no_metadata(tmp_path):
    write_model(tmp_path / "m", {}, {})
    assert read_model(tmp_path / "m") == ({}, {})


def test_memory_layout_and_byte_order_do_not_matter(tmp_path):
    array = np.arange(6.0).reshape(2, 3)
    variants = [
        array,
        np.asfortranarray(array),
        array.astype(">f8"),
        np.repeat(array, 2, 1)[:, ::2],
    ]
    for index, variant in enumerate(variants):
        write_model(tmp_path / str(index), {}, {"a": variant})
    for index in range(len(variants)):
        np.testing.assert_array_equal(read_model(tmp_path / str(index))[1]["a"], array)
        assert (tmp_path / str(index)).read_bytes() == (tmp_path / "0").read_bytes()


def test_same_content_gives_the_same_bytes(tmp_path):
    # safetensors orders the header texts at random: eight agreements by chance have p < 1e-9.
    blobs = set()
    for index in range(8):
        flip = slice(None, None, -1 if index % 2 else 1)
        metadata, arrays = dict(list(METADATA.items())[flip]), dict(list(ARRAYS.items())[flip])
        write_model(tmp_path / "m", metadata, arrays)
        blobs.add((tmp_path / "m").read_bytes())
    assert len(blobs) == 1


def test_the_file_is_a_safetensors_file_with_the_promised_texts(model):
    with safe_open(model, framework="numpy") as file:
        texts = file.metadata()
        assert_same({name: file.get_tensor(name) for name in file.keys()}, ARRAYS)  # noqa: SIM118
    assert texts["format"] == FORMAT == "brenier"
    assert texts["format_version"] == str(FORMAT_VERSION) == "3"
    assert texts["metadata"] == json.dumps(METADATA, sort_keys=True, separators=(",", ":"))


def test_arrays_start_on_a_multiple_of_eight_bytes(model):
    assert int.from_bytes(model.read_bytes()[:8], "little") % 8 == 0


def test_digest_is_the_documented_stream(model):
    text = json.dumps(METADATA, sort_keys=True, separators=(",", ":"))
    with safe_open(model, framework="numpy") as file:
        assert file.metadata()["sha256"] == documented_digest(text, ARRAYS)


def test_arguments_are_left_alone(tmp_path):
    array = np.arange(3.0)
    array.flags.writeable = False
    metadata = {"b": (1, 2), "a": 1}
    write_model(tmp_path / "m", metadata, {"a": array})
    assert list(metadata) == ["b", "a"]
    assert read_model(tmp_path / "m")[0] == {"a": 1, "b": [1, 2]}


# What has no place in the file.


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (
            {"report": {"losses": [1.0, float("nan")]}},
            r"nan at metadata\['report'\]\['losses'\]\[1",
        ),
        ({"a": float("-inf")}, r"-inf at metadata\['a'\]"),
        ({"a": np.float64("inf")}, r"inf at metadata\['a'\]"),
        ({"a": np.int64(1)}, r"int64 at metadata\['a'\]"),
        ({"a": np.zeros(2)}, r"ndarray at metadata\['a'\]"),
        ({"a": b"x"}, r"bytes at metadata\['a'\]"),
        ({"a": {1: 2}}, r"text keys in metadata\['a'\]; got 1"),
    ],
)
def test_metadata_that_json_cannot_hold(tmp_path, metadata, message):
    with pytest.raises(ValueError, match="Expected .*" + message):
        write_model(tmp_path / "m", metadata, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "array",
    [np.array([object()]), np.array(["a"]), np.zeros(1, complex), np.zeros(1, np.longdouble)],
    ids=lambda array: str(array.dtype),
)
def test_arrays_that_the_file_cannot_hold(tmp_path, array):
    with pytest.raises(ValueError, match=r"Expected arrays of .*; got dtype .* for 'a'"):
        write_model(tmp_path / "m", {}, {"a": array})
    assert not list(tmp_path.iterdir())


def test_the_reserved_name_is_refused(tmp_path):
    with pytest.raises(ValueError, match="array name"):
        write_model(tmp_path / "m", {}, {"__metadata__": np.zeros(1)})


def test_a_header_too_long_to_be_read_back_is_refused():
    blob = save({}, metadata={"a": "x" * 1000})
    # 25 bytes are around the 1000, and the length of a header is a multiple of 8.
    with pytest.raises(ValueError, match=r"at most 1000 bytes as JSON; got a header of 1032\."):
        with_sorted_header(blob, limit=1000)
    assert with_sorted_header(blob, limit=1032)[:8] == (1032).to_bytes(8, "little")


# What is not a model file.


def refusal(path):
    """Return the message with which a file is refused, checking what every one must have."""
    with pytest.raises(ModelFileError) as caught:
        read_model(path)
    message = str(caught.value)
    assert message.startswith("Expected")
    assert "; got" in message
    assert str(path) in message
    assert "\n" not in message
    return message


def test_missing_file(tmp_path):
    assert "no file at" in refusal(tmp_path / "none")


def test_path_below_a_file(model):
    assert "Not a directory" in refusal(model / "below")


def test_folder(tmp_path):
    assert "folder" in refusal(tmp_path)


def test_empty_file(tmp_path):
    (tmp_path / "m").touch()
    assert "an empty file" in refusal(tmp_path / "m")


def test_truncations_are_refused(model):
    blob = model.read_bytes()
    for length in range(1, len(blob), 5):
        model.write_bytes(blob[:length])
        assert "truncated" in refusal(model), length


def test_every_flipped_bit_is_refused_or_harmless(model):
    blob = model.read_bytes()
    for position in range(len(blob)):
        altered = bytearray(blob)
        altered[position] ^= 1 << position % 8
        model.write_bytes(altered)
        try:
            metadata, arrays = read_model(model)
        except ModelFileError:
            continue
        # Only JSON's own freedom is left: a space of the padding, say, turned into a tab.
        assert metadata == METADATA
        assert_same(arrays, ARRAYS)


def test_an_altered_array_is_named_as_such(model):
    blob = bytearray(model.read_bytes())
    blob[-1] ^= 1
    model.write_bytes(blob)
    assert "altered or damaged" in refusal(model)


def test_altered_metadata_is_named_as_such(model):
    with_texts(model, metadata=json.dumps({"widths": [64]}))
    assert "altered or damaged" in refusal(model)


def test_bytes_after_the_end_are_refused(model):
    model.write_bytes(model.read_bytes() + b"x")
    assert "altered or damaged" in refusal(model)


@pytest.mark.parametrize(
    "changes", [{"sha256": 3}, {"metadata": None}, {"format_version": "9" * 5000}]
)
def test_header_texts_of_another_type_are_refused(model, changes):
    with_texts(model, **changes)
    assert "altered" in refusal(model)


class Bomb:
    """An object whose unpickling fails the test."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


# From protocol 2 on, pickles begin with a mark of their own.
KINDS_OF_PICKLE = [
    "a text file",
    "a file of another kind",
    *["a pickle, which is never opened"] * 4,
]


@pytest.mark.parametrize(("protocol", "kind"), list(enumerate(KINDS_OF_PICKLE)))
def test_a_pickle_is_never_opened(tmp_path, protocol, kind):
    (tmp_path / "m").write_bytes(pickle.dumps(Bomb(), protocol))
    assert f"got {kind}" in refusal(tmp_path / "m")


def zip_archive():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", "b")
    return stream.getvalue()


def numpy_array():
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (zip_archive(), "a zip archive"),
        (gzip.compress(b"x" * 100), "a gzip file"),
        (numpy_array(), "a NumPy array"),
        (b"\x89HDF\r\n\x1a\n" + bytes(56), "an HDF5 file"),
        (b"PAR1" + bytes(60), "a Parquet table"),
        (b"a,b\n1.0,2.0\n", "a text file"),
        # The 64 bytes that are looked at end within the last letter.
        (b"a" * 63 + "\u00e9".encode(), "a text file"),
        (bytes(range(129, 256)), "a file of another kind"),
        (b"x", "a truncated one, with 1 bytes where its header says more than 128"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_foreign_files_are_named(tmp_path, content, kind):
    (tmp_path / "m").write_bytes(content)
    assert f"got {kind}" in refusal(tmp_path / "m")


@pytest.mark.parametrize("texts", [None, {}, {"format": "pt"}])
def test_safetensors_of_another_program(tmp_path, texts):
    (tmp_path / "m").write_bytes(save({"a": np.zeros(2)}, metadata=texts))
    assert "a file of another program" in refusal(tmp_path / "m")


@pytest.mark.parametrize("header", [b"{}", b'{"__metadata__": 3}', b"{" * 4000, b"{\xff}"])
def test_headers_of_another_shape(tmp_path, header):
    (tmp_path / "m").write_bytes(len(header).to_bytes(8, "little") + header)
    assert "another program" in refusal(tmp_path / "m")


@pytest.mark.parametrize("text", ["[]", "{", "[" * 100_000])
def test_a_right_digest_of_wrong_metadata_is_not_enough(model, text):
    with_texts(model, metadata=text, sha256=documented_digest(text, ARRAYS))
    assert "altered" in refusal(model)


def test_a_header_length_beyond_reason_is_not_trusted(tmp_path):
    (tmp_path / "m").write_bytes((2**63).to_bytes(8, "little") + b"{}")
    assert "a file of another kind" in refusal(tmp_path / "m")


@pytest.mark.parametrize(
    ("offsets", "kind"),
    [
        ([0, 2**62], f"says {2**62} of arrays"),
        ([0], "altered or damaged"),
        ("ab", "altered or damaged"),
        ([0, "x"], "altered or damaged"),
        ([-8, 8], "altered or damaged"),
    ],
)
def test_offsets_beyond_reason_are_not_trusted(model, offsets, kind):
    edit_header(model, lambda header: header["weights"].update(data_offsets=offsets))
    assert kind in refusal(model)


def test_a_newer_version_asks_for_an_upgrade(model):
    with_texts(model, format_version=str(FORMAT_VERSION + 1))
    message = refusal(model)
    assert "made by a newer brenier" in message
    assert "upgrade" in message


def test_an_older_version_is_named(model):
    with_texts(model, format_version="0")
    assert "version 0, which is no longer supported" in refusal(model)


@settings(deadline=None, max_examples=50)  # the disk decides how long one takes
@given(st.binary(max_size=80))
def test_any_bytes_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes.brenier"
    path.write_bytes(content)
    refusal(path)


def test_a_file_that_cannot_be_written_leaves_the_old_one(model, monkeypatch):
    before = model.read_bytes()

    def no_space(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left on device"):
        write_model(model, {"new": True}, {})
    assert model.read_bytes() == before
    assert list(model.parent.iterdir()) == [model]
