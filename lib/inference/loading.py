"""From a name, a model file or a config to a detector: which file it is, and which installed runtime runs it."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .. import pretrained
from ..config import load_config, names, override, roles_of
from ..config.names import similar
from ..errors import InputError
from ..runtimes.cascade import open_cascade
from ..runtimes.files import CascadeFiles, has_any_cascade_weights
from ..runtimes.models import open_model
from ..runtimes.sessions import PRECISIONS, RUNTIMES, readers
from ..runtimes.sessions import installed as installed_runtimes
from .base import BaseDetector
from .cascade_detector import CascadeDetector
from .detector import Detector

KERAS = "keras"
MODELS = ".onnx, .xml or .tflite"


def installed() -> list[str]:
    """Names of what can run a model here, the fastest first. Nothing is imported for it."""
    return installed_runtimes() + ([KERAS] if importlib.util.find_spec(KERAS) else [])


@contextlib.contextmanager
def _of_any_length() -> Iterator[None]:
    """Around the search for files: a name that is too long for one is an InputError."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise InputError(f"{error.filename}: {error.strerror}; expected a name ({', '.join(pretrained.names())}), a "
                         f"model ({MODELS}) or a config (.yml)") from None


@_of_any_length()
def open_detector(name: str | os.PathLike, weights: str | os.PathLike | None = None, overrides: Sequence[Any] = (),
                  runtime: str | None = None, threads: int | None = None,
                  precision: str | None = None) -> BaseDetector:
    """The detector that Detector.load describes."""
    name, overrides = os.fspath(name), list(overrides)
    ending = Path(name).suffix.lower()
    if runtime not in (None, KERAS, *RUNTIMES):
        raise InputError(f"runtime is {runtime!r}, expected one of {', '.join([*RUNTIMES, KERAS])}; {_have()}")
    if precision not in (None, *PRECISIONS):
        raise InputError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
    if readers(name) and name not in pretrained.names():  # a shipped name wins over a folder of that name here
        if weights is not None:
            raise InputError(f"{name}: holds its own weights, found {os.fspath(weights)} beside it; leave that out")
        return _exported(name, overrides, runtime, threads, precision)
    if ending in (".yml", ".yaml"):
        if weights is not None and readers(weights) and not has_any_cascade_weights(weights):
            raise InputError(f"{os.fspath(weights)}: an exported model brings its own config; leave {name} out and "
                             f"change keys of TEST with overrides (--set)")
        return _keras(name, weights, overrides, runtime, precision)
    if ending == ".h5":
        raise InputError(f"{name}: weights alone do not say of which net; give its config (.yml) and these as weights")
    if pretrained.is_known(name):
        return _shipped(name, weights, overrides, runtime, threads, precision)
    if name in names():
        return _keras(name, weights, overrides, runtime, precision)
    near = similar(name, [*pretrained.names(), *names()])
    hint = f"did you mean {' or '.join(near)}? Else " if near else ""
    raise InputError(f"{name}: {hint}expected a name "
                     f"({', '.join(pretrained.names()) or 'none ships'}), a model ({MODELS}) or a config with its "
                     f"weights (.yml, or a name such as ssh_vgg16)")


@_of_any_length()
def detector_of(cfg: str | os.PathLike | None = None, weights: str | os.PathLike | None = None,
                overrides: Sequence[Any] = (), runtime: str | None = None, threads: int | None = None,
                default: str | None = None, precision: str | None = None) -> BaseDetector:
    """The detector that a command line names by --cfg and --weights: a config with its weights, or an exported model
    alone.

    Args:
        default: name of the shipped model where there is neither a config nor an exported model.

    Raises:
        InputError: neither is given and there is no default; or as in Detector.load.
    """
    if cfg is None and weights is not None and readers(weights):
        cfg, weights = weights, None
    name = cfg or default
    if name is None:
        raise InputError(f"expected --cfg FILE, or --weights with an exported model ({MODELS})")
    return open_detector(name, weights, overrides, runtime, threads, precision)


def _shipped(name, weights, overrides, runtime, threads, precision):
    """The exported model that ships under the name where an installed runtime reads it, else the weights by Keras."""
    model = None if weights else pretrained.model_file(name)
    if model is None:
        return _keras(pretrained.config_file(name), weights, overrides, runtime, precision)
    here = installed()
    if runtime == KERAS or (runtime is None and KERAS in here and pretrained.has_weights(name)
                            and (_fixed(overrides) or not set(readers(model)) & set(here))):
        return _keras(pretrained.config_file(name), weights, overrides, runtime, precision)
    return _exported(model, overrides, runtime, threads, precision)


def _exported(path, overrides, runtime, threads, precision):
    """The detector of an exported model with its sidecar."""
    if runtime == KERAS:
        raise InputError(f"{path}: Keras does not read it, expected runtime {' or '.join(readers(path))}; {_have()}")
    if fixed := _fixed(overrides):
        raise InputError(f"{fixed[0]}: the net of {path} is fixed; an exported model lets only keys of TEST (and of a "
                         f"cascade those of CASCADE) be changed")
    if files := CascadeFiles.exported(path):
        nets, cfg = open_cascade(files, runtime, threads, precision)
        detector: BaseDetector = CascadeDetector(nets, cfg, files)
    else:
        family, run, cfg = open_model(path, runtime, threads, precision)
        detector = Detector(family, run, cfg, Path(path))
    override(cfg, overrides)  # in place: the family decodes by the same config
    return detector


def _fixed(overrides):
    """The keys among [KEY, VALUE, ...] that are built into an exported model."""
    return [key for key in overrides[::2] if "." not in key or "testing" not in roles_of(key)]


def _keras(config, weights, overrides, runtime, precision):
    """The detector of a config with weights, run by Keras."""
    if runtime not in (None, KERAS):
        raise InputError(f"{config}: a config runs through Keras; for {runtime} export it first with "
                         f"`manyfaces export`")
    if precision not in (None, "float32"):
        raise InputError(f"{config}: precision {precision!r}: Keras computes in float32; export the config first with "
                         f"`manyfaces export`")
    cfg = load_config(config, overrides)
    if KERAS not in installed():
        raise InputError(f"{config}: needs Keras and TensorFlow: pip install 'manyfaces[train]'; {_have()}")
    from .models import load_detector

    return load_detector(cfg, weights)


def _have():
    return f"installed are {', '.join(installed()) or 'none of them'}"
