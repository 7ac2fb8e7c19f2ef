"""The weights that ship with the package.

NAME.weights.h5 is beside NAME.yml, the whole config of their training. NAME.onnx with its sidecar NAME.json is the same
net for runtimes other than Keras. Of a cascade, the folder NAME holds weights and nets of all stages (runtimes.files).
NAME is that of the experiment: cfgs/NAME.yml trains output/NAME/, whose best.weights.h5 and config.yml ship under it.

All of them are here in the working tree. The wheel of `manyfaces` is kept small: it holds every NAME.yml and the
exported nets that setup.py names. The wheel of `manyfaces-weights` holds the other nets and the weights for Keras.
"""

import importlib.util
from pathlib import Path

from ..errors import InputError
from ..runtimes.files import WEIGHTS, CascadeFiles, has_cascade_weights

FOLDER = Path(__file__).parent
MODEL = ".onnx"
PACKAGE = "manyfaces_weights"  # of the second wheel
INSTALL = "pip install manyfaces-weights, or in the source tree pip install ./weights_package"


def folders() -> list[Path]:
    """Where shipped files are: FOLDER, and the folder of manyfaces-weights if that is installed."""
    spec = importlib.util.find_spec(PACKAGE)
    return [FOLDER, *map(Path, spec.submodule_search_locations or ())] if spec else [FOLDER]


def names() -> list[str]:
    """Names under which weights ship, sorted. Those in manyfaces-weights count if it is installed."""
    files = {path.name.removesuffix(ending) for folder in folders() for ending in (WEIGHTS, MODEL)
             for path in folder.glob("*" + ending)}
    cascades = {path.name for folder in folders() for path in folder.iterdir()
                if has_cascade_weights(path) or CascadeFiles.exported(path)}
    return sorted(files | cascades)


def is_known(name: str) -> bool:
    """Whether a detector ships under the name, here or in manyfaces-weights, which may not be installed."""
    return name in names() or _in_second_wheel(name)


def has_weights(name: str) -> bool:
    """Whether weights, which Keras needs, ship under the name."""
    return _weights(name) is not None


def model_file(name: str) -> Path | None:
    """Path of the shipped NAME.onnx, or the folder of a cascade.

    Returns:
        The path; None where weights ship under the name but no .onnx.

    Raises:
        InputError: nothing ships under the name, or it is in manyfaces-weights, which is not installed.
    """
    for folder in folders():
        path = folder / (name + MODEL)
        if path.is_file() and path.with_suffix(".json").is_file():
            return path
        files = CascadeFiles.exported(folder / name) if name else None
        if files and files.all_there():
            return files.folder
    weights_file(name)
    return None


def weights_file(name: str) -> Path:
    """Path of the shipped weights: a .weights.h5, or the folder of a cascade.

    Raises:
        InputError: no weights ship under the name, or they are in manyfaces-weights, which is not installed; says
            which names ship and what to do.
    """
    path = _weights(name)
    if path is None and _in_second_wheel(name):
        raise InputError(f"{name}: its {'weights for Keras are' if name in names() else 'files are'} in the package "
                         f"manyfaces-weights, which is not installed: {INSTALL}")
    if path is None:
        raise InputError(f"no weights ship for {name or 'a config without a name'} (there are: "
                         f"{', '.join(names()) or 'none'}); give weights of your own, such as "
                         f"output/{name or 'NAME'}/best{WEIGHTS} (`manyfaces train` makes them)")
    return path


def config_file(name: str) -> Path:
    """Path of the config that the shipped weights were trained with.

    Raises:
        InputError: no weights ship under the name, or their config is missing.
    """
    path = FOLDER / f"{name}.yml"
    if not path.is_file():
        weights_file(name)
        raise InputError(f"{path}: the config of the shipped weights is missing; reinstall the package")
    return path


def _weights(name):
    """The path of weights_file; None where it raises."""
    for folder in folders():
        if (folder / (name + WEIGHTS)).is_file():
            return folder / (name + WEIGHTS)
        if name and has_cascade_weights(folder / name):
            return folder / name
    return None


def _in_second_wheel(name):
    """Whether the weights are in manyfaces-weights, which is not installed: their config is here."""
    return bool(name) and name == Path(name).name and (FOLDER / f"{name}.yml").is_file() and len(folders()) == 1
