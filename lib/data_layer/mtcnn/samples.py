"""Which squares of an image MTCNN learns from (arXiv 1604.02878, section III A): positives, parts and negatives.

A square that overlaps a face by MTCNN.POSITIVE is positive, from MTCNN.PART on it is a part, and one that overlaps none
by MTCNN.NEGATIVE is negative; what lies between is left out. Here is geometry alone, no pixel is looked at. All chance
comes from one generator an image, so samples are a function of (seed, image) whatever else is sampled.

Ignored faces and those under MTCNN.MIN_FACE are doubtful: they are not learnt, and no negative touches one.
"""

from dataclasses import dataclass

import numpy as np

from ...boxes import overlaps
from ...boxes.pairs import paired_areas
from ...cascade.geometry import square

TRIES = 96  # squares drawn for each face; many more than are kept, so that a quota is met where it can be
LEAST_SIDE = 12.0  # px: the smallest square that a cascade looks at


@dataclass(frozen=True)
class Quotas:
    """How many samples are wanted on average: positive, part a face; landmark a landmark face; negative an image."""

    positive: float
    part: float
    landmark: float
    negative: float


def quotas(records, points, cfg):
    """Quotas that give MTCNN.COUNTS over the records, and over the landmark records `points`."""
    counts = cfg.COUNTS
    faces = sum(int(learnt(record, cfg).sum()) for record in records)
    labelled = sum(int(with_landmarks(record, cfg).sum()) for record in points)
    return Quotas(*(count / max(1, per) for count, per in
                    zip(counts, (faces, faces, labelled, len(records)), strict=True)))


def learnt(record, cfg):
    """(N,) bool: the faces that are learnt; the others are doubtful."""
    return ~record.ignore & ((record.boxes[:, 2:] - record.boxes[:, :2]).max(axis=1, initial=0) >= cfg.MIN_FACE)


def with_landmarks(record, cfg):
    """(N,) bool: the faces whose five landmarks are learnt."""
    large = (record.boxes[:, 2:] - record.boxes[:, :2]).max(axis=1, initial=0) >= cfg.LANDMARK_FACE
    return ~record.ignore & large & np.isfinite(record.landmarks).all(axis=(1, 2))


def squares_of_image(record, quota, rng, cfg, candidates=None):
    """Dict kind -> (squares (K, 4) float32 px of the image, offsets (K, 4)) for `positive`, `part` and `negative`.

    quota: Quotas. candidates: (N, 4) squares that the cascade so far takes for faces: they are taken first, squares
    drawn around faces and elsewhere fill up what is missing. None: only those. Offsets are of the face's corners from
    those of the square, in sides of it; 0 for negatives.
    """
    usable = learnt(record, cfg)
    faces, doubtful = record.boxes[usable], record.boxes[~usable]
    mined = np.zeros((0, 4), np.float32) if candidates is None else np.asarray(candidates, np.float32).reshape(-1, 4)
    mined = mined[centred_inside(mined, record)]
    owner, kind = judge(mined, faces, doubtful, cfg)
    drawn, whose = squares_around(faces, rng)
    # Only the face that a square was drawn for is looked at here: with a thousand faces all pairs would be too many.
    shared, joint = paired_areas(drawn, faces[whose])
    overlap = shared / np.maximum(joint, 1e-9)
    result = {}
    positive, inside = positive_from(faces, cfg)[whose], centred_inside(drawn, record)
    for name, low, high in (("positive", positive, 2.0), ("part", cfg.PART, positive)):
        fits = (overlap >= low) & (overlap < high) & inside
        chosen = _share_out(getattr(quota, name), len(faces), rng,
                            (mined[kind == name], owner[kind == name]), (drawn[fits], whose[fits]))
        result[name] = _confirmed(*chosen, name, faces, doubtful, cfg)
    wanted = _number(quota.negative, rng)
    negatives = mined[kind == "negative"]
    negatives = negatives[rng.permutation(len(negatives))[:wanted]]
    easy = wanted - len(negatives) if candidates is None else min(wanted - len(negatives), round(cfg.EASY * wanted))
    others = squares_elsewhere(record, faces, 3 * easy, rng)
    others = others[(judge(others, faces, doubtful, cfg)[1] == "negative") & centred_inside(others, record)][:easy]
    negatives = np.concatenate([negatives, others])
    result["negative"] = negatives, np.zeros_like(negatives)
    return result


def judge(squares, faces, doubtful, cfg):
    """(owner (N,), kind (N,)): the face that each square overlaps most, and what the square is; "" : left out."""
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


def positive_from(faces, cfg):
    """(N,) overlap from which a square is positive for each face.

    That is MTCNN.POSITIVE, and less for a face so narrow that no square reaches it: of all squares the one with the
    face's centre and area overlaps it most, by sqrt(a) / (2 - sqrt(a)), a the shorter side over the longer.

    >>> from types import SimpleNamespace
    >>> cfg = SimpleNamespace(POSITIVE=0.65, PART=0.4, NARROW=0.95)
    >>> positive_from(np.float32([[0, 0, 81, 100], [0, 0, 36, 100], [0, 0, 9, 100]]), cfg).round(4)
    array([0.65  , 0.4071, 0.4   ])
    """
    sides = (faces[:, 2:] - faces[:, :2]).astype(np.float64)
    root = np.sqrt(sides.min(axis=1, initial=np.inf) / sides.max(axis=1, initial=1e-9)) if len(faces) else np.zeros(0)
    return np.clip(cfg.NARROW * root / (2 - root), cfg.PART, cfg.POSITIVE)


def meets(squares, regions):
    """(N,) bool: the squares that have some area in common with one of the regions."""
    low, high = np.maximum(squares[:, None, :2], regions[:, :2]), np.minimum(squares[:, None, 2:], regions[:, 2:])
    return (high > low).all(axis=2).any(axis=1)


def centred_inside(squares, record):
    """(N,) bool: the squares whose centre is in the image; others show next to nothing of it."""
    centre = (squares[:, :2] + squares[:, 2:]) / 2
    return ((centre > 0) & (centre < np.float32([record.width, record.height]))).all(axis=1)


def squares_around(faces, rng):
    """(squares (TRIES * N, 4), face (TRIES * N,)): TRIES squares for each face, the first half near, then farther."""
    count = len(faces)
    centre, side = (faces[:, :2] + faces[:, 2:]) / 2, np.sqrt((faces[:, 2:] - faces[:, :2]).prod(axis=1))
    wide = np.repeat([0.35, 0.6], TRIES // 2)[:, None]
    sides = side * np.exp(rng.uniform(-1, 1, (TRIES, count)) * wide)
    shift = rng.uniform(-1, 1, (TRIES, count, 2)) * (wide * [0.25 / 0.35])[..., None] * sides[..., None]
    corner = centre + shift - sides[..., None] / 2
    squares = np.concatenate([corner, corner + sides[..., None]], axis=2).reshape(-1, 4)
    return whole_pixels(squares), np.tile(np.arange(count), TRIES)


def squares_elsewhere(record, faces, count, rng):
    """(count, 4) squares: half of them anywhere, half about faces where there are any; sides log-uniform."""
    size = np.float64([record.width, record.height])
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


def whole_pixels(squares):
    """Squares as the cascade cuts them: (N, 4) float32, corners at whole pixels, at least 1 px long."""
    return square(squares.astype(np.float32), inclusive=False)


def offsets(squares, faces):
    """(N, 4) float32: the corners of each face from those of its square, in sides of the square."""
    sides = (squares[:, 2] - squares[:, 0])[:, None]
    return ((faces - squares) / sides).astype(np.float32)


def _number(wanted, rng):
    """A whole number that is `wanted` on average."""
    return int(wanted + rng.random())


def _share_out(quota, faces, rng, *sources):
    """(squares, face) with `quota` a face on average: of the first source as many as it has, then of the next.

    Each source is (squares (N, 4), face (N,)); which of a face's squares are taken is left to chance.
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
    """(squares, offsets) of those that are `name` for the very face that they were chosen for, all faces considered."""
    kept = np.zeros(len(squares), bool)
    for first in range(0, len(squares), 4096):  # a bound for the pairs that are looked at together
        part = slice(first, first + 4096)
        whose, kind = judge(squares[part], faces, doubtful, cfg)
        kept[part] = (kind == name) & (whose == owner[part])
    return squares[kept], offsets(squares[kept], faces[owner[kept]])
