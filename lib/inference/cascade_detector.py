"""MTCNN as a detector: three nets that pass on what they find, instead of one net whose maps are decoded."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..cascade.cascade import Cascade
from ..cascade.known_boxes import landmarks_in_boxes
from ..cascade.stages import STAGES
from ..detections import Detections
from .base import BaseDetector
from .detector import Detector

if TYPE_CHECKING:
    from easydict import EasyDict

Nets = Mapping[str, Callable[[np.ndarray], Mapping[str, np.ndarray]]]
"""Stage -> net, as manyfaces.cascade.cascade.Cascade takes them."""


class CascadeDetector(BaseDetector):
    """P-Net, R-Net and O-Net as one detector. `Detector.load` makes one from a name or a folder.

    Attributes:
        run: the net of each stage.
        cfg: the config. CASCADE has the thresholds of the stages, TEST the scales and the last NMS.
        source: folder of the weights or of the exported nets, None for a detector that was made of neither.
    """

    def __init__(self, run: Nets, cfg: EasyDict, source: os.PathLike | None = None) -> None:
        super().__init__(cfg, source)
        self.run = run

    @property
    def shrunk_to(self) -> int:
        return 0 if self.cfg.TEST.LARGE == "tile" else self.cfg.TEST.MAX_PIXELS  # P-Net takes large images in strips

    def _detect_batch(self, views: list[np.ndarray], padded: tuple[int, int], scales: list[float]) -> list[Detections]:
        results = []
        for faces in Cascade(self.run, self.cfg).detect([np.ascontiguousarray(view) for view in views]):
            times, faces = faces.times, faces.take(faces.scores >= np.float32(self.cfg.TEST.SCORE))
            net = sum(times[stage] for stage in STAGES)
            faces.times = {"net": net, "decode": sum(times.values()) - net - times["nms"], "nms": times["nms"]}
            results.append(faces)
        return results

    def landmarks_in(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        return landmarks_in_boxes(self.run["onet"], image, boxes, self.cfg.CASCADE)


Detector.register(CascadeDetector)  # Detector.load may give either
