"""The cascade: P-Net on the pyramid, R-Net and O-Net on crops of its proposals, for many images at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from easydict import EasyDict

from ..detections import Detections, check_output
from ..errors import InputError
from ..nms import min_nms, nms
from . import pyramid, resample
from .geometry import calibrate, cell_boxes, landmarks_of, square, windows
from .lanes import side_by_side

SIDES = {"rnet": 24, "onet": 48}  # px of a crop
# Crops per call of a net, and the multiple that the last call is padded to, so that there are few different sizes.
CALLS = {"rnet": (128, 16), "onet": (32, 4)}
LANE_CALLS = {"rnet": (16, 16), "onet": (2, 2)}  # where calls run in parallel
TIMES = ("pyramid", "pnet", "crops", "rnet", "onet", "boxes", "nms")  # keys of Detections.times


class Cascade:
    """Three nets as a detector. It may be called from several threads, if the nets may.

    Nets with an attribute `lanes` get small calls, that many at once. They may reuse a result's memory in the next call
    of the same thread. Other nets get large calls, one after the other.

    Args:
        nets: dict of pnet, rnet and onet: functions from images (B, H, W, 3), uint8 (float32 without CASCADE.ROUND), to
            a dict of arrays: `scores` (logits of background and face), `boxes` and, from onet, `landmarks`, as
            lib/nets/mtcnn.py gives them.
        cfg: config; only its CASCADE section is used.
    """

    def __init__(self, nets: Mapping[str, Callable], cfg: EasyDict):
        self.nets, self.cfg, self.inclusive = nets, cfg.CASCADE, cfg.CASCADE.BOXES == "inclusive"
        lanes = min((getattr(net, "lanes", None) or 0 for net in nets.values()), default=0)
        self.lanes, self.calls = max(1, lanes), LANE_CALLS if lanes else CALLS
        self.strip_pixels = 0 if lanes else pyramid.CANVAS_PIXELS
        self.dtype = np.uint8 if self.cfg.ROUND else np.float32

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Detect the faces of a list of images.

        Args:
            images: (H, W, 3) uint8 RGB arrays, of any sizes.

        Returns:
            Detections per image, best score first. Their `times` hold ms per key of TIMES, shared equally between the
                images.
        """
        clock = Clock()
        proposals = self._refine(images, self._propose(images, clock), clock)
        outputs, boxes, _ = self._score_crops("onet", images, [squares.boxes for squares in proposals], clock)
        results = []
        for image, values, squares in zip(images, outputs, boxes, strict=True):
            values, squares = self._passed(values, squares, 2)
            faces = Detections(calibrate(squares, values["boxes"], self.inclusive), values["scores"],
                               landmarks_of(squares, values["landmarks"], self.inclusive))
            clock.lap("boxes")
            if self.inclusive:  # of equal scores the ports take the last; O-Net's scores near 1 are often equal
                faces = faces.take(slice(None, None, -1))
            faces = faces.take(min_nms(faces.boxes, faces.scores, self.cfg.NMS[3]))
            clock.lap("nms")
            if not self.inclusive:
                height, width = image.shape[:2]
                faces.boxes = faces.boxes.clip(0, np.array([width, height, width, height], np.float32))
            results.append(faces)
        for faces in results:
            faces.times = {name: clock.spent[name] * 1e3 / len(images) for name in TIMES}
        return results

    def candidates(self, images: Sequence[np.ndarray], until: str = "pnet") -> list[np.ndarray]:
        """Squares that the next net would receive as crops.

        Args:
            images: (H, W, 3) uint8 RGB arrays.
            until: the last net that runs: pnet gives R-Net's squares, rnet gives O-Net's.

        Returns:
            (N, 5) float32 x1 y1 x2 y2 score per image, in px of the image, after calibration and NMS.

        Raises:
            InputError: `until` is neither.
        """
        if until not in ("pnet", "rnet"):
            raise InputError(f"until is {until!r}, expected pnet or rnet")
        proposals = self._propose(images, Clock())
        if until == "rnet":
            proposals = self._refine(images, proposals, Clock())
        return [np.concatenate([squares.boxes, squares.scores[:, None]], axis=1) for squares in proposals]

    # --------------------------------------------------------------- stages

    def _propose(self, images, clock):
        """P-Net's proposals: Squares per image."""
        sizes = [image.shape[1::-1] for image in images]
        cells = [[] for _ in images]  # per image: (boxes, scores, offsets) per level
        for levels in pyramid.canvases(sizes, self.cfg.MIN_FACE, self.cfg.FACTOR):
            canvas = pyramid.draw(images, levels, self.cfg.RESAMPLE, self.dtype, self.lanes)
            clock.lap("pyramid")
            which, boxes, scores, offsets = self._cells(canvas, levels, sizes, clock)
            clock.lap("boxes")
            ends = np.searchsorted(which, np.arange(len(levels) + 1))
            for level, begin, end in zip(levels, ends, ends[1:], strict=False):
                if begin < end:
                    kept = begin + nms(boxes[begin:end], scores[begin:end], self.cfg.NMS[0])
                    cells[level.image].append((boxes[kept], scores[kept], offsets[kept]))
            clock.lap("nms")
        return [self._proposed(by_level, clock) for by_level in cells]

    def _cells(self, canvas, levels, sizes, clock):
        """P-Net's cells at or above the threshold: indices of their levels (N,), ascending, boxes, scores, offsets."""
        least = np.float32(logit(self.cfg.THRESHOLDS[0]))

        def propose(strip, clock):
            first_row, pixels = strip
            outputs = self.nets["pnet"](pixels[None])
            clock.lap("pnet")
            logits = np.asarray(outputs["scores"])[0]
            check_output(logits, "scores", "pnet")
            odds = logits[..., 1] - logits[..., 0]
            rows, columns = np.nonzero(odds >= least)
            offsets = np.asarray(outputs["boxes"])[0, rows, columns]
            check_output(offsets, "boxes", "pnet")
            clock.lap("boxes")
            return rows + first_row, columns, odds[rows, columns], offsets

        strips = pyramid.strips(canvas, self.strip_pixels)
        by_strip = self._side_by_side(propose, strips, clock)
        rows, columns, odds, offsets = (np.concatenate(values) for values in zip(*by_strip, strict=True))
        cells = ((side - pyramid.CELL) // pyramid.STRIDE + 1 for side in canvas.shape[:2])
        which = pyramid.owners(levels, *cells)[rows, columns]
        order = np.argsort(which, kind="stable")[np.count_nonzero(which < 0) :]
        which, rows, columns = which[order], rows[order], columns[order]
        corners = np.array([[level.y, level.x] for level in levels], np.int64)[which] // pyramid.STRIDE
        boxes = cell_boxes(rows - corners[:, 0], columns - corners[:, 1], which, levels, sizes, self.inclusive)
        return which, boxes, sigmoid(odds[order]), offsets[order]

    def _proposed(self, by_level, clock):
        """Squares of an image from (boxes, scores, offsets) per level: NMS across the levels, then calibration."""
        if not by_level:
            return Squares.none()
        boxes, scores, offsets = (np.concatenate(values) for values in zip(*by_level, strict=True))
        kept = nms(boxes, scores, self.cfg.NMS[1])
        clock.lap("nms")
        squares = Squares(square(calibrate(boxes[kept], offsets[kept]), self.inclusive), scores[kept])
        clock.lap("boxes")
        return squares

    def _refine(self, images, proposals, clock):
        """Squares per image that R-Net accepts, calibrated."""
        outputs, boxes, _ = self._score_crops("rnet", images, [squares.boxes for squares in proposals], clock)
        result = []
        for values, squares in zip(outputs, boxes, strict=True):
            values, squares = self._passed(values, squares, 1)
            clock.lap("boxes")
            kept = nms(squares, values["scores"], self.cfg.NMS[2])
            clock.lap("nms")
            moved = calibrate(squares[kept], values["boxes"][kept], self.inclusive)
            result.append(Squares(square(moved, self.inclusive), values["scores"][kept]))
            clock.lap("boxes")
        return result

    def _passed(self, outputs, squares, stage):
        kept = outputs["scores"] >= np.float32(self.cfg.THRESHOLDS[stage])
        return {name: values[kept] for name, values in outputs.items()}, squares[kept]

    def _score_crops(self, stage, images, squares, clock):
        """Outputs of a net for the crops of all images, in large batches.

        Returns three lists with an entry per image: dict of arrays (scores are those of a face, 0..1), the squares
        (without those outside the image), and their windows.
        """
        cut = []
        for number, (image, boxes) in enumerate(zip(images, squares, strict=True)):
            corners, inside = windows(boxes, image.shape[1::-1], self.inclusive)
            cut.append((number, boxes[inside], corners[inside]))
        counts = [len(boxes) for _, boxes, _ in cut]
        whose = np.repeat(np.arange(len(images)), counts)
        corners = np.concatenate([places for _, _, places in cut]) if cut else np.zeros((0, 4), np.int64)
        clock.lap("boxes")
        outputs = self._run(stage, images, whose, corners, clock)
        ends = np.cumsum(counts)[:-1]
        splits = {name: np.split(values, ends) for name, values in outputs.items()}
        by_image = [{name: values[n] for name, values in splits.items()} for n in range(len(images))]
        return by_image, [boxes for _, boxes, _ in cut], [places for _, _, places in cut]

    def _run(self, stage, images, whose, corners, clock):
        """Dict of the net's outputs (N, ...) for N windows; `whose` (N,), ascending, is the image of each."""
        side, (most, step) = SIDES[stage], self.calls[stage]

        def call(begin, clock):
            owners, places = whose[begin : begin + most], corners[begin : begin + most]
            numbers, starts = np.unique(owners, return_index=True)
            crops = np.zeros((len(owners) + -len(owners) % step, side, side, 3), self.dtype)
            for number, start, end in zip(numbers, starts, [*starts[1:], len(owners)], strict=True):
                crops[start:end] = resample(images[number], places[start:end], (side, side), self.cfg.RESAMPLE,
                                            dtype=self.dtype)
            clock.lap("crops")
            outputs = self.nets[stage](crops)
            outputs = {name: np.array(values[: len(owners)]) for name, values in outputs.items()}
            for name, values in outputs.items():
                check_output(values, name, stage)
            clock.lap(stage)
            return outputs

        by_call = self._side_by_side(call, range(0, len(whose), most), clock)
        if not by_call:
            return {"scores": np.zeros(0, np.float32), "boxes": np.zeros((0, 4), np.float32),
                    "landmarks": np.zeros((0, 10), np.float32)}
        outputs = {name: np.concatenate([values[name] for values in by_call]) for name in by_call[0]}
        outputs["scores"] = sigmoid(outputs["scores"][:, 1] - outputs["scores"][:, 0])
        return outputs

    def _side_by_side(self, function, items, clock):
        """List of function(item, its own clock), in lanes; those clocks decide how the elapsed time is shared."""
        def timed(item):
            own = Clock()
            return function(item, own), own.spent

        done = side_by_side(timed, items, self.lanes)
        clock.share([spent for _, spent in done])
        return [result for result, _ in done]


@dataclass
class Squares:
    """Squares of an image that the next net receives as crops.

    Attributes:
        boxes: (N, 4) float32 px.
        scores: (N,) float32, from the net before.
    """

    boxes: np.ndarray
    scores: np.ndarray

    @staticmethod
    def none() -> Squares:
        """No square at all."""
        return Squares(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


class Clock:
    """Seconds per key of TIMES; `lap(name)` adds the time since the last lap to one of them."""

    def __init__(self):
        self.spent, self.last = dict.fromkeys(TIMES, 0.0), time.perf_counter()

    def lap(self, name: str) -> None:
        """Add the time since the last lap to `name`."""
        now = time.perf_counter()
        self.spent[name] += now - self.last
        self.last = now

    def share(self, others: Sequence[Mapping[str, float]]) -> None:
        """Divide the time since the last lap in the ratio of the seconds of `others`, dicts per key of TIMES."""
        sums = {name: sum(spent[name] for spent in others) for name in TIMES}
        now, total = time.perf_counter(), sum(sums.values())
        for name, seconds in sums.items():
            self.spent[name] += (now - self.last) * seconds / (total or 1)
        self.last = now


def sigmoid(odds: np.ndarray) -> np.ndarray:
    """Scores (N,) float32, 0..1, of logits (N,)."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-odds.astype(np.float32)))


def logit(score: float) -> float:
    """The logit of a score, 0 < score < 1."""
    return np.log(score / (1 - score))
