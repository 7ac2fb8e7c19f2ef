"""MTCNN's three nets (arXiv 1604.02878, section II B, figure 2): P-Net proposes, R-Net refines, O-Net adds landmarks.

P-Net receives the levels of an image pyramid and classifies each window of 12 px, 2 px apart. R-Net and O-Net receive
crops of 24 and 48 px of what the net before them kept. lib/cascade makes a detector of the three. Here is one stage as
the trainer uses it: a training sample goes encode -> losses.

A box is four offsets: its corners x1 y1 x2 y2 minus those of the crop, in sides of the crop. Landmarks are x y of five
points from the upper left corner of the crop, in its sides too.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cascade.stages import CASCADE
from ..errors import InputError
from .family import DetectionModule, Family

if TYPE_CHECKING:
    import keras
    from easydict import EasyDict

    from ..detections import Detections

POSITIVE, PART, NEGATIVE, LANDMARK = 1, -1, 0, -2  # labels of crops
SCALE, MIDDLE = 1 / 128, 127.5  # the nets receive (pixel - MIDDLE) * SCALE


@dataclass(frozen=True)
class Stage(DetectionModule):
    """The one module of a stage: its losses are named by it; stride: px between windows."""


class StageNet(Family):
    """A stage as a family. A subclass has its `name`, its `side` in px, and the body of its net.

    NET.LANDMARKS False leaves landmarks out of P-Net and R-Net, as the authors of the paper did; O-Net always has them.
    MTCNN.FC says what follows the fully connected layer of R-Net and O-Net: the paper's PReLU, or what others have.
    """

    name: str
    side: int

    def __init__(self, cfg: EasyDict) -> None:
        super().__init__(cfg)
        self.crop_side = self.side
        self.modules = [Stage(self.name, 2 if self.name == "pnet" else self.side)]
        self.landmarks = cfg.NET.LANDMARKS or self.name == "onet"
        self.together = cfg.MTCNN.OHEM_GROUP or cfg.TRAIN.BATCH  # crops whose losses depend on one another

    def build(self) -> keras.Model:
        """keras.Model: images (B, H, W, 3) RGB 0..255 -> dict of `scores` (., 2), `boxes` (., 4), `landmarks` (., 10).

        scores are logits (background, face). P-Net takes H and W from 12 px on and gives maps (B, h, w, C), h =
        ceil((H - 2) / 2) - 4: cell (i, j) is the window of 12 px at (2 i, 2 j). R-Net and O-Net take `side` px and give
        (B, C).
        """
        import keras
        from keras import layers

        from .layers import model_name

        side = None if self.name == "pnet" else self.side
        images = keras.Input((side, side, 3), name="images")
        x = layers.Rescaling(SCALE, -MIDDLE * SCALE, name="normalise")(images)
        x = self._body(x)
        outputs = {"scores": 2, "boxes": 4} | ({"landmarks": 10} if self.landmarks else {})
        head = (lambda count, name: layers.Conv2D(count, 1, name=name)) if self.name == "pnet" else layers.Dense
        outputs = {name: head(count, name=name)(x) for name, count in outputs.items()}
        return keras.Model(images, outputs, name=model_name(self.cfg.NAME or self.name))

    def _body(self, x: Any) -> Any:
        """The layers between the normalised images and the heads; each stage has its own."""
        raise NotImplementedError

    # -------------------------------------------------------- targets, losses

    def encode(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Make the targets of a crop.

        Args:
            sample: image (side, side, 3), label (1 face, -1 part, 0 none, -2 landmarks), box (4,), landmarks (10,);
                offsets
                that the label does not have are 0.

        Returns:
            label int32, box (4,) float32, landmarks (10,) float32.

        Raises:
            InputError: the image has another size.
        """
        if sample["image"].shape[:2] != (self.side, self.side):
            raise InputError(f"the crop has {sample['image'].shape[1]} x {sample['image'].shape[0]} px, {self.name} "
                             f"learns from {self.side} x {self.side}")
        return {"label": np.int32(sample["label"]), "box": np.float32(sample["box"]).reshape(4),
                "landmarks": np.float32(sample["landmarks"]).reshape(10)}

    def decode(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int]) -> Detections:
        """InputError: a stage alone finds no faces."""
        raise InputError(f"MTCNN.STAGE is {self.name!r}: one net of three, which finds no faces alone; detect with "
                         f"MTCNN.STAGE {CASCADE}, as in cfgs/mtcnn.yml")

    def losses(self, targets: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
        """Losses `NAME_class`, `NAME_box`, `NAME_landmark`, each (B,): the trainer descends their means over the batch.

        class: cross-entropy of positives and negatives. box: squared error of the four offsets of positives and parts.
        landmark: squared error of the ten offsets of landmark crops or, with MTCNN.LANDMARK_LOSS absolute, the sum of
        their absolute errors, which keeps its gradient where errors are small (arXiv 1711.06753, section 4).

        Of the class losses (with MTCNN.OHEM_BOX of the box losses too) the hardest fraction MTCNN.OHEM counts. One crop
        is too small a unit to mine in, and the batch of the paper would depend on the number of devices. So crops are
        mined, and their losses normalised, within groups of MTCNN.OHEM_GROUP neighbours in the batch. Where every
        device has complete groups, the update does not depend on the number of devices. A batch that does not divide
        into groups is one group.
        """
        from keras import ops

        mtcnn = self.cfg.MTCNN
        weights = mtcnn.LOSS_WEIGHTS
        label = ops.cast(targets["label"], "int32")
        batch = ops.shape(label)[0]
        group = mtcnn.OHEM_GROUP if mtcnn.OHEM_GROUP and batch % mtcnn.OHEM_GROUP == 0 else batch
        scores = ops.reshape(outputs["scores"], (batch, 2))
        face = ops.cast(label == POSITIVE, "float32")
        entropy = ops.softplus((scores[:, 0] - scores[:, 1]) * (2 * face - 1))  # -log softmax of the true class
        decided = (label == POSITIVE) | (label == NEGATIVE)
        result = {"class": weights[0] * _mean_of_hardest(entropy, decided, mtcnn.OHEM, group)}
        error = ops.sum((ops.reshape(outputs["boxes"], (batch, 4)) - targets["box"]) ** 2, axis=-1)
        result["box"] = weights[1] * _mean_of_hardest(error, (label == POSITIVE) | (label == PART),
                                                          mtcnn.OHEM if mtcnn.OHEM_BOX else 1.0, group)
        if self.landmarks:
            error = ops.reshape(outputs["landmarks"], (batch, 10)) - targets["landmarks"]
            error = ops.sum(ops.abs(error) if mtcnn.LANDMARK_LOSS == "absolute" else error**2, axis=-1)
            result["landmark"] = weights[2] * _mean_of_hardest(error, label == LANDMARK, 1.0, group)
        return {f"{self.name}_{kind}": value for kind, value in result.items()}


class PNet(StageNet):
    """The proposal net: fully convolutional, a window of 12 px every 2 px. 6,962 parameters (6,632 no landmarks)."""

    name, side = "pnet", 12

    def _body(self, x):
        x = _pool(_conv(x, 10, 3, "conv1"), 2, "same", "pool1")
        return _conv(_conv(x, 16, 3, "conv2"), 32, 3, "conv3")


class RNet(StageNet):
    """The refinement net on crops of 24 px. 101,468 parameters, 100,178 without landmarks."""

    name, side = "rnet", 24

    def _body(self, x):
        x = _pool(_conv(x, 28, 3, "conv1"), 3, "same", "pool1")
        x = _pool(_conv(x, 48, 3, "conv2"), 3, "valid", "pool2")
        return _fully_connected(_conv(x, 64, 2, "conv3"), 128, self.cfg.MTCNN.FC)


class ONet(StageNet):
    """The output net on crops of 48 px, with landmarks. 389,040 parameters."""

    name, side = "onet", 48

    def _body(self, x):
        x = _pool(_conv(x, 32, 3, "conv1"), 3, "same", "pool1")
        x = _pool(_conv(x, 64, 3, "conv2"), 3, "valid", "pool2")
        x = _pool(_conv(x, 64, 3, "conv3"), 2, "same", "pool3")
        return _fully_connected(_conv(x, 128, 2, "conv4"), 256, self.cfg.MTCNN.FC)


STAGES = {"pnet": PNet, "rnet": RNet, "onet": ONet}


def stage_net(cfg: EasyDict) -> StageNet:
    """The stage that MTCNN.STAGE names.

    Raises:
        InputError: it is `cascade`, which is three nets.
    """
    if cfg.MTCNN.STAGE == CASCADE:
        raise InputError(f"MTCNN.STAGE is {cfg.MTCNN.STAGE!r}: that is three nets; expected one of "
                         f"{', '.join(STAGES)}, as in cfgs/mtcnn_pnet.yml")
    return STAGES[cfg.MTCNN.STAGE](cfg)


def stage_config(cfg: EasyDict, stage: str) -> EasyDict:
    """A copy of a config for one stage: its MTCNN.STAGE, and NAME_stage where it has a name."""
    cfg = copy.deepcopy(cfg)
    if cfg.NAME and not cfg.NAME.endswith(f"_{stage}"):
        cfg.NAME = f"{cfg.NAME}_{stage}"
    cfg.MTCNN.STAGE = stage
    return cfg


# ------------------------------------------------------------------- layers


def _conv(x, channels, size, name):
    """A convolution without padding, and a PReLU with one slope per channel."""
    from keras import layers

    return _prelu(layers.Conv2D(channels, size, name=name)(x), name, (1, 2))


def _fully_connected(x, width, activation):
    from keras import layers

    x = layers.Dense(width, name="fc1")(layers.Flatten(name="flatten")(x))
    if activation == "prelu":
        return _prelu(x, "fc1", None)
    return layers.ReLU(name="fc1_relu")(x) if activation == "relu" else x


def _prelu(x, name, shared_axes):
    from keras import initializers, layers

    return layers.PReLU(initializers.Constant(0.25), shared_axes=shared_axes, name=f"{name}_prelu")(x)


def _pool(x, size, padding, name):
    """Maximum, stride 2. `same` pads at the right and at the bottom only, like Caffe's rounding up of the size."""
    from keras import layers

    return layers.MaxPooling2D(size, 2, padding, name=name)(x)


# ------------------------------------------------------------------- losses


def _mean_of_hardest(losses, counted, fraction, group):
    """(B,) whose mean over each group of crops is the mean of the highest `fraction` of the counted losses (B,)."""
    from keras import ops

    rows = ops.reshape(losses, (-1, group))
    counted = ops.reshape(counted, (-1, group))
    number = ops.sum(ops.cast(counted, "int32"), axis=1, keepdims=True)
    kept = ops.cast(ops.cast(number, "float32") * fraction + 1e-3, "int32")  # rounded down; 10 * 0.7 is 7, not 6.99999
    kept = ops.maximum(kept, ops.minimum(number, 1))
    if fraction < 1:
        order = ops.argsort(ops.where(counted, -ops.stop_gradient(rows), np.float32(np.inf)), axis=1)
        counted = counted & (ops.cast(ops.argsort(order, axis=1), "int32") < kept)
    weight = group / ops.cast(ops.maximum(kept, 1), "float32")
    return ops.reshape(ops.where(counted, rows * weight, 0.0), (-1,))
