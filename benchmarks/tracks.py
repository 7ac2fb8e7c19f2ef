"""Section `tracks` of the benchmark: ids of a tracker against a made-up clip of moving portraits whose ids are known.

The clip has four people: two cross each other, one walks behind a bar and later turns, one leaves and returns, one
comes near. It is made of the two public-domain portraits of the package, also mirrored: the tracker compares no
pictures, so that it makes no difference who somebody is.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from manyfaces.boxes import overlaps
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.datasets.toy.scene import similarity
from manyfaces.detections import Detections
from manyfaces.inference.detector import Detector
from manyfaces.inference.video.gaps import HELD, Bridge
from manyfaces.inference.video.smoothing import Smoother
from manyfaces.inference.video.tracks import LOW, Tracker

from .timing import Table

NAMES = "ssh_mobilenet_v1_025", "mtcnn"
RATES = 25, 10, 5
SCENES = 8
SCALES = 0.3, 0.22, 0.18  # of the clip whose faces are hidden
WIDTH, HEIGHT, SECONDS = 640, 360, 10.0
FACE = 80  # px, height of the face of a portrait before it is placed
BAR = (400, 450)  # px, left and right edge of what hides faces
AWAY = (4.0, 6.0)  # seconds between which the third person is outside the image
VISIBLE = 0.5  # fraction of a face that has to be seen for it to be one of the truth
IOU = 0.5  # from which a face of the tracker is one of the truth


class Person(NamedTuple):
    """Where a face is: functions of the time in seconds."""

    portrait: int
    flip: bool
    behind: bool
    x: Sequence[tuple[float, float]]
    y: float
    height: Sequence[tuple[float, float]]


# (seconds, px): the centre and the height of the face, linear between these. From the farthest to the nearest.
PEOPLE = (
    Person(0, False, True, ((0, 50), (5, 590), (10, 250)), 70, ((0, 45), (10, 45))),  # behind the bar, and back
    Person(1, False, False, ((0, 600), (4, 70), (10, 570)), 160, ((0, 60), (10, 60))),  # meets the next one twice
    Person(0, True, False, ((0, 70), (3, 470), (4, 720), (6, 720), (10, 80)), 175, ((0, 66), (10, 66))),
    Person(1, True, False, ((0, 200), (10, 280)), 270, ((0, 36), (5, 110), (7, 110), (10, 50))),  # comes and goes
)


class Truth(NamedTuple):
    """A frame of the clip.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        seconds: its time.
        boxes: (N, 4) px of the faces that are visible.
        ids: (N,) who they are.
    """

    image: np.ndarray
    seconds: float
    boxes: np.ndarray
    ids: np.ndarray


def clip(rate: float = 25, seconds: float = SECONDS, seed: int = 0) -> Iterator[Truth]:
    """Yield the frames of the clip, with noise as of a camera."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 3, (HEIGHT + 32, WIDTH + 32, 3)).astype(np.int16)
    light = np.linspace(170, 80, HEIGHT).astype(np.uint8)[:, None, None]
    for number in range(round(seconds * rate)):
        moment, boxes = number / rate, []
        canvas = np.repeat(np.repeat(light, WIDTH, axis=1), 3, axis=2)
        cover = np.full((HEIGHT, WIDTH), -1, np.int8)  # who is on top
        for who, person in enumerate(PEOPLE):
            boxes.append(_stand(canvas, cover, who, person, moment))
            if person.behind:
                canvas[:, BAR[0] : BAR[1]], cover[:, BAR[0] : BAR[1]] = (60, 50, 45), -1
        seen = [who for who, (x1, y1, x2, y2) in enumerate(boxes)
                if (cover[max(0, round(y1)) : max(0, round(y2)), max(0, round(x1)) : max(0, round(x2))] == who).sum()
                >= VISIBLE * (x2 - x1) * (y2 - y1)]
        x, y = rng.integers(32, size=2)
        image = np.clip(canvas + noise[y : y + HEIGHT, x : x + WIDTH], 0, 255).astype(np.uint8)
        yield Truth(image, moment, np.array(boxes, np.float32)[seen].reshape(-1, 4), np.array(seen, int))


def _stand(canvas, cover, who, person, moment):
    """Paste a person; returns the box of the face."""
    image, mask, box = _small(person.portrait)
    x, height = (np.interp(moment, *zip(*points, strict=True)) for points in (person.x, person.height))
    scale = height / (box[3] - box[1])
    matrix = similarity((box[:2] + box[2:]) / 2, (x, person.y), scale, 0.05 * np.sin(2 * moment + who), person.flip)
    image, mask = (cv2.warpAffine(each, matrix, (WIDTH, HEIGHT)) for each in (image, mask))
    place = mask > 0
    alpha = mask[place][:, None] / np.float32(255)
    canvas[place] = (alpha * image[place] + (1 - alpha) * canvas[place]).astype(np.uint8)
    half = (box[2:] - box[:2]) * scale / 2
    box = np.concatenate([(x, person.y) - half, (x, person.y) + half])
    x1, y1, x2, y2 = np.clip(np.round(box), 0, (WIDTH, HEIGHT, WIDTH, HEIGHT)).astype(int)
    cover[mask > 128] = cover[y1:y2, x1:x2] = who
    return box


@lru_cache
def _small(number):
    """Image, mask of head and shoulders, and box of a portrait whose face is FACE px high."""
    portrait = portraits()[number]
    scale = FACE / (portrait.box[3] - portrait.box[1])
    image, mask = (cv2.resize(each, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
                   for each in (portrait.image, portrait.bust))
    return image, mask, portrait.box * scale


@dataclass
class Score:
    """How good ids are.

    Attributes:
        idf1: 2 IDTP / (faces of the truth + faces found), by the best assignment of tracks to people (Ristani et al.,
            arXiv 1609.01775).
        switches: number of times that a person's face has another id than when it was found last.
        tracks: number of ids.
        truth: number of faces of the truth.
        found: number of faces of the tracker.
        recall: fraction of the truth that was found.
    """

    idf1: float
    switches: int
    tracks: int
    truth: int
    found: int
    recall: float


def score(frames: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]) -> Score:
    """Compare ids.

    Args:
        frames: of each frame boxes (N, 4) and ids (N,) of the truth, boxes (M, 4) and ids (M,) of the tracker.
    """
    together: dict[tuple[int, int], int] = {}
    last: dict[int, int] = {}
    truth = found = matched = switches = 0
    people, tracks = set(), set()
    for boxes, ids, found_boxes, found_ids in frames:
        iou = overlaps(np.asarray(boxes, np.float32).reshape(-1, 4), np.asarray(found_boxes, np.float32).reshape(-1, 4))
        rows, columns = linear_sum_assignment(np.where(iou >= IOU, -1 - iou, 0))
        for i, j in zip(rows, columns, strict=True):
            if iou[i, j] >= IOU:
                matched += 1
                switches += last.get(ids[i], found_ids[j]) != found_ids[j]
                last[ids[i]] = found_ids[j]
        for i, j in zip(*np.nonzero(iou >= IOU), strict=True):  # any pair that could be one counts for IDF1
            pair = int(ids[i]), int(found_ids[j])
            together[pair] = together.get(pair, 0) + 1
        truth, found = truth + len(ids), found + len(found_ids)
        people.update(map(int, ids))
        tracks.update(map(int, found_ids))
    table = np.array([[together.get((person, track), 0) for track in sorted(tracks)] for person in sorted(people)])
    best = table[linear_sum_assignment(-table)].sum() if table.size else 0
    return Score(2 * float(best) / max(1, truth + found), switches, len(tracks), truth, found, matched / max(1, truth))


def scene(seed: int, rate: float, people: int = 8) -> Iterator[tuple[np.ndarray, np.ndarray, Detections, float]]:
    """Yield boxes only, as of a detector: of each frame the truth, as `score` takes it, faces and seconds.

    People walk at random, also behind a bar and one another. Boxes tremble by 4 % of the height, 5 % of the faces are
    missed, half hidden ones have lower scores, and 10 % of the frames have a false face.
    """
    rng = np.random.default_rng(seed)
    turns = [np.linspace(0, SECONDS, rng.integers(3, 7)) for _ in range(people)]
    paths = [rng.uniform((-60, 20, 25), (WIDTH + 60, HEIGHT - 20, 90), (len(times), 3)) for times in turns]
    for number in range(round(SECONDS * rate)):
        x, y, height = np.array([[np.interp(number / rate, times, values) for values in path.T]
                                 for times, path in zip(turns, paths, strict=True)]).T
        boxes = np.stack([x - 0.4 * height, y - 0.5 * height, x + 0.4 * height, y + 0.5 * height], axis=1)
        cover = np.full((HEIGHT, WIDTH), -1, np.int8)
        for who, (x1, y1, x2, y2) in enumerate(np.clip(np.round(boxes), 0, (WIDTH, HEIGHT) * 2).astype(int)):
            cover[y1:y2, x1:x2] = who
        cover[:, BAR[0] : BAR[1]] = -1
        seen = np.bincount(cover[cover >= 0], minlength=people) / (0.8 * height**2)
        found = np.flatnonzero((seen >= 0.3) & (rng.random(people) > 0.05))
        faces = boxes[found] + rng.normal(0, 0.04, (len(found), 4)) * height[found, None]
        scores = np.clip(0.3 + 1.6 * (seen[found] - 0.3) + rng.normal(0, 0.05, len(found)), 0.12, 0.97)
        if rng.random() < 0.1:
            corner = rng.uniform(0, HEIGHT - 40, 2)
            faces, scores = np.vstack([faces, [*corner, *corner + 40]]), np.append(scores, rng.uniform(0.1, 0.8))
        visible = np.flatnonzero(seen >= VISIBLE)
        yield boxes[visible], visible, Detections(faces, scores), number / rate


def tracked(detector: Detector, frames: Iterable[Truth]) -> tuple[Score, float, list[Detections]]:
    """Track the faces of a clip.

    Returns:
        The Score, milliseconds of processor time per frame for tracking and smoothing, and the faces of each frame.
    """
    tracker, smoother, spent = Tracker(detector.cfg.TEST.DEMO_SCORE), Smoother(), 0.0
    compared, faces = [], []
    for frame in frames:
        detections = detector.detect(frame.image, threshold=tracker.low)
        start = time.thread_time()
        detections = smoother.update(tracker.update(detections, frame.seconds), frame.seconds)
        spent += time.thread_time() - start
        compared.append((frame.boxes, frame.ids, detections.boxes, detections.ids))
        faces.append(detections)
    return score(compared), 1e3 * spent / max(1, len(faces)), faces


def hidden(detector: Detector, scale: float, rate: float = 12.5) -> list[float]:
    """How many faces of the clip, made smaller by `scale`, are hidden: fractions of the truth.

    A face is hidden where 80 % of its box are, as `manyfaces detect --blur` hides them.

    Returns:
        By the faces of each frame alone; with boxes that are held, as without --track; with --track.
    """
    truth, images, found = [], [], []
    tracker, bridge, held, rows = Tracker(detector.cfg.TEST.HIDE_SCORE), Bridge(), [], []
    for frame in clip(rate):
        image = cv2.resize(frame.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        faces = detector.detect(image, threshold=tracker.low)
        alone = faces.above(tracker.threshold).boxes
        held = [(at, boxes) for at, boxes in held if frame.seconds - at <= HELD] + [(frame.seconds, alone)]
        found.append([alone, np.concatenate([boxes for _, boxes in held])])
        truth.append(frame.boxes * np.float32(scale))
        images.append(image)
        rows += bridge.add(image, tracker.update(faces, frame.seconds), frame.seconds)
    rows += bridge.rest()
    for (_, boxes, _), ways in zip(rows, found, strict=True):
        ways.append(boxes)
    return [float(np.mean([part for boxes, ways in zip(truth, found, strict=True)
                           for part in _covered(boxes, ways[way], images[0].shape)])) for way in range(3)]


def _covered(truth, boxes, shape):
    """Whether 80 % of each box of the truth are hidden."""
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    mask = (Detections(boxes, np.ones(len(boxes))).hide(noise) != noise).any(axis=2)
    return [mask[max(0, int(y1)) : int(np.ceil(y2)), max(0, int(x1)) : int(np.ceil(x2))].mean() >= 0.8
            for x1, y1, x2, y2 in truth]


def run() -> list[Table]:
    """Track the clip with each detector of NAMES, and the scenes, at each rate of RATES."""
    rows = []
    for name in NAMES:
        detector = Detector.load(name)
        for rate in RATES:
            result, spent, _ = tracked(detector, clip(rate))
            rows.append([f"{name}, {rate} frames/s", f"{result.idf1:.3f}", str(result.switches), str(result.tracks),
                         f"{result.recall:.3f}", f"{result.truth:,}", f"{spent:.2f}"])
    for rate in RATES:
        results = []
        for seed in range(SCENES):
            tracker = Tracker(0.6)
            results.append(score([(boxes, ids, given.boxes, given.ids) for boxes, ids, faces, seconds in
                                  scene(seed, rate) for given in [tracker.update(faces.above(LOW), seconds)]]))
        mean = {name: np.mean([getattr(result, name) for result in results])
                for name in ("idf1", "switches", "tracks", "recall", "truth")}
        rows.append([f"mean of {SCENES} random scenes, {rate} frames/s", f"{mean['idf1']:.3f}",
                     f"{mean['switches']:.1f}", f"{mean['tracks']:.1f}", f"{mean['recall']:.3f}",
                     f"{mean['truth']:,.0f}", "-"])
    return [Table("Tracks of a clip of moving portraits", ("detector", "IDF1", "switches", "ids", "recall", "faces",
                                                           "ms"), rows,
                  f"{SECONDS:g} s of {WIDTH} x {HEIGHT} px with four people. One of them is away for 2 s and gets a "
                  f"new id, which is one switch. The random scenes are boxes only. ms: processor time of tracking and "
                  f"smoothing, per frame."),
            Table("Faces of the clip that are hidden", ("faces", "each frame alone", "held", "tracked"), [
                [f"{round(36 * scale)} to {round(110 * scale)} px",
                 *(f"{part:.3f}" for part in hidden(Detector.load(NAMES[0]), scale))] for scale in SCALES],
                  f"{NAMES[0]}, 12.5 frames/s, as `manyfaces detect --blur` hides them: by the faces of each frame "
                  f"alone, without --track (boxes are held), and with --track.")]
