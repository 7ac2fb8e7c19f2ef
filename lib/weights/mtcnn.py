"""MTCNN weights of other projects: TensorFlow 1 checkpoints with slim's names, and the .pt files of facenet-pytorch.

Both nets receive (pixel - 127.5) / 128. The first were trained on BGR images, so the channels of their first kernel are
reversed here. The second come from the authors' Caffe models, whose images were transposed: their fully connected layer
takes columns before rows, and their landmarks are five x, then five y. Both are reordered here.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from easydict import EasyDict

from ..config import load_config, save_config
from ..errors import InputError
from ..nets.mtcnn import STAGES, stage_config
from ..runtimes.files import WEIGHTS, CascadeFiles
from .backbones import set_layer_weights
from .files import save_weights
from .torch import read_state_dict

HEADS = ("scores", "boxes", "landmarks")
LANDMARK_ORDER = np.arange(10).reshape(2, 5).T.ravel()  # x0 .. x4 y0 .. y4 -> x0 y0 .. x4 y4
# Rows, columns and channels of the map that the fully connected layer takes.
FLATTENED = {"rnet": (3, 3, 64), "onet": (3, 3, 128)}
# The same values as in cfgs/mtcnn.yml.
CONFIG = ("FAMILY", "mtcnn", "NAME", "mtcnn", "NET.LANDMARKS", True, "TEST.NMS", 0.7, "TEST.DEMO_SCORE", 0.7)
TORCH_HEADS = {"pnet": ("conv4_1", "conv4_2"), "rnet": ("dense5_1", "dense5_2"),
               "onet": ("dense6_1", "dense6_2", "dense6_3")}
CONVOLUTIONS = {"pnet": 3, "rnet": 3, "onet": 4}


@dataclass
class Source:
    """The nets of another project in a folder.

    Attributes:
        words: KEY, VALUE, ... for a config: the variant of the nets, and how the project runs them.
        layers: stage -> layer name -> arrays in the order of the Keras layer.
        text: name of the kind, for messages.
    """

    words: tuple
    layers: Callable[[str], dict[str, list[np.ndarray]]]
    text: str


def read_source(folder: str | os.PathLike) -> Source:
    """Return the nets in a folder.

    Raises:
        InputError: the folder holds neither kind.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if all((folder / f"{stage}.pt").is_file() for stage in STAGES):
        words = ("NET.LANDMARKS", False, "CASCADE.RESAMPLE", "mean", "CASCADE.ROUND", False)
        return Source((*words, "CASCADE.BOXES", "inclusive"), lambda stage: _torch_layers(folder, stage),
                      "facenet-pytorch")
    checkpoints = {stage: sorted(folder.rglob(f"{stage[0].upper()}Net*.index")) for stage in STAGES}
    if all(checkpoints.values()):
        return Source(("MTCNN.FC", "relu", "CASCADE.BOXES", "inclusive"),
                      lambda stage: _checkpoint_layers(_only(checkpoints[stage], folder), stage), "TensorFlow 1")
    raise InputError(f"{folder}: expected pnet.pt, rnet.pt and onet.pt (the data folder of facenet-pytorch), or "
                     f"PNet-N.index, RNet-N.index and ONet-N.index below it (TensorFlow 1 checkpoints)")


def import_mtcnn(source: str | os.PathLike, out: str | os.PathLike) -> tuple[EasyDict, Path]:
    """Write out/STAGE.weights.h5 of the three nets, and out/mtcnn.yml, which runs them as the source does.

    Args:
        source: a folder, see `read_source`.
        out: folder for the files.

    Returns:
        The config, and `out`, the folder of the cascade.

    Raises:
        InputError: names the file, the layer, what was found and what was expected.
    """
    nets, out = read_source(source), Path(out)
    cfg, files = load_config(overrides=[*CONFIG, *nets.words]), CascadeFiles.named(out, WEIGHTS)
    for stage, net in STAGES.items():
        own = stage_config(cfg, stage)
        model = net(own).build()
        weights = nets.layers(stage)
        for layer in model.layers:
            if layer.weights:
                set_layer_weights(layer, weights[layer.name], f"{stage} of {nets.text}")
        save_weights(model, files[stage], own)
    save_config(cfg, out / "mtcnn.yml")
    return cfg, out


def _only(paths, folder):
    if len(paths) > 1:
        raise InputError(f"{folder}: found {', '.join(path.name for path in paths)}, expected one checkpoint per net")
    return paths[0].with_suffix("")


# ------------------------------------------------------------- TensorFlow 1


def _checkpoint_layers(path, stage):
    """Layers of a TensorFlow 1 checkpoint (conv1/weights, conv1/biases, conv1/alphas, fc1, cls_fc or conv4_1 ...)."""
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(str(path))
        names = reader.get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as a TensorFlow checkpoint ({reason[:200]})") from None

    def value(name):
        if name not in names:
            raise InputError(f"{path}: has no variable {name}, expected MTCNN's {stage} as slim names it")
        return reader.get_tensor(name).astype(np.float32)

    layers = {}
    for number in range(1, CONVOLUTIONS[stage] + 1):
        name = f"conv{number}"
        kernel = value(f"{name}/weights")
        layers[name] = [kernel[:, :, ::-1] if number == 1 else kernel, value(f"{name}/biases")]  # BGR -> RGB
        layers[f"{name}_prelu"] = [value(f"{name}/alphas")[None, None]]
    if stage != "pnet":
        if "fc1/alphas" in names:
            raise InputError(f"{path}: has fc1/alphas, expected none: these checkpoints have a ReLU there (MTCNN.FC)")
        layers["fc1"] = [value("fc1/weights"), value("fc1/biases")]
    theirs = ("conv4_1", "conv4_2", "conv4_3") if stage == "pnet" else ("cls_fc", "bbox_fc", "landmark_fc")
    for name, other in zip(HEADS, theirs, strict=True):
        layers[name] = [value(f"{other}/weights"), value(f"{other}/biases")]
    return layers


# ------------------------------------------------------------------ PyTorch


def _torch_layers(folder, stage):
    """Layers of facenet-pytorch's STAGE.pt: conv1 .. prelu1 .., dense4 (R) or dense5 (O), then the heads."""
    path = folder / f"{stage}.pt"
    state = read_state_dict(path)

    def value(name):
        if name not in state:
            raise InputError(f"{path}: has no tensor {name}, expected MTCNN's {stage} as facenet-pytorch names it")
        return state[name].astype(np.float32)

    def dense(name):
        return [value(f"{name}.weight").T, value(f"{name}.bias")]

    layers, count = {}, CONVOLUTIONS[stage]
    for number in range(1, count + 1):
        layers[f"conv{number}"] = [value(f"conv{number}.weight").transpose(2, 3, 1, 0), value(f"conv{number}.bias")]
        layers[f"conv{number}_prelu"] = [value(f"prelu{number}.weight")[None, None]]
    if stage == "pnet":
        for name, other in zip(HEADS, TORCH_HEADS[stage], strict=False):
            layers[name] = [value(f"{other}.weight").transpose(2, 3, 1, 0), value(f"{other}.bias")]
        return layers
    rows, columns, channels = FLATTENED[stage]
    kernel, bias = dense(f"dense{count + 1}")
    if kernel.shape[0] != rows * columns * channels:
        raise InputError(f"{path}: dense{count + 1} takes {kernel.shape[0]} values, expected "
                         f"{rows * columns * channels}")
    kernel = kernel.reshape(columns, rows, channels, -1).transpose(1, 0, 2, 3).reshape(rows * columns * channels, -1)
    layers["fc1"], layers["fc1_prelu"] = [kernel, bias], [value(f"prelu{count + 1}.weight")]
    for name, other in zip(HEADS, TORCH_HEADS[stage], strict=False):
        layers[name] = dense(other)
    if stage == "onet":
        layers["landmarks"] = [weight[..., LANDMARK_ORDER] for weight in layers["landmarks"]]
    return layers
