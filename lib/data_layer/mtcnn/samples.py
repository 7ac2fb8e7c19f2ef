"""Chooses the squares of an image from which MTCNN learns: positives, parts and negatives.

A square is positive if its IoU with a face is MTCNN.POSITIVE or more, and a part if it is MTCNN.PART or more. It is
negative if its IoU with every face is less than MTCNN.NEGATIVE. Other squares are left out. This module computes
geometry only and reads no pixel. One generator per image gives all randomness, so samples are a function of (seed,
image), whatever other images are sampled.

Ignored faces and those smaller than MTCNN.MIN_FACE are doubtful: they are not learnt, and no negative touches one.

Source: arXiv 1604.02878, section III A.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from easydict import EasyDict

from ...boxes import overlaps
from ...boxes.pairs import paired_areas
from ...cascade.geometry import square
from ...datasets.roidb import Record

TRIES = 96  # squares drawn per face; many more than are kept, so that quotas are met where possible
LEAST_SIDE = 12.0  # px: the smallest square that a cascade tests


@dataclass(frozen=True)
class Quotas:
    """Numbers of samples to make, on average.

    Attributes:
        positive: per face.
        part: per face.
        landmark: per face with landmarks.
        negative: per image.
    """

    positive: float
    part: float
    landmark: float
    negative: float


def quotas(records: Sequence[Record], points: Sequence[Record], cfg: EasyDict) -> Quotas:
    """Compute the quotas that give COUNTS samples in all.

    Args:
        records: images for boxes and background.
        points: images for landmarks.
        cfg: the section MTCNN.
    """
    counts = cfg.COUNTS
    faces = sum(int(learnt(record, cfg).sum()) for record in records)
    labelled = sum(int(with_landmarks(record, cfg).sum()) for record in points)
    return Quotas(*(count / max(1, per) for count, per in
                    zip(counts, (faces, faces, labelled, len(records)), strict=True)))


def learnt(record: Record, cfg: EasyDict) -> np.ndarray:
    """(N,) bool: the faces that are learnt; the others are doubtful. cfg: the section MTCNN."""
    return ~record.ignore & ((record.boxes[:, 2:] - record.boxes[:, :2]).max(axis=1, initial=0) >= cfg.MIN_FACE)


def with_landmarks(record: Record, cfg: EasyDict) -> np.ndarray:
    """(N,) bool: the faces whose five landmarks are learnt. cfg: the section MTCNN."""
    large = (record.boxes[:, 2:] - record.boxes[:, :2]).max(axis=1, initial=0) >= cfg.LANDMARK_FACE
    return ~record.ignore & large & np.isfinite(record.landmarks).all(axis=(1, 2))


def squares_of_image(record: Record, quota: Quotas, rng: np.random.Generator, cfg: EasyDict,
                     candidates: np.ndarray | None = None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Choose the squares of an image.

    Args:
        record: the faces of the image.
        quota: numbers of samples.
        rng: the generator of this image.
        cfg: the section MTCNN.
        candidates: (N, 4) squares px that the earlier stages detect as faces. They are used first; squares drawn around
            faces and elsewhere fill the quotas. None: drawn squares only.

    Returns:
        "positive", "part" and "negative" -> squares (K, 4) float32, x1 y1 x2 y2 px of the image, and offsets (K, 4)
        float32 of the face's corners from the square's, as fractions of its side; 0 for negatives.
    """
    usable = learnt(record, cfg)
    faces, doubtful = record.boxes[usable], record.boxes[~usable]
    mined = np.zeros((0, 4), np.float32) if candidates is None else np.asarray(candidates, np.float32).reshape(-1, 4)
    mined = mined[centred_inside(mined, record)]
    owner, kind = judge(mined, faces, doubtful, cfg)
    drawn, whose = squares_around(faces, rng)
    # Each square is compared only with the face it was drawn for: with a thousand faces, all pairs would be too many.
    shared, joint = paired_areas(drawn, faces[whose])
    iou = shared / np.maximum(joint, 1e-9)
    result = {}
    positive, inside = positive_from(faces, cfg)[whose], centred_inside(drawn, record)
    for name, low, high in (("positive", positive, 2.0), ("part", cfg.PART, positive)):
        fits = (iou >= low) & (iou < high) & inside
        squares, owners = _share_out(getattr(quota, name), len(faces), rng,
                                     (mined[kind == name], owner[kind == name]), (drawn[fits], whose[fits]))
        result[name] = _confirmed(squares, owners, name, faces, doubtful, cfg)
    count = _number(quota.negative, rng)
    negatives = mined[kind == "negative"]
    negatives = negatives[rng.permutation(len(negatives))[:count]]
    easy = count - len(negatives) if candidates is None else min(count - len(negatives), round(cfg.EASY * count))
    others = squares_elsewhere(record, faces, 3 * easy, rng)
    others = others[(judge(others, faces, doubtful, cfg)[1] == "negative") & centred_inside(others, record)][:easy]
    negatives = np.concatenate([negatives, others])
    result["negative"] = negatives, np.zeros_like(negatives)
    return result


def judge(squares: np.ndarray, faces: np.ndarray, doubtful: np.ndarray, cfg: EasyDict
          ) -> tuple[np.ndarray, np.ndarray]:
    """Decide the kind of each square.

    Args:
        squares: (N, 4) float32, x1 y1 x2 y2 px.
        faces: (F, 4) float32, that are learnt.
        doubtful: (D, 4) float32, other faces, which no negative may touch.
        cfg: the section MTCNN.

    Returns:
        (N,) index of the face with the highest IoU, and (N,) kind, "" for squares that are left out.
    """
    owner, best = np.zeros(len(squares), np.intp), np.zeros(len(squares), np.float32)
    kind = np.full(len(squares), "", "U8")
    if len(faces) and len(squares):
        pairs = overlaps(squares, faces)
        owner = pairs.argmax(axis=1)
        best = pairs[np.arange(len(squares)), owner]
        positive = positive_from(faces, cfg)[owner]
        kind[(best >= cfg.PART) & (best < positive)] = "part"
        kind[best >= positive] = "positive"
    free = best < cfg.NEGATIVE
    if len(doubtful) and len(squares):
        free &= ~meets(squares, doubtful)
    kind[free] = "negative"
    return owner, kind


def positive_from(faces: np.ndarray, cfg: EasyDict) -> np.ndarray:
    """Compute the lowest IoU of a positive for each face.

    This is POSITIVE, and less for a face so narrow that no square reaches it. The square with the centre and area of
    the face has the highest IoU, sqrt(a) / (2 - sqrt(a)), where a is the shorter side over the longer. NARROW is the
    fraction of it that is enough.

    Args:
        faces: (N, 4), x1 y1 x2 y2 px.
        cfg: the section MTCNN.

    Returns:
        (N,) float64 between PART and POSITIVE.

    Examples:
        >>> from types import SimpleNamespace
        >>> cfg = SimpleNamespace(POSITIVE=0.65, PART=0.4, NARROW=0.95)
        >>> positive_from(np.float32([[0, 0, 81, 100], [0, 0, 36, 100], [0, 0, 9, 100]]), cfg).round(4)
        array([0.65  , 0.4071, 0.4   ])
    """
    sides = (faces[:, 2:] - faces[:, :2]).astype(np.float64)
    root = np.sqrt(sides.min(axis=1, initial=np.inf) / sides.max(axis=1, initial=1e-9)) if len(faces) else np.zeros(0)
    return np.clip(cfg.NARROW * root / (2 - root), cfg.PART, cfg.POSITIVE)


def meets(squares: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """(N,) bool: the squares (N, 4) that share some area with one of the regions (R, 4)."""
    low, high = np.maximum(squares[:, None, :2], regions[:, :2]), np.minimum(squares[:, None, 2:], regions[:, 2:])
    return (high > low).all(axis=2).any(axis=1)


def centred_inside(squares: np.ndarray, record: Record) -> np.ndarray:
    """(N,) bool: the squares (N, 4) whose centre is in the image; the others contain little of it."""
    centre = (squares[:, :2] + squares[:, 2:]) / 2
    return ((centre > 0) & (centre < np.array([record.width, record.height], np.float32))).all(axis=1)


def squares_around(faces: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw TRIES squares per face (N, 4): the first half close to it, the others farther away.

    Returns:
        Squares (TRIES * N, 4) float32, and the index of the face of each (TRIES * N,).
    """
    count = len(faces)
    centre, side = (faces[:, :2] + faces[:, 2:]) / 2, np.sqrt((faces[:, 2:] - faces[:, :2]).prod(axis=1))
    wide = np.repeat([0.35, 0.6], TRIES // 2)[:, None]
    sides = side * np.exp(rng.uniform(-1, 1, (TRIES, count)) * wide)
    shift = rng.uniform(-1, 1, (TRIES, count, 2)) * (wide * [0.25 / 0.35])[..., None] * sides[..., None]
    corner = centre + shift - sides[..., None] / 2
    squares = np.concatenate([corner, corner + sides[..., None]], axis=2).reshape(-1, 4)
    return whole_pixels(squares), np.tile(np.arange(count), TRIES)


def squares_elsewhere(record: Record, faces: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw squares (count, 4) float32: half anywhere in the image, half around faces (N, 4); sides are log-uniform."""
    size = np.array([record.width, record.height], np.float64)
    largest = max(LEAST_SIDE, size.min() / 1.5)
    sides = np.exp(rng.uniform(np.log(LEAST_SIDE), np.log(largest), count))
    centre = rng.uniform(size=(count, 2)) * np.maximum(size - sides[:, None], 0) + sides[:, None] / 2
    near = rng.random(count) < 0.5
    if len(faces) and count:
        whose = rng.integers(len(faces), size=count)
        face_sides = (faces[whose, 2:] - faces[whose, :2]).max(axis=1)
        beside = np.clip(face_sides * np.exp(rng.uniform(-1.0, 1.0, count)), LEAST_SIDE, largest)
        middle = (faces[whose, :2] + faces[whose, 2:]) / 2
        middle = middle + rng.uniform(-1, 1, (count, 2)) * ((beside + face_sides) / 2)[:, None]
        sides, centre = np.where(near, beside, sides), np.where(near[:, None], middle, centre)
    corner = centre - sides[:, None] / 2
    return whole_pixels(np.concatenate([corner, corner + sides[:, None]], axis=1))


def whole_pixels(squares: np.ndarray) -> np.ndarray:
    """Round squares (N, 4) as the cascade does: (N, 4) float32, corners at whole pixels, sides of at least 1 px."""
    return square(squares.astype(np.float32), inclusive=False)


def offsets(squares: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(N, 4) float32 offsets of each face's corners from those of its square, as fractions of the square's side."""
    sides = (squares[:, 2] - squares[:, 0])[:, None]
    return ((faces - squares) / sides).astype(np.float32)


def _number(mean, rng):
    """A random whole number that is `mean` on average."""
    return int(mean + rng.random())


def _share_out(quota, faces, rng, *sources):
    """(squares, face) with `quota` squares per face on average: from the first source if it has enough, then the next.

    Each source is (squares (N, 4), face (N,)). The squares of a face are chosen at random.
    """
    left = np.floor(quota + rng.random(faces)).astype(np.intp)
    squares, owners = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.intp)]
    for boxes, owner in sources:
        order = rng.permutation(len(owner))
        order = order[np.argsort(owner[order], kind="stable")]  # face by face, in random order within a face
        sorted_owner = owner[order]
        rank = np.arange(len(order)) - np.searchsorted(sorted_owner, sorted_owner)
        taken = order[rank < left[sorted_owner]]
        left = left - np.bincount(owner[taken], minlength=faces)
        squares.append(boxes[taken])
        owners.append(owner[taken])
    return np.concatenate(squares), np.concatenate(owners)


def _confirmed(squares, owner, name, faces, doubtful, cfg):
    """(squares, offsets) of the squares that have the kind `name`, for their own face, among all faces."""
    kept = np.zeros(len(squares), bool)
    for first in range(0, len(squares), 4096):  # limits the memory for pairs
        chunk = slice(first, first + 4096)
        whose, kind = judge(squares[chunk], faces, doubtful, cfg)
        kept[chunk] = (kind == name) & (whose == owner[chunk])
    return squares[kept], offsets(squares[kept], faces[owner[kept]])
