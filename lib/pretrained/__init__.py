"""The weights that ship with the package.

NAME.weights.h5 is beside NAME.yml, the whole config of their training. NAME.onnx with its sidecar NAME.json is the same
net for runtimes other than Keras. NAME is that of the experiment: cfgs/NAME.yml trains output/NAME/, whose
best.weights.h5 and config.yml ship under this name.
"""

from pathlib import Path

from ..errors import InputError
from ..runtimes.files import STAGES, is_cascade

FOLDER = Path(__file__).parent
WEIGHTS = ".weights.h5"
MODEL = ".onnx"


def names() -> list[str]:
    """Names under which weights ship, sorted."""
    files = {path.name.removesuffix(ending) for ending in (WEIGHTS, MODEL) for path in FOLDER.glob("*" + ending)}
    cascades = {name.removesuffix(f"_{STAGES[0]}") for name in files if name.endswith(f"_{STAGES[0]}")}
    return sorted(files - {f"{name}_{stage}" for name in cascades for stage in STAGES} | cascades)


def has_weights(name: str) -> bool:
    """Whether a .weights.h5, which Keras needs, ships under the name."""
    return _exists(FOLDER / (name + WEIGHTS))


def _exists(path: Path) -> bool:
    """Whether a file exists, or the files of the three stages of a cascade (runtimes.files.stage_files)."""
    return path.is_file() or is_cascade(path)


def model_file(name: str) -> Path | None:
    """Path of the shipped NAME.onnx.

    Returns:
        The path; None where weights ship under the name but no .onnx.

    Raises:
        InputError: nothing ships under the name.
    """
    path = FOLDER / (name + MODEL)
    if _exists(path) and path.with_suffix(".json").is_file():
        return path
    weights_file(name)
    return None


def weights_file(name: str) -> Path:
    """Path of the shipped weights.

    Raises:
        InputError: no weights ship under the name; says which names ship and what else to do.
    """
    path = FOLDER / (name + WEIGHTS)
    if not _exists(path):
        raise InputError(f"no weights ship for {name or 'a config without a name'} (there are: "
                         f"{', '.join(names()) or 'none'}); train them with tools/train.py and give "
                         f"--weights output/{name or 'NAME'}/best{WEIGHTS}")
    return path


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
