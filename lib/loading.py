"""From a name, a model file or a config to a Detector: which file it is, and which installed runtime runs it."""

import importlib.util
import os
from pathlib import Path

from . import pretrained
from .config import load_config, override
from .detector import Detector
from .errors import InputError

MODEL_ENDINGS = {".onnx": ("openvino", "onnxruntime"), ".xml": ("openvino",), ".tflite": ("litert",)}
RUNTIMES = {"openvino": "openvino", "onnxruntime": "onnxruntime", "litert": "ai_edge_litert", "keras": "keras"}
CONFIG_ENDINGS = (".yml", ".yaml")


def installed():
    """Names of the runtimes that are installed, fastest first; nothing is imported for it."""
    return [name for name, package in RUNTIMES.items() if importlib.util.find_spec(package)]


def open_detector(name, weights=None, overrides=(), runtime=None, threads=None):
    """The Detector that Detector.load describes."""
    name, overrides = os.fspath(name), list(overrides)
    ending = Path(name).suffix.lower()
    if runtime is not None and runtime not in RUNTIMES:
        raise InputError(f"runtime is {runtime!r}, expected one of {', '.join(RUNTIMES)}; installed are "
                         f"{', '.join(installed()) or 'none of them'}")
    if ending in MODEL_ENDINGS:
        if weights is not None:
            raise InputError(f"{name}: holds its own weights, found {os.fspath(weights)} beside it; leave that out")
        return _exported(name, overrides, runtime, threads)
    if ending in CONFIG_ENDINGS:
        if weights is not None and Path(weights).suffix.lower() in MODEL_ENDINGS:
            raise InputError(f"{os.fspath(weights)}: an exported model brings its own config; leave {name} out and "
                             f"change keys of TEST with overrides (--set)")
        return _keras(name, weights, overrides, runtime)
    if ending == ".h5":
        raise InputError(f"{name}: weights alone do not say of which net; give its config (.yml) and these as weights")
    return _shipped(name, weights, overrides, runtime, threads)


def detector_of(cfg=None, weights=None, overrides=(), runtime=None, threads=None, default=None):
    """The Detector that a command line names by --cfg and --weights: a config with its weights, or a model file alone.

    default: the shipped name that serves where there is no cfg and no model file. Raises InputError.
    """
    if cfg is None and weights is not None and Path(weights).suffix.lower() in MODEL_ENDINGS:
        cfg, weights = weights, None
    if cfg is None and default is None:
        raise InputError("expected --cfg FILE, or --weights with an exported model (.onnx, .xml, .tflite)")
    return open_detector(cfg or default, weights, overrides, runtime, threads)


def _shipped(name, weights, overrides, runtime, threads):
    if os.sep in name or "/" in name:
        raise InputError(f"{name}: expected a name ({', '.join(pretrained.names())}), a model (.onnx, .xml, .tflite) "
                         f"or a config (.yml)")
    model = None if weights else pretrained.model_file(name)
    if model is None:
        return _keras(pretrained.config_file(name), weights, overrides, runtime)
    readers = [reader for reader in MODEL_ENDINGS[model.suffix] if reader in installed()]
    changed = [key for key in overrides[::2] if not key.startswith("TEST.")]
    keras_can = "keras" in installed() and pretrained.has_weights(name)
    if runtime == "keras" or (runtime is None and keras_can and (changed or not readers)):
        return _keras(pretrained.config_file(name), weights, overrides, runtime)
    return _exported(model, overrides, runtime, threads)


def _exported(path, overrides, runtime, threads):
    """The Detector of a model file with its sidecar."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such model file")
    wanted = MODEL_ENDINGS[path.suffix.lower()]
    if runtime is None and not set(wanted) & set(installed()):
        raise InputError(f"{path}: needs {' or '.join(wanted)}; installed are {', '.join(installed()) or 'none'}: "
                         f"pip install {' or '.join(RUNTIMES[name].replace('_', '-') for name in wanted)}")
    if runtime is not None and runtime not in wanted:
        raise InputError(f"{path}: {runtime} cannot read it, expected {' or '.join(wanted)}")
    if runtime is not None and runtime not in installed():
        raise InputError(f"{path}: {runtime} is not installed (there are: {', '.join(installed()) or 'none'}): "
                         f"pip install {RUNTIMES[runtime].replace('_', '-')}")
    fixed = [key for key in overrides[::2] if not key.startswith("TEST.")]
    if fixed:
        raise InputError(f"{fixed[0]}: the net of {path} is fixed; an exported model lets only keys of TEST be changed")
    from .runtimes import open_model

    family, run, cfg = open_model(path, runtime, threads)
    override(cfg, overrides)  # in place: the family decodes by the same config
    return Detector(family, run, cfg, path)


def _keras(config, weights, overrides, runtime):
    """The Detector of a config with weights, run by Keras."""
    if runtime not in (None, "keras"):
        raise InputError(f"{config}: a config runs through Keras; for {runtime} export it first with tools/export.py")
    cfg = load_config(config, overrides)
    if "keras" not in installed():
        raise InputError(f"{config}: needs Keras and TensorFlow, which are not installed (there are: "
                         f"{', '.join(installed()) or 'none'}): pip install 'manyfaces[train]'")
    from .engine.test import load_detector

    detector = load_detector(cfg, weights)
    detector.source = Path(weights or pretrained.weights_file(cfg.NAME))
    return detector
