"""NumPy twins of the compiled functions: they state the rules, and are used where nothing could be compiled."""

from collections.abc import Sequence

import numpy as np

from ..boxes.checks import BOOL, as_array, as_boxes, as_image, as_number, as_numbers, as_size
from ..errors import InputError

FAR = 1e9  # px, or a factor: the largest number
ROW_UNITS, COLUMN_UNITS = 2**8, 2**14  # a weight of 1: sums of bytes over rows fit in 16 bits, over columns in 32


def shrink(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Make an image smaller: each pixel is the mean of the area of the source that it covers.

    Rows are weighted in units of 1/256, columns in units of 1/16384. The result equals OpenCV's INTER_AREA within one
    grey level.

    Args:
        image: (H, W, 3) uint8.
        size: (width, height) px, at least 1.

    Returns:
        (height, width, 3) uint8.

    Raises:
        InputError: for another kind of array or an empty one.

    Examples:
        >>> shrink(np.uint8([[[0, 0, 90]], [[60, 3, 90]], [[90, 6, 90]]]), (1, 1))
        array([[[50,  3, 90]]], dtype=uint8)
    """
    size = check_shrink(image, size)
    rows, columns = coverage(image.shape[0], size[1], ROW_UNITS), coverage(image.shape[1], size[0], COLUMN_UNITS)
    lines = sum(image[index].astype(np.uint32) * weight[:, None, None] for index, weight in rows)
    sums = sum(lines[:, index] * weight[:, None] for index, weight in columns)
    return ((sums + 2**21) >> 22).astype(np.uint8)


def coverage(source: int, target: int, units: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Compute the weights of source pixels in target pixels along one axis.

    A weight is the fraction of the target pixel that the source pixel covers, in `units`, as an integer. Weights summed
    from the first tap on are right within half a unit. All weights of a target pixel sum to `units`.

    Args:
        source: number of source pixels.
        target: number of target pixels.
        units: weight of a whole target pixel.

    Returns:
        One (index (target,), weights (target,)) per tap.
    """
    factor = source / target
    begin = np.arange(target) * factor
    first = np.floor(begin)
    taps = int(np.max(np.ceil(begin + factor) - first))
    edges = first[:, None] + np.arange(taps + 1)
    covered = np.rint(np.clip((edges - begin[:, None]) / factor, 0, 1) * units)
    covered[:, 0] = 0
    weights = np.diff(covered, axis=1).astype(np.uint32)
    index = np.minimum(edges[:, :-1], source - 1).astype(np.intp)
    return list(zip(index.T, weights.T, strict=True))


def check_shrink(image: np.ndarray, size: Sequence[int]) -> tuple[int, int]:
    """Return (width, height); InputError when shrink cannot take its arguments."""
    as_image(image, "shrink")
    return as_size(size)


def visible_faces(boxes: np.ndarray, ignore: np.ndarray, landmarks: np.ndarray, scale: Sequence[float],
                  shift: Sequence[float], size: Sequence[int], min_face: float, min_visible: float
                  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move the faces of an image into a window of it. Faces outside are removed, doubtful ones become ignore regions.

    Args:
        boxes: (N, 4) float32, x1 y1 x2 y2 px of the image.
        ignore: (N,) bool.
        landmarks: (N, P, 2) float32, x y px of the image, NaN = not labelled.
        scale: (x, y). A point moves to point * scale + shift.
        shift: (x, y) px.
        size: (width, height) px of the window.
        min_face: px of the window. A face with a shorter side is ignored.
        min_visible: fraction of the area, 0..1. A face with less than that inside the window is ignored.

    Returns:
        Of the K faces that are left, in order: boxes (K, 4) float32, clipped to the window; ignore (K,) bool; landmarks
        (K, P, 2) float32. If one landmark of a face is outside the window, all of them are NaN.

    Raises:
        InputError: when the arrays have wrong shapes.
    """
    boxes, ignore, landmarks, scale, shift, size, min_face, min_visible = check_faces(
        boxes, ignore, landmarks, scale, shift, size, min_face, min_visible)
    factors, begin, limits = (np.array(pair, np.float32) for pair in (scale, shift, size))
    boxes = boxes * np.tile(factors, 2) + np.tile(begin, 2)
    clipped = np.clip(boxes, 0, np.tile(limits, 2))
    inside, sides = clipped[:, 2:] - clipped[:, :2], boxes[:, 2:] - boxes[:, :2]
    kept = (inside > 0).all(axis=1)
    clipped, inside, sides = clipped[kept], inside[kept], sides[kept]
    visible = inside[:, 0] * inside[:, 1] / (sides[:, 0] * sides[:, 1])
    ignore = ignore[kept] | (visible < np.float32(min_visible)) | (sides < np.float32(min_face)).any(axis=1)
    landmarks = landmarks[kept] * factors + begin
    complete = ((landmarks >= 0) & (landmarks <= limits)).all(axis=(1, 2), keepdims=True)
    return clipped, ignore, np.where(complete, landmarks, np.float32(np.nan))


def check_faces(boxes: np.ndarray, ignore: np.ndarray, landmarks: np.ndarray, scale: Sequence[float],
                shift: Sequence[float], size: Sequence[float], min_face: float, min_visible: float
                ) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple, tuple, tuple, float, float]:
    """Check the arguments of visible_faces and convert them; shared with the compiled twin."""
    boxes, landmarks = as_boxes(boxes), as_array(landmarks, "landmarks")
    ignore = as_array(ignore, "ignore", None, dtype=BOOL)
    if len(boxes) != len(ignore) or landmarks.shape != (len(ignore), *landmarks.shape[1:2], 2):
        raise InputError(f"faces: found boxes {boxes.shape}, ignore {ignore.shape}, landmarks {landmarks.shape}; "
                         "expected (N, 4), (N,) and (N, points, 2)")
    return (boxes, ignore, landmarks, as_numbers(scale, "scale", 2, -FAR, FAR),
            as_numbers(shift, "shift", 2, -FAR, FAR), as_numbers(size, "size", 2, 0, FAR),
            as_number(min_face, "min_face", 0, FAR), as_number(min_visible, "min_visible", 0, FAR))
