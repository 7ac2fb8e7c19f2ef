"""Our reader of .mat files against scipy's, and against damage."""

import struct
import zlib

import numpy as np
import pytest
from conftest import ROOT
from scipy.io import loadmat, savemat

from manyfaces.datasets import matlab
from manyfaces.datasets.matlab import read_mat
from manyfaces.errors import InputError

SHARED = ROOT.parent / "shared" / "data"


def cells(*values):
    column = np.empty((len(values), 1), object)
    column[:, 0] = values
    return column


RNG = np.random.default_rng(0)
VARIABLES = {
    **{f"of_{kind}": RNG.integers(0, 100, (3, 4)).astype(kind)
       for kind in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")},
    "logical": np.array([[True, False], [False, False]]), "three_sides": np.arange(24.0).reshape(2, 3, 4),
    "empty": np.zeros((0, 5)), "scalar": 7, "text": "some text", "accents": "h\u00e9 \u6f22", "no_text": "",
    "lines": np.array(["one", "four", "10"]),
    "faces": cells(*(RNG.integers(0, 1000, (count % 4, 4)).astype("i4") for count in range(12))),
    "labels": cells(*(RNG.integers(0, 2, (count, 1)).astype("u1") for count in range(12))),
    "names": cells(*(f"name {n}" for n in range(12))),
    "deep": cells(cells(cells(1.5, "x"), cells()), np.zeros((0, 0)), cells(cells(np.arange(3)))),
    "mixed": cells(*(value for n in range(5) for value in (n, "text", cells(n, n + 0.5), np.float32(n)))),
    "a_name_of_more_than_eight_letters": np.pi,
}


def same(ours, theirs, where):
    assert ours.shape == theirs.shape, where
    assert ours.dtype == theirs.dtype.newbyteorder("=") or ours.dtype.kind == theirs.dtype.kind == "U", where
    if ours.dtype == object:
        for one, other in zip(ours.ravel(), theirs.ravel(), strict=True):
            same(one, other, where)
    else:
        np.testing.assert_array_equal(ours, theirs)
        assert ours.flags.writeable


def scipys(path):
    return {name: value for name, value in loadmat(path, mat_dtype=True).items() if not name.startswith("__")}


@pytest.mark.parametrize("compressed", [False, True])
def test_everything_is_as_scipy_reads_it(tmp_path, compressed):
    path = tmp_path / "x.mat"
    savemat(path, VARIABLES, do_compression=compressed, long_field_names=True)
    theirs, ours = scipys(path), read_mat(path)
    assert set(ours) == set(theirs) == set(VARIABLES)
    for name in theirs:
        same(ours[name], theirs[name], name)
    assert set(read_mat(path, ("faces", "text", "absent"))) == {"faces", "text"}


@pytest.mark.parametrize("name", ["wider_official/wider_face_val.mat", "wider_eval/ground_truth/wider_hard_val.mat",
                                  "tiny/RefBox_N25.mat", "tiny/RefBox_N25_scaled.mat"])
def test_the_official_files_are_as_scipy_reads_them(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    theirs, ours = scipys(path), read_mat(path)
    assert set(ours) == set(theirs)
    for variable in theirs:
        same(ours[variable], theirs[variable], variable)


def file_of(*parts, order="<"):
    return b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(order + "H", 0x0100) + (b"IM" if order == "<" else b"MI") + (
        b"".join(parts))


def part(kind, data, order="<"):
    return struct.pack(order + "II", kind, len(data)) + data + bytes(-len(data) % 8)


def array(kind, shape, content, name=b"x", order="<"):
    return part(14, part(6, struct.pack(order + "II", kind, 0), order) + part(5, struct.pack(
        f"{order}{len(shape)}i", *shape), order) + part(1, name, order) + content, order)


def deflated(data, less=0):
    """A compressed variable, which alone is not padded; `less` bytes are cut off its end."""
    data = zlib.compress(data)
    return struct.pack("<II", 15, len(data) - less) + data[: len(data) - less]


def test_a_file_of_the_other_byte_order(tmp_path):
    path = tmp_path / "x.mat"
    number = array(6, (1, 2), part(3, struct.pack(">2h", 5, -6), ">"), b"", ">")
    text = array(4, (1, 2), part(4, "h\u00e9".encode("utf-16-be"), ">"), b"", ">")
    path.write_bytes(file_of(array(1, (9, 1), number * 8 + text, order=">"), order=">"))
    found = read_mat(path)["x"]
    assert [cell.tolist() for cell in found.ravel()] == [[[5.0, -6.0]]] * 8 + [["h\u00e9"]]
    same(found[:8], scipys(path)["x"][:8], "x")  # scipy takes the bytes of the text in the wrong order


NUMBER = array(6, (1, 1), part(9, struct.pack("<d", 1)), b"")
WRONG = {
    "nothing": (b"", "header of version 5"), "text": (b"no MATLAB file", "header of version 5"),
    "version 7.3": (b"MATLAB 7.3 MAT-file".ljust(512, b"\0"), "HDF5; save it with -v7"),
    "version 4": (struct.pack("<5i", 0, 1, 1, 0, 2) + b"x\0" + bytes(8), "header of version 5"),
    "length beyond the file": (file_of(struct.pack("<II", 14, 1 << 30)), "of 1,073,741,824 bytes, but 0 are"),
    "not inflatable": (file_of(struct.pack("<II", 15, 8) + b"damaged!"), "incorrect header check"),
    "cut deflation": (file_of(deflated(array(6, (9, 9), part(9, bytes(648))), 9)), "cut short"),
    "a struct": (file_of(array(2, (1, 1), b"")), "a struct, expected numbers, text and cells"),
    "sparse": (file_of(array(5, (1, 1), b"")), "a sparse array"),
    "complex": (file_of(array(0x806, (1, 1), part(9, bytes(8)))), "complex numbers"),
    "unknown class": (file_of(array(77, (1, 1), part(9, bytes(8)))), "class 77"),
    "too few numbers": (file_of(array(6, (4, 4), part(9, bytes(8)))), r"shape \(4, 4\) with 8 bytes"),
    "too many numbers": (file_of(array(6, (1, 1), part(9, bytes(80)))), r"shape \(1, 1\) with 80 bytes"),
    "huge sides": (file_of(array(6, (2**31 - 1, 2**31 - 1), part(9, bytes(8)))), "2147483647"),
    "negative side": (file_of(array(6, (-1, 4), part(9, bytes(8)))), r"shape \(-1, 4\)"),
    "one dimension": (file_of(array(6, (4,), part(9, bytes(32)))), "without dimensions"),
    "cells that are not there": (file_of(array(1, (2**30, 1), NUMBER)), "1,073,741,824 cells in"),
    "cell beyond its array": (file_of(array(1, (1, 1), struct.pack("<II", 14, 1 << 20))), "a cell of 1,048,576 bytes"),
    "text of another length": (file_of(array(4, (1, 9), part(4, b"a\0b\0"))), "with 2 characters"),
    "text that is not UTF-8": (file_of(array(4, (1, 2), part(16, b"\xff\xfe"))), "codec can't decode"),
    "numbers of an unknown type": (file_of(array(6, (1, 1), part(8, bytes(8)))), "numbers of type 8"),
    "text of an unknown type": (file_of(array(4, (1, 1), part(9, bytes(8)))), "a text of type 9"),
    "no flags": (file_of(part(14, part(5, struct.pack("<2i", 1, 1)))), "without flags"),
    "a number among usual ones": (file_of(array(1, (9, 1), NUMBER * 8 + array(6, (1, 2), part(9, bytes(8)), b""))),
                                  "an array of 1 x 2 with 8 bytes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_one_line_that_names_it(tmp_path, name):
    data, message = WRONG[name]
    path = tmp_path / "x.mat"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as error:
        read_mat(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_an_absent_file_and_a_folder(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_mat(tmp_path / "x.mat")
    with pytest.raises(InputError, match="is a folder, expected a MATLAB file"):
        read_mat(tmp_path)


def test_what_inflates_without_end_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "x.mat"
    path.write_bytes(file_of(deflated(array(6, (1, 1 << 20), part(9, bytes(8 << 20))))))
    assert read_mat(path)["x"].shape == (1, 1 << 20) and path.stat().st_size < 10_000
    monkeypatch.setattr(matlab, "_MOST_BYTES", 1 << 20)
    with pytest.raises(InputError, match="more than 1,048,576 bytes when inflated"):
        read_mat(path)


def test_cells_are_not_nested_without_end(tmp_path):
    path = tmp_path / "x.mat"
    inner = NUMBER
    for depth in range(40):
        inner = array(1, (1, 1), inner, b"")
        path.write_bytes(file_of(inner))
        if depth == 10:
            assert read_mat(path)[""].shape == (1, 1)
    with pytest.raises(InputError, match="16 deep"):
        read_mat(path)


def test_cells_are_counted(tmp_path, monkeypatch):
    path = tmp_path / "x.mat"
    path.write_bytes(file_of(array(1, (3000, 1), struct.pack("<II", 14, 0) * 3000)))
    assert read_mat(path)["x"].shape == (3000, 1)
    monkeypatch.setattr(matlab, "_MOST_ARRAYS", 2000)
    with pytest.raises(InputError, match="3,000 cells"):
        read_mat(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_damage_ends_in_an_input_error_or_in_arrays(tmp_path, compressed):
    path = tmp_path / "x.mat"
    kept = ("of_i4", "faces", "labels", "names", "deep", "text", "three_sides")
    savemat(path, {name: VARIABLES[name] for name in kept}, do_compression=compressed)
    data, rng, refused = path.read_bytes(), np.random.default_rng(1), 0
    for trial in range(400):
        damaged = bytearray(data)
        if trial % 4 == 0:
            del damaged[rng.integers(128, len(data)):]
        for place in rng.integers(120, len(damaged), rng.integers(1, 4)) if len(damaged) > 120 else ():
            damaged[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)])
        path.write_bytes(damaged)
        try:
            found = read_mat(path)
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert all(isinstance(value, np.ndarray) for value in found.values())
    assert refused > 100
