"""The state of a training, and weights: files that appear whole or not at all.

A state is one .npz: the step, the best score so far, and every variable of the net, of its average and of the
optimizer. With the data order derived from (seed, epoch, index) that is all a resumed run needs.
"""

import json

import numpy as np

from ..errors import InputError
from ..files import whole_file


def save_state(path, groups, **facts):
    """groups: dict name -> list of Keras variables; facts: JSON values such as step. Raises OSError."""
    arrays = {f"{name}/{i:04d}": v.numpy() for name, part in groups.items() for i, v in enumerate(part)}
    with whole_file(path) as beside, open(beside, "wb") as file:
        np.savez(file, facts=np.array(json.dumps(facts)), **arrays)


def read_facts(path):
    """The facts of a state alone; InputError where the file is not such a state."""
    return load_state(path, {})


def load_state(path, groups):
    """Assign the variables in `groups` and return the facts; InputError where the file is not such a state."""
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(str(file["facts"]))
            for name, part in groups.items():
                arrays = [file[f"{name}/{i:04d}"] for i in range(sum(k.startswith(name + "/") for k in file.files))]
                _assign(path, name, part, arrays)
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
        variable.assign(array)
