"""The state of a training as one .npz file, written atomically.

It holds the step, the best score so far, and every variable of the net, of its moving average and of the optimizer. The
data order follows from (seed, epoch, index), so a resumed run needs nothing else.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, shown
from ..files import whole_file
from ..parsing import parse_json
from ..weights.content import check_finite

if TYPE_CHECKING:
    import keras


def state_arrays(groups: Mapping[str, Sequence[keras.Variable]]) -> dict[str, Any]:
    """Copy the values of variables, for `save_state`.

    Args:
        groups: name -> variables.
    """
    return {f"{name}/{i:04d}": v.numpy() for name, variables in groups.items() for i, v in enumerate(variables)}


def save_state(path: str | os.PathLike, arrays: Mapping[str, Any], **facts: Any) -> None:
    """Write a state.

    Args:
        path: the .npz.
        arrays: those of `state_arrays`.
        facts: JSON values, such as step.

    Raises:
        OSError: the file cannot be written.
    """
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, facts=np.array(json.dumps(facts)), **arrays)


def read_facts(path: str | os.PathLike) -> dict[str, Any]:
    """Read only the facts of a state.

    Raises:
        InputError: the file is missing or is not a state.
    """
    return load_state(path, {})


def load_state(path: str | os.PathLike, groups: Mapping[str, Sequence[keras.Variable]]) -> dict[str, Any]:
    """Read a state into variables.

    Args:
        path: the .npz.
        groups: name -> variables, which get the values of the file.

    Returns:
        The facts that `save_state` was given.

    Raises:
        InputError: the file is missing, damaged, or not a state, is the state of another net, or a value is not finite.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # NumPy alone does not notice damage behind what it reads
            if (member := archive.testzip()) is not None:
                raise ValueError(f"{member} differs from its checksum")
        with np.load(path, allow_pickle=False) as file:
            facts = parse_json(str(file["facts"]))
            if not isinstance(facts, dict):
                raise ValueError(f"its facts are {shown(facts)}, expected an object")
            for name, variables in groups.items():
                arrays = [file[f"{name}/{i:04d}"] for i in range(sum(k.startswith(name + "/") for k in file.files))]
                _assign(path, name, variables, arrays)
    except FileNotFoundError:
        raise InputError(f"{path}: no checkpoint to resume from; start without --resume") from None
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: not a checkpoint of this program, or broken ({error})") from None
    return facts


def _assign(path, name, variables, arrays):
    if len(arrays) != len(variables):
        raise InputError(f"{path}: {name} holds {len(arrays)} arrays, the config's net needs {len(variables)}; "
                         f"resume with the config saved beside it")
    for variable, array in zip(variables, arrays, strict=True):
        if tuple(variable.shape) != array.shape:
            raise InputError(f"{path}: {name} {variable.path} is {array.shape}, the config's net needs "
                             f"{tuple(variable.shape)}; resume with the config saved beside it")
        check_finite(array, f"{path}: {name} {variable.path}")
        variable.assign(array)
