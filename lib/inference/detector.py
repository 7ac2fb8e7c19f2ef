"""How the net of any family becomes a detector: `Detector`.

image -> pyramid -> net -> decode -> NMS -> Detections. The net is a function from an image batch to a dict of maps: a
Keras model, an exported model or a stand-in of a test. Nothing here loads Keras.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..detections import Detections, check_output
from .base import BaseDetector
from .tiles import maps_of_tiles, tiles_of

if TYPE_CHECKING:
    from easydict import EasyDict

    from ..nets.family import Family

Run = Callable[[np.ndarray], Mapping[str, Any]]
"""A net: images (B, H, W, 3) uint8 -> maps with a batch axis, by name."""


class Detector(BaseDetector):
    """A family's net with its decoding and NMS. `Detector.load` makes one from a name or a file.

    Attributes:
        family: decodes the maps.
        run: the net.
        cfg: the config. Its TEST section has the scales and thresholds.
        source: path of the weights or of the exported model, None for a detector that was made of neither.
    """

    def __init__(self, family: Family, run: Run, cfg: EasyDict, source: os.PathLike | None = None) -> None:
        super().__init__(cfg, source)
        self.family, self.run = family, run

    @staticmethod
    def load(name: str | os.PathLike, weights: str | os.PathLike | None = None, overrides: Sequence[Any] = (),
             runtime: str | None = None, threads: int | None = None, precision: str | None = None) -> BaseDetector:
        """Open a detector, ready to run: the model is read once, here.

        Args:
            name: name of shipped weights (manyfaces.pretrained.names()), an exported model (.onnx, .xml or .tflite with
                its sidecar .json, or MTCNN's folder with its cascade.json), the public .onnx of YuNet or SCRFD, or a
                config (.yml) with `weights`.
            weights: a .weights.h5, or the folder of MTCNN's three.
            overrides: [KEY, VALUE, ...] of the config. Of an exported model only keys of TEST can be changed, and of
                a cascade those of CASCADE.
            runtime: openvino, onnxruntime, litert or keras; None: the fastest that is installed and reads the model.
            threads: of an exported model's runtime; None: all cores.
            precision: float32; bf16: by OpenVINO on processors that have it, in half the time with nearly the same
                boxes; int8: of a model that was exported so; None: as the model is.

        Returns:
            A Detector, or a CascadeDetector for MTCNN: both are used in the same way.

        Raises:
            InputError: says which names there are, what is installed, and what to install.

        Examples:
            >>> from manyfaces.datasets.toy.portraits import portraits
            >>> Detector.load("ssh_mobilenet_v1_025").detect(portraits()[0].image)  # doctest: +ELLIPSIS
            Detections(1 face, best 0.9..., with landmarks)
        """
        from .loading import open_detector  # late: a Detector without a model does not need it, and it imports this one

        return open_detector(name, weights, overrides, runtime, threads, precision)

    @property
    def multiple(self) -> int:
        """px: height and width are padded to multiples of it."""
        return self.family.multiple

    @property
    def shrunk_to(self) -> int:
        test = self.cfg.TEST
        return 0 if self.multiple > 1 and test.LARGE == "tile" else test.MAX_PIXELS

    def _compared(self, boxes: np.ndarray) -> np.ndarray:
        return self.family.compared(boxes)

    def _detect_batch(self, views: list[np.ndarray], padded: tuple[int, int], scales: list[float]) -> list[Detections]:
        start = time.perf_counter()
        all_maps = self._maps(views, padded)
        net = (time.perf_counter() - start) * 1e3 / len(views)
        results = []
        for maps, view, scale in zip(all_maps, views, scales, strict=True):
            start = time.perf_counter()
            faces = self.family.decode(self.family.at_scale(maps, scale), (view.shape[1], view.shape[0]))
            faces.times = {"net": net, "decode": (time.perf_counter() - start) * 1e3}
            results.append(faces)
        return results

    def _maps(self, views: list[np.ndarray], padded: tuple[int, int]) -> list[dict[str, np.ndarray]]:
        """The net's maps of each view; views have at most `padded` (width, height) px."""
        (width, height), test = padded, self.cfg.TEST
        if self.shrunk_to or not test.MAX_PIXELS or width * height <= test.MAX_PIXELS:
            outputs = self._checked(_filled(self.family.fill, views, 0, 0, width, height))
            return [{name: values[i] for name, values in outputs.items()} for i in range(len(views))]
        tiles = tiles_of(width, height, test.MAX_PIXELS, test.TILE_OVERLAP, self.multiple)
        return [maps_of_tiles(self._checked, functools.partial(_filled, self.family.fill, [view]), width, height, tiles)
                for view in views]

    def _checked(self, images: np.ndarray) -> Mapping[str, Any]:
        """The net's maps of a batch; InputError where they are no numbers."""
        outputs = self.run(images)
        for name, values in outputs.items():
            for part in values if isinstance(values, list) else [values]:  # lists: faces, one array per image
                check_output(part, name, str(self))
        return outputs


def _filled(fill: int, images: list[np.ndarray], x: int, y: int, width: int, height: int) -> np.ndarray:
    """(B, height, width, 3) uint8: the images from (x, y) px on, and the grey level `fill` where one ends."""
    if len(images) == 1 and images[0].shape == (height, width, 3) and not (x or y):
        return np.ascontiguousarray(images[0])[None]  # nothing to fill: no copy
    inputs = np.full((len(images), height, width, 3), fill, np.uint8)
    for place, image in zip(inputs, images, strict=True):
        window = image[y : y + height, x : x + width]
        place[: window.shape[0], : window.shape[1]] = window
    return inputs
