"""Pickles of plain values: what they may hold, and what they may not grow to."""

import pickle
import struct
import time

import numpy as np
import pytest

from manyfaces.datasets.storage import load_plain, pack, save_plain, unpack
from manyfaces.errors import InputError

VALUE = {
    "format": "x", "list": [1, -2, 70000, 2**40, -(2**60), 1.5, None, True, False, b"bytes", "text" * 99, "\u00e9", ()],
    "array": pack(np.arange(7.0)), "again": ["text", "text"], "many": [f"image {n}" for n in range(3000)],
    "dict": {"a": {"b": (1, (2, 3, 4), (5, 6, 7, 8))}}, "big": b"x" * 70000,
}


@pytest.mark.parametrize("protocol", [4, 5])
def test_plain_values_come_back(tmp_path, protocol):
    save_plain(VALUE, tmp_path / "x.pkl")
    assert load_plain(tmp_path / "x.pkl", "") == VALUE
    (tmp_path / "y.pkl").write_bytes(pickle.dumps(VALUE, protocol))
    assert load_plain(tmp_path / "y.pkl", "") == VALUE
    np.testing.assert_array_equal(unpack(VALUE["array"]), np.arange(7.0))


def doubled(levels, code):
    """A value of 2 ** levels leaves, by a memo that holds every level."""
    data = b"\x80\x04N"
    for level in range(levels):
        data += code + b"\x94" + (b"h" + bytes([level])) * 2
    return data + b"."


BOMBS = {
    "memo index": b"\x80\x04Nr" + struct.pack("<I", 2**31) + b".", "text memo": b"N" + b"p" + b"9" * 30 + b"\n.",
    "long text": b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"x.", "long bytes": b"\x80\x04\x8e" + struct.pack(
        "<Q", 2**62) + b"x.", "byte array": b"\x80\x05\x96" + struct.pack("<Q", 2**35) + b"x.",
    "frame": b"\x80\x04\x95" + struct.pack("<Q", 2**50) + b"N.", "long number": b"\x80\x04\x8b" + struct.pack(
        "<i", 2**30) + b"1.", "doubled tuples": doubled(60, b"\x85"), "doubled pairs": b"\x80\x04" + b"N" + b"".join(
        b"\x94h" + bytes([n]) + b"\x86" for n in range(60)) + b".",
    "duplicates": b"\x80\x04N" + b"2\x86" * 60 + b".", "deep tuples": b"\x80\x04N" + b"\x85" * 1_000_000 + b".",
    "deep lists": b"\x80\x04" + b"]" * 500_000 + b"a" * 499_999 + b".", "list in itself": b"\x80\x04]\x94h\x00a.",
    "deep marks": b"\x80\x04" + b"(" * 500_000 + b"t" * 500_000 + b".", "no stop": b"\x80\x04N", "nothing": b"",
    "empty stack": b"\x80\x04a.", "missing memo": b"\x80\x04h\x07.",
    "tuple keys": b"\x80\x04}" + b"N" + b"\x85" * 300_000 + b"Ns.", "many lists": b"\x80\x04" + b"]" * 6_000_000 + b".",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_an_input_error_within_a_second(name, tmp_path):
    path = tmp_path / "x.pkl"
    path.write_bytes(BOMBS[name])
    start = time.process_time()
    with pytest.raises(InputError, match=r"x\.pkl: damaged or not a pickle .*; build it again") as error:
        load_plain(path, "build it again")
    assert "\n" not in str(error.value) and len(str(error.value)) < 400
    assert time.process_time() - start < (3 if name == "many lists" else 1)


@pytest.mark.parametrize("data, what", [(b"\x80\x02cos\nsystem\n.", "asks for os.system"),
                                        (b"P1\n.", "outside the file"),
                                        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "asks for os.system"),
                                        (b"(ios\nsystem\n.", "asks for os.system")])
def test_what_is_no_plain_value_is_refused(data, what, tmp_path):
    (tmp_path / "x.pkl").write_bytes(data)
    with pytest.raises(InputError, match=rf"x\.pkl: refused, .*{what}"):
        load_plain(tmp_path / "x.pkl", "")


def test_damage_ends_in_an_input_error_or_a_value(tmp_path):
    rng, refused = np.random.default_rng(0), 0
    whole = pickle.dumps({**VALUE, "many": [], "big": b""}, 4)
    for _ in range(500):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 2):
            data[place] = rng.integers(256)
        (tmp_path / "x.pkl").write_bytes(data)
        try:
            load_plain(tmp_path / "x.pkl", "")
        except InputError as error:
            refused += 1
            assert str(error).startswith(str(tmp_path))
    assert refused > 50
