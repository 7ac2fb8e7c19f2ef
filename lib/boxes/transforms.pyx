"""Box and landmark transforms, compiled; the twins in reference.py state the rules.

One pass over each row, in float64. Results equal the twins' except for the last bit of a logarithm or an exponential,
which NumPy takes from another library.
"""

import numpy as np

from ..errors import InputError
from .checks import as_array, as_boxes
from .reference import MAX_LOG_SCALE, as_landmarks, check_coded, check_points, positive_sides

from libc.math cimport INFINITY, exp, log


def encode_boxes(boxes, anchors, variances=(0.1, 0.2)):
    """Offsets that move each anchor onto its box; see reference.encode_boxes.

    Args:
        boxes (ArrayLike): (N, 4) float32 x1 y1 x2 y2 in px, every side > 0.
        anchors (ArrayLike): (N, 4) float32 x1 y1 x2 y2 in px, every side > 0.
        variances (Sequence[float]): unit of the offsets of the centre, and unit of the logarithms of the sides.

    Returns:
        np.ndarray: (N, 4) float32 dx dy dw dh.

    Raises:
        InputError: a shape is wrong, the lengths differ, or a side is not positive.
    """
    boxes, anchors, (move, scale) = check_coded(as_boxes(boxes), anchors, variances, "boxes")
    deltas = np.empty_like(boxes)
    if not encode(boxes, anchors, move, scale, deltas):
        positive_sides(boxes, "boxes")  # one of the two raises and names the box
        positive_sides(anchors, "anchors")
    return deltas


cdef bint encode(const float[:, ::1] boxes, const float[:, ::1] anchors, double move, double scale,
                 float[:, ::1] deltas) noexcept nogil:
    """False when a box or an anchor has a side that is not positive and finite."""
    cdef Py_ssize_t n, axis
    cdef double side, base
    for n in range(boxes.shape[0]):
        for axis in range(2):
            side = <double>boxes[n, axis + 2] - boxes[n, axis]
            base = <double>anchors[n, axis + 2] - anchors[n, axis]
            if not (0 < side < INFINITY and 0 < base < INFINITY):
                return False
            deltas[n, axis] = <float>(((boxes[n, axis] + 0.5 * side) - (anchors[n, axis] + 0.5 * base)) / base / move)
            deltas[n, axis + 2] = <float>(log(side / base) / scale)
    return True


def decode_boxes(deltas, anchors, variances=(0.1, 0.2)):
    """Boxes from the offsets of anchors; see reference.decode_boxes.

    Args:
        deltas (ArrayLike): (N, 4) float32 offsets as from encode_boxes.
        anchors (ArrayLike): (N, 4) float32 x1 y1 x2 y2 in px.
        variances (Sequence[float]): the variances that the offsets were encoded with.

    Returns:
        np.ndarray: (N, 4) float32 x1 y1 x2 y2 in px.

    Raises:
        InputError: a shape is wrong, or the lengths differ.
    """
    deltas, anchors, (move, scale) = check_coded(as_array(deltas, "deltas", None, 4), anchors, variances, "deltas")
    boxes = np.empty_like(anchors)
    decode(deltas, anchors, move, scale, MAX_LOG_SCALE, boxes)
    return boxes


cdef void decode(const float[:, ::1] deltas, const float[:, ::1] anchors, double move, double scale, double limit,
                 float[:, ::1] boxes) noexcept nogil:
    cdef Py_ssize_t n, axis
    cdef double base, centre, half, nats
    for n in range(deltas.shape[0]):
        for axis in range(2):
            base = <double>anchors[n, axis + 2] - anchors[n, axis]
            centre = (anchors[n, axis] + 0.5 * base) + deltas[n, axis] * move * base
            nats = deltas[n, axis + 2] * scale
            half = 0.5 * base * exp(limit if nats > limit else nats)
            boxes[n, axis] = <float>(centre - half)
            boxes[n, axis + 2] = <float>(centre + half)


def encode_landmarks(landmarks, anchors, variance=0.1):
    """Offsets of landmarks from the centre of their anchor; see reference.encode_landmarks.

    Args:
        landmarks (ArrayLike): (N, P, 2) float32 x y in px, NaN = not labelled.
        anchors (ArrayLike): (N, 4) float32 x1 y1 x2 y2 in px, every side > 0.
        variance (float): unit of the offsets.

    Returns:
        np.ndarray: (N, 2 * P) float32 x0 y0 x1 y1 ...

    Raises:
        InputError: a shape is wrong, the lengths differ, or an anchor has no area.
    """
    landmarks, anchors, variance = check_points(as_landmarks(landmarks), anchors, variance, "landmarks")
    deltas = np.empty((len(anchors), 2 * landmarks.shape[1]), dtype=np.float32)
    if not points_out(landmarks, anchors, variance, deltas):
        positive_sides(anchors, "anchors")  # raises and names the anchor
    return deltas


cdef bint points_out(const float[:, :, ::1] landmarks, const float[:, ::1] anchors, double variance,
                     float[:, ::1] deltas) noexcept nogil:
    """False when an anchor has a side that is not positive and finite."""
    cdef Py_ssize_t n, p, axis
    cdef double base, centre
    for n in range(landmarks.shape[0]):
        for axis in range(2):
            base = <double>anchors[n, axis + 2] - anchors[n, axis]
            if not 0 < base < INFINITY:
                return False
            centre = anchors[n, axis] + 0.5 * base
            for p in range(landmarks.shape[1]):
                deltas[n, 2 * p + axis] = <float>((landmarks[n, p, axis] - centre) / base / variance)
    return True


def decode_landmarks(deltas, anchors, variance=0.1):
    """Landmarks from the offsets of anchors; see reference.decode_landmarks.

    Args:
        deltas (ArrayLike): (N, 2 * P) float32 offsets as from encode_landmarks.
        anchors (ArrayLike): (N, 4) float32 x1 y1 x2 y2 in px.
        variance (float): the variance that the offsets were encoded with.

    Returns:
        np.ndarray: (N, P, 2) float32 x y in px.

    Raises:
        InputError: a shape is wrong, the lengths differ, or a row of `deltas` is not made of pairs.
    """
    deltas, anchors, variance = check_points(as_array(deltas, "deltas", None, None), anchors, variance, "deltas")
    if deltas.shape[1] % 2:
        raise InputError(f"deltas: found {deltas.shape[1]} numbers per row, expected pairs x y")
    landmarks = np.empty((len(deltas), deltas.shape[1] // 2, 2), dtype=np.float32)
    points_in(deltas, anchors, variance, landmarks)
    return landmarks


cdef void points_in(const float[:, ::1] deltas, const float[:, ::1] anchors, double variance,
                    float[:, :, ::1] landmarks) noexcept nogil:
    cdef Py_ssize_t n, p, axis
    cdef double base, centre
    for n in range(deltas.shape[0]):
        for axis in range(2):
            base = <double>anchors[n, axis + 2] - anchors[n, axis]
            centre = anchors[n, axis] + 0.5 * base
            for p in range(landmarks.shape[1]):
                landmarks[n, p, axis] = <float>(centre + deltas[n, 2 * p + axis] * variance * base)
