"""Starting a training from the weights of another net: layers that match by name and shape are taken, the rest is said.

This is for `--init` alone. Testing, exporting and resuming ask for the very net that the weights were trained with
(checkpoint.py).
"""

import json
from dataclasses import dataclass, field

from ..cascade.stages import STAGES, stage_of
from ..errors import InputError
from ..runtimes.files import CascadeFiles, has_cascade_weights
from .files import net_of


@dataclass
class MatchReport:
    """What became of a net's layers: names of those taken, name -> why of those left as they were, names of layers of
    the file that the net does not have, and keys of the config in which the two nets differ."""

    source: str
    taken: list = field(default_factory=list)
    left: dict = field(default_factory=dict)
    unused: list = field(default_factory=list)
    differ: dict = field(default_factory=dict)

    def __str__(self):
        total = len(self.taken) + len(self.left)
        lines = [f"{self.source}: {len(self.taken)} of {total} layers with weights taken"]
        lines += [f"  {name} keeps its initial weights: {why}" for name, why in self.left.items()]
        if self.unused:
            lines.append(f"  not in this net: {', '.join(self.unused)}")
        lines += [f"  trained with {key} {then!r}, here it is {now!r}" for key, (then, now) in self.differ.items()]
        return "\n".join(lines)


def load_matching_weights(model, path, cfg=None):
    """Set every layer of `model` that the .weights.h5 at `path` has under the same name and with the same shapes.

    path: weights of a detector or of a backbone alone; for a stage of MTCNN also the folder of a
    cascade (runtimes.files), of which its own are taken. cfg: the config of the model; what it says otherwise than the
    config that the weights were trained with is in the report, for a layer can match and mean something else.
    Returns a MatchReport; `print` of it lists what was left. Raises InputError where the file is missing, broken, or
    no layer of it matches.
    """
    from .backbones import read_layers  # late: imports Keras, which is to be loaded quietly first

    stage = stage_of(cfg) if cfg is not None else None
    if stage in STAGES and has_cascade_weights(path):
        path = CascadeFiles.weights(path)[stage]
    stored = {name: part for name, part in read_layers(path).items() if part[1]}
    report, chosen = MatchReport(str(path)), {}
    for layer in model.layers:
        if not layer.weights:
            continue
        expected = (type(layer).__name__.lower(), [tuple(weight.shape) for weight in layer.weights])
        kind, values = stored.get(layer.name, (None, []))
        found = (kind, [tuple(value.shape) for value in values])
        if found == expected:
            chosen[layer.name] = values
            report.taken.append(layer.name)
        elif kind is None:
            report.left[layer.name] = "not in the file"
        else:
            report.left[layer.name] = f"the file has {_text(*found)}, expected {_text(*expected)}"
    if not chosen:
        first = ", ".join(list(stored)[:3])
        raise InputError(f"{path}: no layer matches this net by name and shape (found {first}, ...; expected "
                         f"{', '.join(list(report.left)[:3])}, ...); are these the weights of another backbone?")
    report.unused = [name for name in stored if name not in chosen and name not in report.left]
    report.differ = _differences(path, cfg)
    for name, values in chosen.items():  # only now: a file that does not fit changes nothing
        model.get_layer(name).set_weights(values)
    return report


def _text(kind, shapes):
    return f"{kind} {' '.join(str(shape).replace(' ', '') for shape in shapes)}"


def _differences(path, cfg):
    """Dict key -> (value that the weights were trained with, value now); empty where the file does not say."""
    if cfg is None:
        return {}
    import h5py

    with h5py.File(path, "r") as file:
        saved = json.loads(file.attrs.get("manyfaces", "{}"))
    now = net_of(cfg)
    return {key: (saved[key], now[key]) for key in now if key in saved and saved[key] != now[key]}
