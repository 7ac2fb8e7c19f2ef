"""The weights that ship with the package.

NAME.weights.h5 is beside NAME.yml, the whole config of their training. NAME.onnx with its sidecar NAME.json is the same
net for runtimes other than Keras. Of a cascade, the folder NAME holds weights and nets of all stages (runtimes.files).
NAME is that of the experiment: cfgs/NAME.yml trains output/NAME/, whose best.weights.h5 and config.yml ship under it.
"""

from pathlib import Path

from ..errors import InputError
from ..runtimes.files import WEIGHTS, CascadeFiles, has_cascade_weights

FOLDER = Path(__file__).parent
MODEL = ".onnx"


def names() -> list[str]:
    """Names under which weights ship, sorted."""
    files = {path.name.removesuffix(ending) for ending in (WEIGHTS, MODEL) for path in FOLDER.glob("*" + ending)}
    cascades = {path.name for path in FOLDER.iterdir() if has_cascade_weights(path) or CascadeFiles.exported(path)}
    return sorted(files | cascades)


def has_weights(name: str) -> bool:
    """Whether weights, which Keras needs, ship under the name."""
    return (FOLDER / (name + WEIGHTS)).is_file() or (bool(name) and has_cascade_weights(FOLDER / name))


def model_file(name: str) -> Path | None:
    """Path of the shipped NAME.onnx, or the folder of a cascade.

    Returns:
        The path; None where weights ship under the name but no .onnx.

    Raises:
        InputError: nothing ships under the name.
    """
    path = FOLDER / (name + MODEL)
    if path.is_file() and path.with_suffix(".json").is_file():
        return path
    files = CascadeFiles.exported(FOLDER / name) if name else None
    if files and files.all_there():
        return files.folder
    weights_file(name)
    return None


def weights_file(name: str) -> Path:
    """Path of the shipped weights: a .weights.h5, or the folder of a cascade.

    Raises:
        InputError: no weights ship under the name; says which names ship and what else to do.
    """
    if not has_weights(name):
        raise InputError(f"no weights ship for {name or 'a config without a name'} (there are: "
                         f"{', '.join(names()) or 'none'}); train them with `manyfaces train` and give "
                         f"--weights output/{name or 'NAME'}/best{WEIGHTS}")
    file = FOLDER / (name + WEIGHTS)
    return file if file.is_file() else FOLDER / name


def config_file(name: str) -> Path:
    """Path of the config that the shipped weights were trained with.

    Raises:
        InputError: no weights ship under the name, or their config is missing.
    """
    weights_file(name)
    path = FOLDER / f"{name}.yml"
    if not path.is_file():
        raise InputError(f"{path}: the config of the shipped weights is missing; reinstall the package")
    return path
