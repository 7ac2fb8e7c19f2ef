"""PyTorch files without PyTorch: tensors and state dicts in both formats of torch.save, zip and the older stream."""

import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np


class FakeTensor:
    def __init__(self, key, values, shape, strides, offset=0):
        self.key, self.values, self.shape, self.strides, self.offset = key, values, shape, strides, offset

    def __reduce__(self):
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (FakeStorage(self), self.offset, self.shape, self.strides, False, OrderedDict())


class FakeStorage:
    def __init__(self, tensor):
        self.tensor = tensor


class FakePickler(pickle.Pickler):
    legacy = False

    def persistent_id(self, value):
        if isinstance(value, FakeStorage):
            kind = {"f": "FloatStorage", "i": "LongStorage"}[value.tensor.values.dtype.kind]
            reference = ("storage", getattr(sys.modules["torch"], kind), value.tensor.key, "cuda:0")
            return (*reference, value.tensor.values.size, *([None] if self.legacy else []))
        return None


class LegacyPickler(FakePickler):
    legacy = True


def torch_names(monkeypatch):
    """A fixture: stand-ins for the names of torch that the pickles hold."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "LongStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2():
        """Only the name is pickled."""

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


STORAGES = {"0": np.arange(24, dtype="<f4"), "1": np.array([7], "<i8")}


def write_zip(path, content, storages=STORAGES):
    with zipfile.ZipFile(path, "w") as archive, archive.open("archive/data.pkl", "w") as file:
        FakePickler(file, 2).dump(content)
    with zipfile.ZipFile(path, "a") as archive:
        for key, values in storages.items():
            archive.writestr(f"archive/data/{key}", values.tobytes())


def write_legacy(path, content, storages=STORAGES):
    with open(path, "wb") as file:
        for header in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True, "protocol_version": 1001}):
            pickle.dump(header, file, 2)
        LegacyPickler(file, 2).dump(content)
        pickle.dump(list(storages), file, 2)
        for values in storages.values():
            file.write(struct.pack("<q", values.size) + values.tobytes())


WRITERS = {"zip": write_zip, "legacy": write_legacy}
