"""The weights that ship with the package: NAME.weights.h5 beside NAME.yml, the whole config they were trained with.

NAME is that of the experiment: cfgs/NAME.yml trains output/NAME/, whose best.weights.h5 and config.yml ship under it.
"""

from pathlib import Path

from ..errors import InputError

FOLDER = Path(__file__).parent
WEIGHTS = ".weights.h5"


def names():
    """Names under which weights ship, sorted."""
    return sorted(path.name.removesuffix(WEIGHTS) for path in FOLDER.glob("*" + WEIGHTS))


def weights_file(name):
    """Path of the shipped weights; InputError that says what ships, and what else to do, where there are none."""
    path = FOLDER / (name + WEIGHTS)
    if not path.is_file():
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
