"""The content of a .weights.h5: its digest, which is saved in the file, and the check before anything is taken from it.

HDF5 has no checksum of its own by default: a file with a damaged byte opens, and gives other weights.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import pretrained
from ..errors import InputError
from ..runtimes.files import WEIGHTS, digest
from ..runtimes.sidecar import digest_of_weights

if TYPE_CHECKING:
    import h5py

DIGEST, CONFIG = "manyfaces_digest", "manyfaces"  # attributes of the file
SEAL = b"manyfaces sha256 "  # then the sha256 of all bytes before it, after the end of the HDF5 file
LARGEST = 2**28  # bytes of arrays; more must be at most a hundred times the size of the file


def stamp(file: h5py.File) -> None:
    """Save the digest of an open file in it. Whatever changes the file afterwards has to do it again."""
    file.attrs[DIGEST] = _digest(_items(file))[0]


def sealed(data: bytes) -> bytes:
    """The bytes of an HDF5 file with their checksum behind them, where HDF5 does not look.

    It is checked before HDF5 opens the file: some damaged files make HDF5 read for ever.
    """
    return data + _seal(data)


def _seal(data: bytes | memoryview) -> bytes:
    return SEAL + hashlib.sha256(data).hexdigest().encode() + b"\n"


def _check_seal(path):
    data = path.read_bytes()
    at = data.rfind(SEAL)
    if at >= 0 and data[at:] != _seal(memoryview(data)[:at]):
        raise InputError(_changed(path))


def _changed(path):
    return (f"{path}: its content differs from what was saved (checksum): the file is damaged; copy or train it "
            "again")


def stamped(path: str | os.PathLike) -> bytes:
    """The bytes of a .weights.h5, with a digest where an earlier version saved none; raises as check_weights does."""
    check_weights(path)
    import h5py

    memory = io.BytesIO(Path(path).read_bytes())
    with h5py.File(memory, "r") as file:
        if DIGEST in file.attrs:
            return memory.getvalue()
    with h5py.File(memory, "r+") as file:
        stamp(file)
    return sealed(memory.getvalue())


def check_weights(path: str | os.PathLike) -> dict[str, Any]:
    """Check that a .weights.h5 holds what was saved, and finite numbers only.

    Files without a digest, of earlier versions and of other programs, are only checked for finite numbers. Those that
    ship have their digest in their sidecar, and a damaged copy of them is recognised without it.

    Returns:
        The config keys of the net that are saved in the file, such as NET.ALPHA; empty in files of other programs.

    Raises:
        InputError: the file is missing, cut short or damaged, or a value is not finite; it names the variable.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such weights file, expected a {WEIGHTS}")
    _check_seal(path)
    import h5py

    try:
        with h5py.File(path, "r") as file:
            saved, config = file.attrs.get(DIGEST), json.loads(file.attrs.get(CONFIG, "{}"))
            items = _items(file)
            total, size = sum(getattr(item, "nbytes", 0) for item in items.values()), path.stat().st_size
            if total > max(LARGEST, 100 * size):
                raise ValueError(f"its arrays would have {total:,} bytes, the file has {size:,}")
            content, odd = _digest(items)
    except InputError:
        raise
    except Exception as error:  # HDF5 raises almost any exception for a damaged file
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a complete weights file ({reason[:200]}); copy or train it again") from None
    beside = None if saved else digest_of_weights(path)
    if (saved and saved != content) or (beside and beside != digest(path)):
        raise InputError(_changed(path))
    if odd is not None:
        check_finite(odd[0], f"{path}: {odd[1]}")
    if not saved and not beside and (origin := _damaged_copy_of(path)):
        raise InputError(f"{path}: is a damaged copy of {origin.name}, which ships with the package (some bytes "
                         f"differ); copy it again")
    if not isinstance(config, dict):
        raise InputError(f"{path}: attribute {CONFIG} holds a {type(config).__name__}, expected keys of a config")
    return config


def _damaged_copy_of(path):
    """The shipped weights that a file of the same size differs from in a few bytes; None where there are none.

    Those files hold no digest. Weights of another training differ in most bytes.
    """
    size = path.stat().st_size
    for origin in (file for folder in pretrained.folders() for file in folder.rglob(f"*{WEIGHTS}")):
        if origin.stat().st_size == size:
            different = np.fromfile(origin, np.uint8) != np.fromfile(path, np.uint8)
            if 0 < np.count_nonzero(different) <= size / 100:
                return origin
    return None


def check_finite(values: np.ndarray, where: str) -> None:
    """InputError where an array of weights holds a value that is not finite. where: file and name, for the message."""
    if values.dtype.kind in "fc" and not np.isfinite(values).all():
        raise InputError(f"{where} holds a value that is not finite (NaN or infinity), expected numbers; the training "
                         f"or conversion that made it went wrong")


def _items(file: h5py.File) -> dict[str, Any]:
    """Name -> group or array, of all in a file, and the file itself."""
    items: dict[str, Any] = {"": file}
    file.visititems(items.__setitem__)
    return items


def _digest(items):
    """(digest of all names, attributes and arrays; the first array with a value that is not finite and its name, or
    None).
    """
    import h5py

    found, odd = hashlib.blake2b(digest_size=16), None
    for name, item in sorted(items.items()):
        attributes = {key: item.attrs[key] for key in sorted(item.attrs) if key != DIGEST}
        found.update(repr((name, {key: np.asarray(value).tolist() for key, value in attributes.items()})).encode())
        if isinstance(item, h5py.Dataset):
            values = np.ascontiguousarray(item[()])
            found.update(repr((values.dtype.str, values.shape)).encode())
            found.update(repr(values.tolist()).encode() if values.dtype.hasobject else values.data)
            if odd is None and values.dtype.kind in "fc" and not np.isfinite(values).all():
                layer = item.parent.attrs.get("name")
                odd = values, f"{name} (layer {layer})" if layer else name
    return found.hexdigest(), odd
