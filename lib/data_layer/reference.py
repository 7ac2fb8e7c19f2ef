"""NumPy twins of the compiled parts of a minibatch: they state the rules, and serve where nothing could be compiled."""

import numpy as np

from ..errors import InputError

ROW_UNITS, COLUMN_UNITS = 2**8, 2**14  # a weight of 1: sums of bytes by rows fit in 16 bits, by columns in 32


def shrink(image, size):
    """An image made smaller: each pixel is the mean of the area of the source that it covers.

    image: (H, W, 3) uint8. size: (width, height) px, at least 1. Returns (height, width, 3) uint8, equal to OpenCV's
    INTER_AREA within one grey level: rows are weighed in units of 1/256, columns in units of 1/16384.
    Raises InputError for another kind of array or an empty one.

    >>> shrink(np.uint8([[[0, 0, 90]], [[60, 3, 90]], [[90, 6, 90]]]), (1, 1))
    array([[[50,  3, 90]]], dtype=uint8)
    """
    check_shrink(image, size)
    rows, columns = coverage(image.shape[0], size[1], ROW_UNITS), coverage(image.shape[1], size[0], COLUMN_UNITS)
    lines = sum(image[index].astype(np.uint32) * weight[:, None, None] for index, weight in rows)
    sums = sum(lines[:, index] * weight[:, None] for index, weight in columns)
    return ((sums + 2**21) >> 22).astype(np.uint8)


def coverage(source, target, units):
    """How `source` pixels share in `target` pixels along an axis: a list of taps (index (target,), weights (target,)).

    Weights are integers that sum to `units` over the taps: the covered part of each source pixel, rounded so that the
    part covered up to any pixel is right within half a unit.
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


def check_shrink(image, size):
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size or min(size) < 1:
        raise InputError(f"shrink: found {image.dtype} {image.shape} to {size}, expected uint8 (H, W, 3) and "
                         "sides >= 1")


def visible_faces(boxes, ignore, landmarks, scale, shift, size, min_face, min_visible):
    """Faces as a window of the image shows them: those outside go, doubtful ones become ignore regions.

    boxes (N, 4) float32 px, ignore (N,) bool, landmarks (N, P, 2) float32, NaN = not labelled. A point moves to
    point * scale + shift, each of them (x, y); size: (width, height) px of the window.
    A face is ignored where less than `min_visible` of its area is inside or its shorter side is under `min_face` px of
    the window. Where a landmark is outside, all of that face become NaN.
    Returns (boxes (K, 4) clipped to the window, ignore (K,), landmarks (K, P, 2)) of the faces that are left, in order.
    """
    boxes, ignore, landmarks = check_faces(boxes, ignore, landmarks)
    scale, shift, limits = np.float32(scale), np.float32(shift), np.float32(size)
    boxes = boxes * np.tile(scale, 2) + np.tile(shift, 2)
    clipped = np.clip(boxes, 0, np.tile(limits, 2))
    sides, whole = clipped[:, 2:] - clipped[:, :2], boxes[:, 2:] - boxes[:, :2]
    kept = (sides > 0).all(axis=1)
    clipped, sides, whole = clipped[kept], sides[kept], whole[kept]
    visible = sides[:, 0] * sides[:, 1] / (whole[:, 0] * whole[:, 1])
    ignore = ignore[kept] | (visible < np.float32(min_visible)) | (whole < np.float32(min_face)).any(axis=1)
    landmarks = landmarks[kept] * scale + shift
    inside = ((landmarks >= 0) & (landmarks <= limits)).all(axis=(1, 2))
    return clipped, ignore, np.where(inside[:, None, None], landmarks, np.float32(np.nan))


def check_faces(boxes, ignore, landmarks):
    boxes = np.ascontiguousarray(boxes, dtype=np.float32)
    ignore, landmarks = np.ascontiguousarray(ignore, dtype=bool), np.ascontiguousarray(landmarks, dtype=np.float32)
    count = len(ignore)
    if boxes.shape != (count, 4) or ignore.ndim != 1 or landmarks.shape != (count, *landmarks.shape[1:2], 2):
        raise InputError(f"faces: found boxes {boxes.shape}, ignore {ignore.shape}, landmarks {landmarks.shape}; "
                         "expected (N, 4), (N,) and (N, points, 2)")
    return boxes, ignore, landmarks
