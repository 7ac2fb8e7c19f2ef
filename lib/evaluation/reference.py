"""NumPy and Python twins of the compiled functions of this folder; they serve where nothing could be compiled."""

from __future__ import annotations

from itertools import chain

import numpy as np

from ..boxes.checks import FLOAT64, INT64, as_array, as_number, check_finite, same_length
from ..errors import InputError

# Pairs of a prediction and a box that are compared at a time: bounds the memory.
_BLOCK = 1_000_000


def check_matching(predictions: np.ndarray, images: np.ndarray, boxes: np.ndarray,
                   owners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Check the arguments of best_boxes and official_boxes and convert them; shared with the compiled twins.

    Returns:
        predictions (P, 4) and boxes (G, 4) float64, contiguous; images (P,) and owners (G,) int64, numbered so that
        the largest number is no more than a few times P + G.

    Raises:
        InputError: a shape or type is wrong, a number is not finite, or a number of an image is negative.
    """
    predictions, boxes = _corners(predictions, "predictions"), _corners(boxes, "boxes")
    images, owners = as_array(images, "images", None, dtype=INT64), as_array(owners, "owners", None, dtype=INT64)
    same_length(predictions, images, ("predictions", "images"))
    same_length(boxes, owners, ("boxes", "owners"))
    most = 1000 + 4 * (len(images) + len(owners))
    for name, numbers in (("images", images), ("owners", owners)):
        if len(numbers) and numbers.min() < 0:
            raise InputError(f"{name}: found {numbers.min()}, expected numbers >= 0")
    if max(images.max(initial=0), owners.max(initial=0)) > most:
        numbers = np.unique(np.concatenate([images, owners]), return_inverse=True)[1]
        images, owners = numbers[: len(images)], numbers[len(images) :]
    return predictions, images, boxes, owners


def _corners(rows, name):
    rows = as_array(rows, name, None, None, dtype=FLOAT64)
    if rows.shape[1] < 4 and len(rows):
        raise InputError(f"{name}: found an array of shape {rows.shape}, expected (N, 4) or more columns")
    rows = np.ascontiguousarray(rows[:, :4]) if rows.shape[1] >= 4 else np.zeros((0, 4))
    check_finite(rows, name)
    return rows


def best_boxes(predictions: np.ndarray, images: np.ndarray, boxes: np.ndarray, owners: np.ndarray, iou: float,
               extra: float = 1.0) -> np.ndarray:
    """The box of the same image with which each prediction has the highest IoU, if that is `iou` or more.

    Args:
        predictions: (P, >=4) float64, x y w h in px.
        images: (P,) int, the number of each prediction's image.
        boxes: (G, 4) float64, x y w h in px.
        owners: (G,) int, the number of each box's image.
        iou: above 0, at most 1.
        extra: px by which a side is longer than its box: 1 in WIDER FACE's protocol, 0 for continuous boxes.

    Returns:
        (P,) intp indices into boxes; -1: none. Of boxes with equal IoU the first is taken.

    Raises:
        InputError: as in check_matching, or iou or extra is out of range.
    """
    iou, extra = as_number(iou, "iou", 0, 1, open_low=True), as_number(extra, "extra", 0)
    predictions, images, boxes, owners = check_matching(predictions, images, boxes, owners)
    return _first_best(predictions, images, boxes, owners, lambda a, b: _ious(a, b, extra), iou)


def official_boxes(predictions: np.ndarray, images: np.ndarray, boxes: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """The box that each prediction belongs to in WIDER FACE's MATLAB tools.

    Their ground truth is int32. There MATLAB rounds the corners of a prediction, halves away from zero, and also the
    quotient of the areas: it is 0 below one half and 1 from one half on (in rare cases more). So of the boxes of the
    image a prediction belongs to the first that it covers by a half, not to the one with the highest IoU.

    Args:
        predictions: (P, >=4) float64, x y w h in px.
        images: (P,) int, the number of each prediction's image.
        boxes: (G, 4) float64, x y w h in px, as int32 would hold them.
        owners: (G,) int, the number of each box's image.

    Returns:
        (P,) intp indices into boxes; -1: none.

    Raises:
        InputError: as in check_matching.
    """
    predictions, images, boxes, owners = check_matching(predictions, images, boxes, owners)
    return _first_best(predictions, images, int32_corners(boxes), owners, _int32_overlaps, 1)


def _first_best(predictions, images, boxes, owners, measure, least):
    """(P,) intp: the first box of the same image with the highest measure(predictions, boxes), if that is `least`."""
    best = np.full(len(predictions), -1, np.intp)
    of_image, to_image = np.argsort(images, kind="stable"), np.argsort(owners, kind="stable")
    known = np.unique(owners)
    starts, ends = np.searchsorted(images[of_image], known), np.searchsorted(images[of_image], known, side="right")
    boxes_by_image = np.split(to_image, np.searchsorted(owners[to_image], known[1:]))
    for start, end, candidates in zip(starts, ends, boxes_by_image, strict=False):
        step = max(1, _BLOCK // max(1, len(candidates)))
        for block in range(start, end, step):
            rows = of_image[block:min(block + step, end)]
            with np.errstate(all="ignore"):  # numbers near the largest float64 have no IoU
                values = measure(predictions[rows, None], boxes[None, candidates])
            most = values.argmax(axis=1)
            enough = values[np.arange(len(rows)), most] >= least
            best[rows[enough]] = candidates[most[enough]]
    return best


def _ious(a, b, extra):
    """IoU of x y w h boxes, those of a with those of b; -1 where they do not meet."""
    ax, ay, bx, by = a[..., 0] + a[..., 2], a[..., 1] + a[..., 3], b[..., 0] + b[..., 2], b[..., 1] + b[..., 3]
    width = np.minimum(ax, bx) - np.maximum(a[..., 0], b[..., 0]) + extra
    height = np.minimum(ay, by) - np.maximum(a[..., 1], b[..., 1]) + extra
    # The sides are those between the corners, not w and h, as in the official tools: the last bit may differ.
    union = (ax - a[..., 0] + extra) * (ay - a[..., 1] + extra) + (
        (bx - b[..., 0] + extra) * (by - b[..., 1] + extra)) - width * height
    meet = (width > 0) & (height > 0)  # so both areas are positive, and the union
    return np.divide(width * height, union, out=np.full(meet.shape, -1.0), where=meet)


def int32_corners(boxes: np.ndarray) -> np.ndarray:
    """(G, 4) float64: x1 y1 x2 y2 of boxes x y w h (G, 4), all rounded and limited as MATLAB does in int32."""
    boxes = _int32(np.asarray(boxes, np.float64).reshape(-1, 4))
    return np.concatenate([boxes[:, :2], _int32(boxes[:, :2] + boxes[:, 2:])], axis=1)


def _int32(values):
    """float64 values as MATLAB makes them int32: rounded, halves away from zero, and limited; NaN is 0."""
    whole = np.trunc(values)
    whole = whole + np.copysign(np.abs(values - whole) >= 0.5, values)
    return np.where(np.isnan(values), 0, np.clip(whole, -2.0**31, 2.0**31 - 1))


def _int32_overlaps(rows, corners):
    """Quotients of the official tools, whole numbers: rows x y w h as floats, corners x1 y1 x2 y2 of int32."""
    low, high = rows[..., :2], rows[..., :2] + rows[..., 2:4]
    area = np.prod(high - low + 1, axis=-1)
    sides = _int32(_int32(np.minimum(_int32(high), corners[..., 2:]) - np.maximum(_int32(low), corners[..., :2])) + 1)
    both = _int32(sides[..., 0] * sides[..., 1])
    other = _int32(_int32(corners[..., 2:] - corners[..., :2]) + 1)
    joint = _int32(_int32(_int32(other[..., 0] * other[..., 1]) + area) - both)
    return np.where((sides > 0).all(axis=-1), _int32(both / joint), 0)


def check_bytes(data: bytes) -> bytes:
    """Return the bytes; InputError for anything else."""
    if type(data) is not bytes:
        raise InputError(f"parse_faces: found an object of type {type(data).__name__}, expected bytes")
    return data


def parse_faces(data: bytes) -> np.ndarray | None:
    """The faces of a whole prediction file.

    Args:
        data: lines that end in LF, CR or CRLF: a name, the number N of faces, then five finite numbers per face, as
            Python's float reads them. Lines without text may follow.

    Returns:
        (N, 5) float64, x y w h score; None where anything is unusual.
    """
    lines = check_bytes(data).splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) < 2 or len(lines[0].split()) == 5:  # five fields may be a face: the line-by-line reader decides
        return None
    count, rows = lines[1].strip(), list(map(bytes.split, lines[2:]))
    if b"_" in b"".join(lines[2:]):  # Python reads 1_000 as a number
        return None
    if not count.isdigit() or count.lstrip(b"0") != str(len(rows) or "").encode() or not set(map(len, rows)) <= {5}:
        return None
    try:
        faces = np.array(list(map(float, chain.from_iterable(rows))), np.float64).reshape(-1, 5)
    except ValueError:
        return None
    return faces if np.isfinite(faces).all() else None
