"""PyTorch files read without PyTorch. The tests write them in both formats of torch.save: zip and the older stream."""

import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from torch_files import STORAGES, WRITERS, FakeTensor, torch_names, write_zip

from manyfaces.errors import InputError
from manyfaces.weights import backbones as import_weights
from manyfaces.weights import torch as torch_reader

fake_torch = pytest.fixture(torch_names)


def state():
    return OrderedDict(
        [
            ("module.weight", FakeTensor("0", STORAGES["0"], (2, 3), (3, 1), offset=6)),
            ("module.turned", FakeTensor("0", STORAGES["0"], (4, 2), (1, 4))),  # shares the storage, transposed
            ("module.steps", FakeTensor("1", STORAGES["1"], (), ())),
        ]
    )


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("kind", WRITERS)
def test_state_dict_is_read_without_torch(kind, wrap, tmp_path, fake_torch):
    path = tmp_path / "net.pth"
    WRITERS[kind](path, {"epoch": 3, "state_dict": state()} if wrap else state())
    tensors = torch_reader.read_state_dict(path)
    assert list(tensors) == ["weight", "turned", "steps"]
    np.testing.assert_array_equal(tensors["weight"], [[6, 7, 8], [9, 10, 11]])
    np.testing.assert_array_equal(tensors["turned"], [[0, 4], [1, 5], [2, 6], [3, 7]])
    assert tensors["steps"] == 7 and tensors["steps"].dtype == np.int64


class Malicious:
    ran = []

    def __reduce__(self):
        return Malicious.ran.append, ("code of the file was run",)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_pickle_with_code_is_refused(kind, tmp_path, fake_torch):
    path = tmp_path / "net.pth"
    WRITERS[kind](path, OrderedDict(weight=Malicious()))
    with pytest.raises(InputError, match="net.pth.*refuses"):
        torch_reader.read_state_dict(path)
    assert Malicious.ran == []


def test_a_tensor_beyond_its_storage_is_refused(tmp_path, fake_torch):
    path = tmp_path / "net.pth"
    write_zip(path, OrderedDict(weight=FakeTensor("0", STORAGES["0"], (5, 5), (5, 1))))
    with pytest.raises(InputError, match="outside its storage of 24 values"):
        torch_reader.read_state_dict(path)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_cut_file_is_refused(kind, tmp_path, fake_torch):
    path = tmp_path / "net.pth"
    WRITERS[kind](path, state())
    whole = path.read_bytes()
    for length in (0, 20, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match="net.pth: cannot be read as a PyTorch state dict"):
            torch_reader.read_state_dict(path)
    with pytest.raises(InputError, match="no such file"):
        torch_reader.read_state_dict(tmp_path / "absent.pth")


def test_a_state_dict_of_another_net_is_named(tmp_path, fake_torch):
    path = tmp_path / "net.pth"
    write_zip(path, state())
    with pytest.raises(InputError, match="net.pth: has no tensor stage1.0.0.weight"):
        import_weights.mobilenet_v1_from_torch(path)


@pytest.mark.parametrize("data, message", [
    (b"\x80\x02}r\xff\xff\xff\x7f.", "memo has gaps"), (b"\x80\x022.", "duplicates"),
    (b"\x80\x04\x8e" + b"\xff" * 8 + b".", "cannot be read as")])
def test_a_pickle_cannot_grow_beyond_its_file(tmp_path, data, message):
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("archive/data.pkl", data)
    with pytest.raises(InputError, match=message):
        torch_reader.read_state_dict(tmp_path / "x.pth")
    (tmp_path / "y.pth").write_bytes(data)
    with pytest.raises(InputError, match=message):
        torch_reader.read_state_dict(tmp_path / "y.pth")


def test_an_archive_cannot_grow_without_end(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(70 << 20))
    with pytest.raises(InputError, match="its members grow to 73,400,320 bytes"):
        torch_reader.read_state_dict(tmp_path / "x.pth")
