"""Weights for the backbone of a net: PyTorch's MobileNetV1, Keras' ImageNet nets, or the .weights.h5 of a backbone.

The layers of a backbone have the same names in a detector and in a model of the backbone alone. Weights are copied by
these names.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import h5py
import keras
import numpy as np

from .. import pretrained
from ..config import DEFAULTS, load_config
from ..datasets.downloads.table import BACKBONES, DOWNLOADS
from ..errors import InputError
from ..nets.backbones import backbone_module, build_backbone
from .content import check_finite, check_weights
from .files import read_reference, save_weights
from .torch import read_state_dict

REFERENCE_MAPS = {"stride8": "stage1_stride8", "stride16": "stage2_stride16", "stride32": "stage3_stride32"}
TORCH_BLOCKS_BEFORE_STAGE = {1: 0, 2: 5, 3: 11}  # stage1 is conv1 and blocks 1..5, stage2 6..11, stage3 12..13


@dataclass
class LoadReport:
    """What was loaded into a model.

    Attributes:
        loaded: names of the layers whose weights were set.
        missing: names of the layers that have weights, but not in the file.
    """

    loaded: list[str]
    missing: list[str]

    def __str__(self):
        return f"{len(self.loaded)} layers loaded, {len(self.missing)} not in the file"


def backbone_model(name: str, cfg: Mapping, preprocess: str | None = None) -> keras.Model:
    """Return a model of a backbone alone; its weights file can be read with `load_backbone_weights`.

    Args:
        name: a backbone of manyfaces.nets.backbones.
        cfg: the NET section of a config; missing keys have their defaults.
        preprocess: normalisation of the images; None: the one that the weights of the backbone expect.

    Returns:
        Model from images to a dict of feature maps.
    """
    images = keras.Input((None, None, 3), name="image")
    return keras.Model(images, build_backbone(name, images, cfg, preprocess=preprocess), name=name)


def save_backbone_weights(model: keras.Model, path: str | os.PathLike) -> None:
    """Write the .weights.h5 of a backbone atomically.

    Raises:
        InputError: the name does not end in .weights.h5.
    """
    if not Path(path).name.endswith(".weights.h5"):
        raise InputError(f"{path}: expected a name that ends in .weights.h5")
    save_weights(model, path)


def set_layer_weights(layer: keras.Layer, values: Sequence[np.ndarray], source: str | os.PathLike) -> None:
    """Set the variables of a layer.

    Args:
        layer: the layer.
        values: arrays, in the order of `layer.weights`.
        source: where they come from, for the error.

    Raises:
        InputError: a shape differs, or a value is not finite; it names the layer.
    """
    _check_shapes(layer, values, source)
    for value in values:
        check_finite(np.asarray(value), f"{source}: layer {layer.name}")
    layer.set_weights(values)


def _check_shapes(layer, values, source):
    found = [tuple(value.shape) for value in values]
    expected = [tuple(weight.shape) for weight in layer.weights]
    if found != expected:
        raise InputError(f"{source}: layer {layer.name}: found shapes {found}, expected {expected}; another width "
                         "or NET.VARIANT?")


def read_layers(path: str | os.PathLike) -> dict[str, tuple[str, list[np.ndarray]]]:
    """Read the layers of a Keras 3 .weights.h5.

    Returns:
        Layer name -> (class in lower case, arrays in the order of `layer.weights`).

    Raises:
        InputError: the file is missing, damaged or of another kind, or a value is not finite.
    """
    path, stored = Path(path), {}
    check_weights(path)

    def visit(group_name, group):  # Keras writes .../leaky_re_lu_3/vars with the layer's name as attribute
        folders = group_name.split("/")
        if len(folders) > 1 and folders[-1] == "vars" and "name" in group.attrs:
            kind = re.sub(r"_\d+$", "", folders[-2]).replace("_", "")
            stored[group.attrs["name"]] = (kind, [np.asarray(group[str(index)]) for index in range(len(group))])

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: cannot be read as a .weights.h5: {error}") from error
    if not any(values for _, values in stored.values()):
        raise InputError(f"{path}: holds no named layers, expected the .weights.h5 of a Keras 3 model")
    return stored


def load_backbone_weights(model: keras.Model, path: str | os.PathLike) -> LoadReport:
    """Set the weights of every layer of a model that the file has under the same name.

    Everything is checked before any weight is set. The kinds of the layers are compared as well, because the variants
    of MobileNetV1 have equal shapes and differ only in their activations.

    Args:
        model: a detector, or a backbone alone.
        path: a .weights.h5.

    Raises:
        InputError: no layer matches, or a layer of the same name has another kind or shape; it names the layer, what
            was found and what was expected.
    """
    stored = read_layers(path)
    own = {layer.name: layer for layer in model.layers}
    loaded = [name for name, layer in own.items() if layer.weights and name in stored]
    missing = [name for name, layer in own.items() if layer.weights and name not in stored]
    if not loaded:
        raise InputError(
            f"{path}: has no layer of {model.name}: found {_first(stored)}, expected {_first(missing)}; "
            "are these the weights of another backbone?"
        )
    for name in stored.keys() & own.keys():
        found, expected = stored[name][0], type(own[name]).__name__.lower()
        if found != expected:
            raise InputError(f"{path}: layer {name}: found a {found}, expected a {expected}; another NET.VARIANT?")
    for name in loaded:
        _check_shapes(own[name], stored[name][1], path)
    for name in loaded:
        own[name].set_weights(stored[name][1])
    return LoadReport(loaded, missing)


def _first(names, count=3):
    return ", ".join(list(names)[:count]) + (", ..." if len(names) > count else "")


def initialise_backbone(model: keras.Model, cfg: Mapping) -> LoadReport | None:
    """Load initial weights of the backbone.

    Args:
        model: a detector, or a backbone alone.
        cfg: the NET section of the config. Its WEIGHTS are `imagenet`, a .weights.h5 of the backbone, Keras' own .h5,
            or empty: then nothing is done.

    Returns:
        The report; None if WEIGHTS is empty.

    Raises:
        InputError: there are no such weights, or they do not fit.
    """
    weights = cfg.get("WEIGHTS")
    if not weights:
        return None
    if weights == "imagenet" or not str(weights).endswith(".weights.h5"):
        return load_imagenet_weights(model, cfg["BACKBONE"], cfg, weights)
    if not Path(weights).is_file():
        raise InputError(f"NET.WEIGHTS: {weights}: no such file{_how_to_get(weights)}. Without it, start from a "
                         f"trained detector with --init {_same_backbone(cfg) or 'FILE'}, or from random weights with "
                         f"--set NET.WEIGHTS ''")
    return load_backbone_weights(model, weights)


def _how_to_get(weights):
    """Where a missing file comes from, if the table of downloads knows."""
    name = BACKBONES.get(Path(weights).name)
    if name is None:
        return "; `manyfaces import` makes such files (docs/backbones.md)"
    row = DOWNLOADS[name]
    file = row.files[0]
    known = f"{file.size:,} bytes, {file.checksum}" if file.checksum else "checksum not known"
    return (f", and it does not ship, because it is made of weights of others: `manyfaces data fetch {name}` fetches "
            f"those ({file.address}; {known}), then `{row.then}` makes it")


def _same_backbone(cfg):
    """Name of a shipped detector with this backbone; "" without one."""
    keys = ("BACKBONE", "VARIANT", "ALPHA")
    for name in pretrained.names():
        net = load_config(pretrained.config_file(name)).NET if pretrained.has_weights(name) else {}
        if all(net.get(key) == cfg.get(key, DEFAULTS["NET"][key]) for key in keys):
            return name
    return ""


def mobilenet_v1_from_torch(path: str | os.PathLike, alpha: float = 0.25,
                            preprocess: str | None = None) -> keras.Model:
    """Return the `torch` variant of MobileNetV1 with the weights of a PyTorch state dict.

    Args:
        path: state dict with the keys stage1 to stage3. `stage1.0` is a convolution and batch normalisation. Every
            other entry is a depthwise convolution (0), batch normalisation (1), a pointwise convolution (3) and batch
            normalisation (4).
        alpha: width multiplier.
        preprocess: as for `backbone_model`.

    Raises:
        InputError: a key is missing or a shape differs.
    """
    state = read_state_dict(path)
    model = backbone_model("mobilenet_v1", {"VARIANT": "torch", "ALPHA": alpha}, preprocess)

    def value(key):
        if key not in state:
            raise InputError(f"{path}: has no tensor {key}, expected a MobileNetV1 with stage1, stage2, stage3")
        return state[key].astype(np.float32)

    for name, prefix, conv_index in torch_mobilenet_v1():
        kernel = value(f"{prefix}.{conv_index}.weight")  # (out, in, kh, kw); depthwise: (channels, 1, kh, kw)
        axes = (2, 3, 0, 1) if name.endswith("depthwise") else (2, 3, 1, 0)
        set_layer_weights(model.get_layer(name), [kernel.transpose(axes)], path)
        bn = f"{prefix}.{conv_index + 1}"
        arrays = [value(f"{bn}.{kind}") for kind in ("weight", "bias", "running_mean", "running_var")]
        set_layer_weights(model.get_layer(f"{name}_bn"), arrays, path)
    return model


def torch_mobilenet_v1() -> Iterator[tuple[str, str, int]]:
    """Layers of the `torch` variant of MobileNetV1 and where a PyTorch state dict has them.

    Yields:
        (name of the convolution, prefix of its block, its index there); batch normalisation has the next index.
    """
    yield "conv1", "stage1.0", 0
    for block in range(1, 14):
        stage = max(stage for stage, before in TORCH_BLOCKS_BEFORE_STAGE.items() if block > before)
        entry = block - TORCH_BLOCKS_BEFORE_STAGE[stage] - (stage > 1)  # stage1 has conv1 as entry 0
        yield f"block{block}_depthwise", f"stage{stage}.{entry}", 0
        yield f"block{block}_pointwise", f"stage{stage}.{entry}", 3


def compare_with_reference(model: keras.Model, path: str | os.PathLike) -> list[tuple[str, float, float]]:
    """Compare the feature maps of a backbone with those of the net that its weights come from.

    Args:
        model: a backbone that was built with preprocess="none".
        path: .npz with image_chw (1, 3, H, W), the input of the source net, and its maps (1, C, h, w) under the names
            of REFERENCE_MAPS.

    Returns:
        Rows of (name of the map, largest absolute difference, the same divided by the map's largest magnitude).

    Raises:
        InputError: the file cannot be read, lacks an array, or has maps of other shapes.
    """
    arrays = read_reference(path, ["image_chw", *REFERENCE_MAPS.values()])
    for name, array in arrays.items():
        if array.ndim != 4:
            raise InputError(f"{path}: {name} has shape {array.shape}, expected (1, C, height, width)")
        arrays[name] = array.transpose(0, 2, 3, 1)
    images, maps = arrays["image_chw"], {tap: arrays[key] for tap, key in REFERENCE_MAPS.items()}
    outputs = model(images, training=False)
    rows = []
    for tap, expected in maps.items():
        found = keras.ops.convert_to_numpy(outputs[tap])
        if found.shape != expected.shape:
            raise InputError(f"{path}: {tap}: found shape {expected.shape}, the net gives {found.shape}")
        difference = float(np.abs(found - expected).max())
        rows.append((tap, difference, difference / float(np.abs(expected).max())))
    return rows


def load_imagenet_weights(model: keras.Model, name: str, cfg: Mapping,
                          weights: str | os.PathLike = "imagenet") -> LoadReport:
    """Copy the weights of the net of keras.applications into the backbone layers of a model.

    Args:
        model: a detector, or a backbone alone.
        name: the backbone.
        cfg: the NET section of the config.
        weights: `imagenet` (Keras downloads them, or finds them in its cache) or the path of the .h5 that Keras offers.

    Raises:
        InputError: the weights are not available, or Keras has none for the variant or width.
    """
    module = backbone_module(name)
    try:
        source = module.keras_source(cfg, weights)
    except InputError:
        raise
    except Exception as error:  # of urllib, the OS or h5py, as the download or the file fails
        reason = " ".join(str(error).split())
        raise InputError(
            f"NET.WEIGHTS: found {weights}, but the ImageNet weights of {name} cannot be loaded ({reason}); if "
            "there is no network, name a file in NET.WEIGHTS, or a trained detector with --init FILE, or leave "
            "NET.WEIGHTS empty to start from random weights"
        ) from error
    return copy_keras_weights(model, source, module)


def copy_keras_weights(model: keras.Model, source: keras.Model, module: ModuleType) -> LoadReport:
    """Copy the weights of a net of keras.applications into the backbone layers of a model.

    Args:
        model: a detector, or a backbone alone.
        source: the net of keras.applications.
        module: the backbone's module, which translates names and arrays.

    Raises:
        InputError: a shape differs or no layer matches.
    """
    stored = {layer.name: layer.get_weights() for layer in source.layers}
    loaded, missing = [], []
    for layer in model.layers:
        if not layer.weights:
            continue
        values = stored.get(module.keras_layer_name(layer.name))
        if values is None:
            missing.append(layer.name)
            continue
        set_layer_weights(layer, module.from_keras(layer.name, values), source.name)
        loaded.append(layer.name)
    if not loaded:
        raise InputError(f"{source.name}: has no layer of {model.name}: expected {_first(missing)}")
    return LoadReport(loaded, missing)
