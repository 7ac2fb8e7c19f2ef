"""The cascade itself: P-Net on the pyramid, R-Net and O-Net on the crops of what is left, for many images at once."""

import time
from dataclasses import dataclass

import numpy as np

from ..detections import Detections
from ..errors import InputError
from ..nms import min_nms, nms
from . import pyramid, resample
from .geometry import calibrate, cell_boxes, landmarks_of, square, windows
from .lanes import side_by_side

STAGES = ("pnet", "rnet", "onet")
SIDES = {"rnet": 24, "onet": 48}  # px of a crop
# Crops in one call of the net, and the number that the last call is filled up to a multiple of: few different sizes.
CALLS = {"rnet": (128, 16), "onet": (32, 4)}
LANE_CALLS = {"rnet": (16, 16), "onet": (2, 2)}  # where calls run side by side
TIMES = ("pyramid", "pnet", "crops", "rnet", "onet", "boxes", "nms")  # parts whose milliseconds Detections.times has


class Cascade:
    """Three nets as a detector.

    nets: dict pnet, rnet, onet -> function images (B, H, W, 3) uint8 (without CASCADE.ROUND
    float32) -> dict of arrays `scores` (logits, background and
    face), `boxes` and, of onet, `landmarks`, as lib/nets/mtcnn.py gives them. Nets with an attribute `lanes` get small
    calls, so many at once, and may use a result's memory again in the next call of the same thread; others get large
    calls, one after the other. cfg: its CASCADE section counts.
    May be called from several threads, if the nets may.
    """

    def __init__(self, nets, cfg):
        self.nets, self.cfg, self.inclusive = nets, cfg.CASCADE, cfg.CASCADE.BOXES == "inclusive"
        lanes = min((getattr(net, "lanes", None) or 0 for net in nets.values()), default=0)
        self.lanes, self.calls = max(1, lanes), LANE_CALLS if lanes else CALLS
        self.strip_pixels = 0 if lanes else pyramid.CANVAS_PIXELS
        self.dtype = np.uint8 if self.cfg.ROUND else np.float32
        for key, count in (("THRESHOLDS", 3), ("NMS", 4)):
            values = self.cfg[key]
            if len(values) != count or not all(0 < value < 1 for value in values):
                raise InputError(f"CASCADE.{key} is {values}, expected {count} numbers between 0 and 1")
        if not self.cfg.FACTOR < 1:
            raise InputError(f"CASCADE.FACTOR is {self.cfg.FACTOR}, expected less than 1, such as 0.709")

    def detect(self, images):
        """List of Detections, best first, one for each image (H, W, 3) uint8 RGB of the list.

        `times` of each holds milliseconds by the parts TIMES, shared evenly among the images.
        """
        clock = Clock()
        found = self._refine(images, self._propose(images, clock), clock)
        boxes = [part.boxes for part in found]
        outputs, boxes, _ = self._look("onet", images, boxes, clock)
        results = []
        for image, part, squares in zip(images, outputs, boxes, strict=True):
            part, squares = self._passed(part, squares, 2)
            faces = Detections(calibrate(squares, part["boxes"], self.inclusive), part["scores"],
                               landmarks_of(squares, part["landmarks"], self.inclusive))
            clock.lap("boxes")
            if self.inclusive:  # of equal scores the ports take the last, and O-Net's scores come close to 1 in steps
                faces = faces.take(slice(None, None, -1))
            faces = faces.take(min_nms(faces.boxes, faces.scores, self.cfg.NMS[3]))
            clock.lap("nms")
            if not self.inclusive:
                height, width = image.shape[:2]
                faces.boxes = faces.boxes.clip(0, np.float32([width, height, width, height]))
            results.append(faces)
        for faces in results:
            faces.times = {name: clock.spent[name] * 1e3 / len(images) for name in TIMES}
        return results

    def candidates(self, images, until="pnet"):
        """What R-Net (until pnet) or O-Net (until rnet) would look at: a list of (N, 5) float32 x1 y1 x2 y2 score.

        Squares in px of the image, after calibration and NMS. Raises InputError for another `until`.
        """
        if until not in ("pnet", "rnet"):
            raise InputError(f"until is {until!r}, expected pnet or rnet")
        found = self._propose(images, Clock())
        if until == "rnet":
            found = self._refine(images, found, Clock())
        return [np.concatenate([part.boxes, part.scores[:, None]], axis=1) for part in found]

    # --------------------------------------------------------------- stages

    def _propose(self, images, clock):
        """List of Squares, one an image: what P-Net finds."""
        sizes = [image.shape[1::-1] for image in images]
        found = [[] for _ in images]  # of (boxes, scores, offsets), one a level
        for levels in pyramid.canvases(sizes, self.cfg.MIN_FACE, self.cfg.FACTOR):
            canvas = pyramid.draw(images, levels, self.cfg.RESAMPLE, self.dtype, self.lanes)
            clock.lap("pyramid")
            which, boxes, scores, offsets = self._cells(canvas, levels, sizes, clock)
            clock.lap("boxes")
            ends = np.searchsorted(which, np.arange(len(levels) + 1))
            for level, begin, end in zip(levels, ends, ends[1:], strict=False):
                if begin < end:
                    kept = begin + nms(boxes[begin:end], scores[begin:end], self.cfg.NMS[0])
                    found[level.image].append((boxes[kept], scores[kept], offsets[kept]))
            clock.lap("nms")
        return [self._proposed(parts, clock) for parts in found]

    def _cells(self, canvas, levels, sizes, clock):
        """P-Net's cells from the threshold on: numbers of their levels (N,), ascending, boxes, scores and offsets."""
        least = np.float32(logit(self.cfg.THRESHOLDS[0]))

        def look(strip, clock):
            first_row, pixels = strip
            outputs = self.nets["pnet"](pixels[None])
            clock.lap("pnet")
            logits = np.asarray(outputs["scores"])[0]
            odds = logits[..., 1] - logits[..., 0]
            rows, columns = np.nonzero(odds >= least)
            found = rows + first_row, columns, odds[rows, columns], np.asarray(outputs["boxes"])[0, rows, columns]
            clock.lap("boxes")
            return found

        strips = pyramid.strips(canvas, self.strip_pixels)
        parts = self._side_by_side(look, strips, clock)
        rows, columns, odds, offsets = (np.concatenate(values) for values in zip(*parts, strict=True))
        cells = ((side - pyramid.CELL) // pyramid.STRIDE + 1 for side in canvas.shape[:2])
        which = pyramid.owners(levels, *cells)[rows, columns]
        order = np.argsort(which, kind="stable")[np.count_nonzero(which < 0) :]
        which, rows, columns = which[order], rows[order], columns[order]
        corners = np.int64([[level.y, level.x] for level in levels])[which] // pyramid.STRIDE
        boxes = cell_boxes(rows - corners[:, 0], columns - corners[:, 1], which, levels, sizes, self.inclusive)
        return which, boxes, sigmoid(odds[order]), offsets[order]

    def _proposed(self, parts, clock):
        """Squares of an image from (boxes, scores, offsets) of its levels: NMS across them, then calibration."""
        if not parts:
            return Squares.none()
        boxes, scores, offsets = (np.concatenate(values) for values in zip(*parts, strict=True))
        kept = nms(boxes, scores, self.cfg.NMS[1])
        clock.lap("nms")
        squares = Squares(square(calibrate(boxes[kept], offsets[kept]), self.inclusive), scores[kept])
        clock.lap("boxes")
        return squares

    def _refine(self, images, found, clock):
        """List of Squares, one an image: those that R-Net lets pass, calibrated."""
        outputs, boxes, _ = self._look("rnet", images, [part.boxes for part in found], clock)
        result = []
        for part, squares in zip(outputs, boxes, strict=True):
            part, squares = self._passed(part, squares, 1)
            clock.lap("boxes")
            kept = nms(squares, part["scores"], self.cfg.NMS[2])
            clock.lap("nms")
            moved = calibrate(squares[kept], part["boxes"][kept], self.inclusive)
            result.append(Squares(square(moved, self.inclusive), part["scores"][kept]))
            clock.lap("boxes")
        return result

    def _passed(self, outputs, squares, stage):
        kept = outputs["scores"] >= np.float32(self.cfg.THRESHOLDS[stage])
        return {name: values[kept] for name, values in outputs.items()}, squares[kept]

    def _look(self, stage, images, squares, clock):
        """A net's outputs for the crops of all images, cut and looked at in large batches.

        Returns lists with an entry an image: dict of arrays (scores are those of a face, 0..1), the squares (those
        beyond the image are left out), and their windows.
        """
        cut = []
        for number, (image, boxes) in enumerate(zip(images, squares, strict=True)):
            corners, inside = windows(boxes, image.shape[1::-1], self.inclusive)
            cut.append((number, boxes[inside], corners[inside]))
        counts = [len(boxes) for _, boxes, _ in cut]
        whose = np.repeat(np.arange(len(images)), counts)
        corners = np.concatenate([part for _, _, part in cut]) if cut else np.zeros((0, 4), np.int64)
        clock.lap("boxes")
        outputs = self._run(stage, images, whose, corners, clock)
        ends = np.cumsum(counts)[:-1]
        parts = {name: np.split(values, ends) for name, values in outputs.items()}
        by_image = [{name: values[n] for name, values in parts.items()} for n in range(len(images))]
        return by_image, [boxes for _, boxes, _ in cut], [part for _, _, part in cut]

    def _run(self, stage, images, whose, corners, clock):
        """Dict of the net's outputs (N, ...) for N windows, `whose` (N,) in order of the images."""
        side, (most, step) = SIDES[stage], self.calls[stage]

        def look(begin, clock):
            owners, places = whose[begin : begin + most], corners[begin : begin + most]
            numbers, starts = np.unique(owners, return_index=True)
            crops = np.zeros((len(owners) + -len(owners) % step, side, side, 3), self.dtype)
            for number, start, end in zip(numbers, starts, [*starts[1:], len(owners)], strict=True):
                crops[start:end] = resample(images[number], places[start:end], (side, side), self.cfg.RESAMPLE,
                                            dtype=self.dtype)
            clock.lap("crops")
            outputs = self.nets[stage](crops)
            found = {name: np.array(values[: len(owners)]) for name, values in outputs.items()}
            clock.lap(stage)
            return found

        found = self._side_by_side(look, range(0, len(whose), most), clock)
        if not found:
            return {"scores": np.zeros(0, np.float32), "boxes": np.zeros((0, 4), np.float32),
                    "landmarks": np.zeros((0, 10), np.float32)}
        outputs = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
        outputs["scores"] = sigmoid(outputs["scores"][:, 1] - outputs["scores"][:, 0])
        return outputs

    def _side_by_side(self, function, items, clock):
        """List of function(item, a clock of its own), in lanes; the time that passes is shared out by those clocks."""
        def timed(item):
            own = Clock()
            return function(item, own), own.spent

        done = side_by_side(timed, items, self.lanes)
        clock.share([spent for _, spent in done])
        return [result for result, _ in done]


@dataclass
class Squares:
    """Squares (N, 4) float32 px of an image that the next net looks at, and the scores (N,) of the net before it."""

    boxes: np.ndarray
    scores: np.ndarray

    @staticmethod
    def none():
        return Squares(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


class Clock:
    """Seconds by part: `lap(name)` adds what has passed since the last one."""

    def __init__(self):
        self.spent, self.last = dict.fromkeys(TIMES, 0.0), time.perf_counter()

    def lap(self, name):
        now = time.perf_counter()
        self.spent[name] += now - self.last
        self.last = now

    def share(self, others):
        """Add what has passed since the last lap to the parts, as the seconds of `others` (dicts) are to each other."""
        sums = {name: sum(spent[name] for spent in others) for name in TIMES}
        now, total = time.perf_counter(), sum(sums.values())
        for name, part in sums.items():
            self.spent[name] += (now - self.last) * part / (total or 1)
        self.last = now


def sigmoid(odds):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-odds.astype(np.float32)))


def logit(score):
    return np.log(score / (1 - score))
