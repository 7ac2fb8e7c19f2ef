"""The weights that ship with the package: NAME.weights.h5 beside NAME.yml, the whole config they were trained with, and
NAME.onnx beside its sidecar NAME.json: the same net for runtimes other than Keras.

NAME is that of the experiment: cfgs/NAME.yml trains output/NAME/, whose best.weights.h5 and config.yml ship under it.
"""

from pathlib import Path

from ..errors import InputError
from ..runtimes.files import STAGES, is_cascade

FOLDER = Path(__file__).parent
WEIGHTS = ".weights.h5"
MODEL = ".onnx"


def names():
    """Names under which weights ship, sorted."""
    found = {path.name.removesuffix(ending) for ending in (WEIGHTS, MODEL) for path in FOLDER.glob("*" + ending)}
    cascades = {name.removesuffix(f"_{STAGES[0]}") for name in found if name.endswith(f"_{STAGES[0]}")}
    return sorted(found - {f"{name}_{stage}" for name in cascades for stage in STAGES} | cascades)


def has_weights(name):
    """Whether a .weights.h5, which Keras needs, ships under the name."""
    return _is_there(FOLDER / (name + WEIGHTS))


def _is_there(path):
    """Whether a file is there, or the three nets that it stands for (runtimes.stages)."""
    return path.is_file() or is_cascade(path)


def model_file(name):
    """Path of the shipped NAME.onnx, None where the name ships without; InputError where nothing ships under it."""
    path = FOLDER / (name + MODEL)
    if _is_there(path) and path.with_suffix(".json").is_file():
        return path
    weights_file(name)
    return None


def weights_file(name):
    """Path of the shipped weights; InputError that says what ships, and what else to do, where there are none."""
    path = FOLDER / (name + WEIGHTS)
    if not _is_there(path):
        raise InputError(f"no weights ship for {name or 'a config without a name'} (there are: "
                         f"{', '.join(names()) or 'none'}); train them with tools/train.py and give "
                         f"--weights output/{name or 'NAME'}/best{WEIGHTS}")
    return path


def config_file(name):
    """Path of the config that the shipped weights were trained with; InputError where there is none."""
    weights_file(name)
    path = FOLDER / f"{name}.yml"
    if not path.is_file():
        raise InputError(f"{path}: the config of the shipped weights is missing; reinstall the package")
    return path
