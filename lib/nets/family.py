"""The contract of a family: net, targets, losses and decoding of a detector, as the package uses them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..constants import FILL
from ..errors import InputError

if TYPE_CHECKING:
    import keras
    from easydict import EasyDict

    from ..detections import Detections

REQUIRED = ("build", "encode", "losses", "decode")


@dataclass(frozen=True)
class DetectionModule:
    """One group of outputs that is trained together, such as a feature map with its heads.

    Attributes:
        name: first word of its losses, targets and maps: `m1` has the loss `m1_class`.
        stride: px between neighbouring cells of its maps.
    """

    name: str
    stride: int


class Family:
    """Base of every family: a net with its targets, losses and decoding, made from one config.

    A family that is trained and run defines `modules` and the methods of REQUIRED; manyfaces.register_family checks
    that. The other parts have defaults.

    Letters in shapes: B images in a batch, H x W px, h x w cells of a map, C channels, N faces.

    Attributes:
        cfg: the whole config.
        modules: the detection modules, in the order of TRAIN.MODE's weights.
        multiple: px. The net pads height and width to multiples of it, at the right and at the bottom. The strides of
            its maps divide it. A Detector batches images by it; above 1, it cuts large images into tiles.
        fill: grey level that a Detector pads images with.
        input_size: (width, height) px, the only size that an exported net takes; None: any size.
        measures: the measures of `validation` that TRAIN.SELECT_BY may name, higher is better.
        together: neighbouring samples of a batch whose losses depend on one another; they stay on one device.
        crop_side: px, side of the crops made before the training (`manyfaces data samples`) that the net learns from;
            None: it learns from whole images, augmented as AUGMENT says.
    """

    modules: Sequence[DetectionModule] = ()
    multiple: int = 1
    fill: int = FILL
    input_size: tuple[int, int] | None = None
    measures: Sequence[str] = ()
    together: int = 1
    crop_side: int | None = None

    def __init__(self, cfg: EasyDict) -> None:
        self.cfg = cfg

    def build(self) -> keras.Model:
        """Make the net with its initial weights.

        Returns:
            Functional model: images (B, H, W, 3) float32 RGB 0..255 -> dict of maps (B, h, w, C) float32. It
            normalises and pads the images itself. Scores are logits.
        """
        raise self._missing("build")

    def encode(self, sample: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Make the targets of one training sample. Runs in the loader's threads, without Keras.

        Args:
            sample: image (H, W, 3) uint8 RGB, boxes (N, 4) float32 x1 y1 x2 y2 in px, ignore (N,) bool, landmarks
                (N, 5, 2) float32 px with NaN where not labelled; perhaps picture (4,): the part of the image that is
                not grey filling.

        Returns:
            Arrays whose shapes depend on the size of the image alone; the loader stacks them to a batch.
        """
        raise self._missing("encode")

    def losses(self, targets: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
        """Compute the losses, in operations of keras.ops. Part of the compiled training step.

        A loss depends on its own image alone, so the update does not depend on how devices share the batch (but see
        `together`). The trainer takes the mean over the batch.

        Args:
            targets: the arrays of `encode`, each with a batch axis in front.
            outputs: the maps of `build`.

        Returns:
            Losses (B,) float32 by name: that of a module, `_`, and a kind, as in `m1_class`.
        """
        raise self._missing("losses")

    def decode(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int]) -> Detections:
        """Read the faces of one image from its maps, before NMS, without Keras.

        Args:
            outputs: maps (h, w, C) float32 by name.
            size: (width, height) px of the image, without padding.

        Returns:
            boxes (N, 4) float32 px, scores (N,) float32 0..1 from TEST.SCORE on, landmarks (N, 5, 2) float32 px or
            None.
        """
        raise self._missing("decode")

    def at_scale(self, outputs: Mapping[str, np.ndarray], scale: float) -> Mapping[str, np.ndarray]:
        """Choose what `decode` may use of an image that was resized, such as one level of an image pyramid.

        Args:
            outputs: maps (h, w, C) float32 by name.
            scale: width of the resized image divided by its original width.

        Returns:
            The maps for `decode`, of the same shapes.
        """
        return outputs

    def compared(self, boxes: np.ndarray) -> np.ndarray:
        """The boxes (N, 4) px whose IoU decides in NMS, for the boxes (N, 4) px that `decode` gave."""
        return boxes

    def validation(self, outputs: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Measure the net on the whole images of the selection. Called where `measures` names something.

        Args:
            outputs: maps (N, h, w, C) float32 of N images, by name.
            targets: the arrays of `encode` of these images, stacked.

        Returns:
            Measures by name, among them those of `measures`.
        """
        return {}

    def _missing(self, part: str) -> InputError:
        return InputError(f"{type(self).__name__} has no {part}(): this family cannot be "
                          f"{'run' if part == 'decode' else 'trained or built'}; define it, as manyfaces.nets.family "
                          f"describes")
