"""Initial weights from another net: layers with the same name and shapes are taken, all others are reported.

This is only for `--init`. Testing, exporting and resuming need exactly the net that the weights were trained with
(files.py).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from easydict import EasyDict

from ..cascade.stages import STAGES, stage_of
from ..errors import InputError
from ..runtimes.files import CascadeFiles, has_cascade_weights
from .files import net_of

if TYPE_CHECKING:
    import keras


@dataclass
class MatchReport:
    """What was loaded into a net; as text, what was not.

    Attributes:
        source: path of the file.
        taken: names of the layers that were set.
        left: name of a layer that keeps its weights -> reason.
        unused: names of layers of the file that the net does not have.
        differ: key of the config -> (value of the file's net, value of this net) where they differ.
    """

    source: str
    taken: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    differ: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def __str__(self) -> str:
        total = len(self.taken) + len(self.left)
        lines = [f"{self.source}: {len(self.taken)} of {total} layers with weights taken"]
        lines += [f"  {name} keeps its initial weights: {why}" for name, why in self.left.items()]
        if self.unused:
            lines.append(f"  not in this net: {', '.join(self.unused)}")
        lines += [f"  trained with {key} {then!r}, here it is {now!r}" for key, (then, now) in self.differ.items()]
        return "\n".join(lines)


def load_matching_weights(model: keras.Model, path: str | os.PathLike, cfg: EasyDict | None = None) -> MatchReport:
    """Set every layer of a model that a .weights.h5 has with the same name and shapes.

    The report also names the keys of the net in which the configs differ, because a layer can match and have another
    meaning.

    Args:
        model: the model.
        path: weights of a detector or of a backbone alone; for a stage of MTCNN also the folder of a cascade, whose
            weights of that stage are used.
        cfg: the config of the model.

    Raises:
        InputError: the file is missing or damaged, or no layer of it matches.
    """
    from .backbones import read_layers  # imported here, as it imports Keras, which has to be loaded quietly first

    stage = stage_of(cfg) if cfg is not None else None
    if stage in STAGES and has_cascade_weights(path):
        path = CascadeFiles.weights(path)[stage]
    stored = {name: layer for name, layer in read_layers(path).items() if layer[1]}
    report, chosen = MatchReport(str(path)), {}
    for layer in model.layers:
        if not layer.weights:
            continue
        expected = (type(layer).__name__.lower(), [tuple(weight.shape) for weight in layer.weights])
        kind, values = stored.get(layer.name, (None, []))
        own = (kind, [tuple(value.shape) for value in values])
        if own == expected:
            chosen[layer.name] = values
            report.taken.append(layer.name)
        elif kind is None:
            report.left[layer.name] = "not in the file"
        else:
            report.left[layer.name] = f"the file has {_text(*own)}, expected {_text(*expected)}"
    if not chosen:
        first = ", ".join(list(stored)[:3])
        raise InputError(f"{path}: no layer matches this net by name and shape (found {first}, ...; expected "
                         f"{', '.join(list(report.left)[:3])}, ...); are these the weights of another backbone?")
    report.unused = [name for name in stored if name not in chosen and name not in report.left]
    report.differ = _differences(path, cfg)
    for name, values in chosen.items():  # last, so that a file that does not fit changes nothing
        model.get_layer(name).set_weights(values)
    return report


def _text(kind, shapes):
    return f"{kind} {' '.join(str(shape).replace(' ', '') for shape in shapes)}"


def _differences(path, cfg):
    """Key -> (value that the weights were trained with, value now); empty if the file has no such values."""
    if cfg is None:
        return {}
    import h5py

    with h5py.File(path, "r") as file:
        saved = json.loads(file.attrs.get("manyfaces", "{}"))
    now = net_of(cfg)
    return {key: (saved[key], now[key]) for key in now if key in saved and saved[key] != now[key]}
