"""Read the tensors of a PyTorch state dict without PyTorch.

It reads both formats of `torch.save`: the zip archive (PyTorch 1.6 and later: `data.pkl` and one raw file per storage),
and the older stream (magic number, protocol, system info, object, storage keys, then the storages one after another).
The unpickler refuses all names but ordered dicts, tensors and storages, so a file cannot run code.
"""

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

from ..datasets.storage import check_memo
from ..errors import InputError

MOST_INFLATED = 1 << 26  # bytes, beside 16 times those of the file
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # torch.serialization, the first pickle of the older stream

STORAGE_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}


class _Tensor:
    """A view of a storage. It may not have been read yet: in the older stream the numbers follow the pickle."""

    def __init__(self, storage, offset, shape, strides):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def to_numpy(self):
        values = self.storage["values"]
        last = self.offset + sum((side - 1) * step for side, step in zip(self.shape, self.strides, strict=True))
        if 0 in self.shape:
            return np.zeros(self.shape, values.dtype)
        if self.offset < 0 or min(self.strides, default=0) < 0 or last >= values.size:
            raise ValueError(f"a tensor of shape {self.shape} reaches outside its storage of {values.size} values")
        strides = [step * values.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, strides).copy()


def _rebuild_tensor(storage, offset, shape, strides, *_):
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor, *_):
    return tensor


class _StateUnpickler(pickle.Unpickler):
    """Loads ordered dicts, tensors and storages; anything else in the pickle is refused with its name."""

    def __init__(self, file, storages):
        check_memo(file)
        super().__init__(file, encoding="latin1")
        self.storages = storages  # key -> {"dtype", "size", "values"}

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _rebuild_parameter
        if module == "torch" and name in STORAGE_DTYPES:
            return STORAGE_DTYPES[name]  # only its element type matters here
        raise pickle.UnpicklingError(f"refuses {module}.{name}: a state dict holds only tensors and dicts")

    def persistent_load(self, reference):
        if len(reference) >= 6 and reference[5] is not None:
            raise pickle.UnpicklingError("a storage that is a view of another is not supported; save the dict again")
        kind, dtype, key, _, size = reference[:5]
        if kind != "storage":
            raise pickle.UnpicklingError(f"found a persistent {kind!r}, expected a storage")
        return self.storages.setdefault(key, {"dtype": np.dtype(dtype), "size": size})


def _read_zip(path):
    storages = {}
    with zipfile.ZipFile(path) as archive:
        inflated = sum(info.file_size for info in archive.infolist())
        if inflated > MOST_INFLATED + 16 * os.path.getsize(path):  # torch.save does not compress at all
            raise ValueError(f"its members grow to {inflated:,} bytes")
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise ValueError(f"found {len(names)} data.pkl in the archive, expected 1")
        content = _StateUnpickler(io.BytesIO(archive.read(names[0])), storages).load()
        folder = names[0][: -len("data.pkl")]
        for key, storage in storages.items():
            storage["values"] = np.frombuffer(archive.read(f"{folder}data/{key}"), storage["dtype"])
    return content


def _read_legacy(path):
    storages = {}
    with open(path, "rb") as file:
        magic, _protocol, system = (_StateUnpickler(file, storages).load() for _ in range(3))
        if magic != LEGACY_MAGIC:
            raise ValueError("not a file of torch.save")
        if not system["little_endian"]:
            raise ValueError("written on a big-endian machine, which is not supported")
        content = _StateUnpickler(file, storages).load()
        for key in _StateUnpickler(file, storages).load():
            storage = storages[key]
            (size,) = np.frombuffer(file.read(8), "<i8")
            raw = file.read(int(size) * storage["dtype"].itemsize)
            if size != storage["size"] or len(raw) != size * storage["dtype"].itemsize:
                raise ValueError(f"storage {key} holds {size} values, expected {storage['size']}, or the file is cut")
            storage["values"] = np.frombuffer(raw, storage["dtype"])
    return content


def read_state_dict(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read the tensors of a PyTorch file.

    Args:
        path: a state dict, or a checkpoint that holds one under `state_dict`.

    Returns:
        Name -> array, in the order of the file. A leading `module.` (DataParallel) is removed from the names.

    Raises:
        InputError: the file is not a state dict, or is incomplete.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected a PyTorch state dict")
    try:
        content = _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
        state = content.get("state_dict", content)
        tensors = {name: value.to_numpy() for name, value in state.items() if isinstance(value, _Tensor)}
    except Exception as error:  # a damaged pickle raises almost any exception
        raise InputError(f"{path}: cannot be read as a PyTorch state dict: {error}") from error
    if not tensors:
        raise InputError(f"{path}: holds no tensors, expected a PyTorch state dict")
    return {name.removeprefix("module."): value for name, value in tensors.items()}
