"""Box and landmark transforms, compiled; the rules are stated by the twins in reference.py.

One pass over each row in float64. Results equal the twins' but for the last bit of a logarithm or an exponential, which
NumPy takes from another library.
"""

import numpy as np

from ..errors import InputError
from .checks import as_array, as_boxes, same_length
from .reference import MAX_LOG_SCALE, as_landmarks, positive_sides

from libc.math cimport exp, log


def encode_boxes(boxes, anchors, variances=(0.1, 0.2)):
    """(N, 4) float32 offsets that move each anchor onto its box: see reference.encode_boxes."""
    boxes, anchors = as_boxes(boxes), as_boxes(anchors, "anchors")
    same_length(boxes, anchors, ("boxes", "anchors"))
    deltas = np.empty_like(boxes)
    if not encode(boxes, anchors, variances[0], variances[1], deltas):
        positive_sides(boxes, "boxes")  # one of the two raises and says which box it is
        positive_sides(anchors, "anchors")
    return deltas


cdef bint encode(const float[:, ::1] boxes, const float[:, ::1] anchors, double move, double scale,
                 float[:, ::1] deltas) noexcept nogil:
    """False when a box or an anchor has a side that is not positive."""
    cdef Py_ssize_t n, axis
    cdef double side, base
    for n in range(boxes.shape[0]):
        for axis in range(2):
            side = <double>boxes[n, axis + 2] - boxes[n, axis]
            base = <double>anchors[n, axis + 2] - anchors[n, axis]
            if not (side > 0 and base > 0):
                return False
            deltas[n, axis] = <float>(((boxes[n, axis] + 0.5 * side) - (anchors[n, axis] + 0.5 * base)) / base / move)
            deltas[n, axis + 2] = <float>(log(side / base) / scale)
    return True


def decode_boxes(deltas, anchors, variances=(0.1, 0.2)):
    """(N, 4) float32 boxes that offsets make of anchors: see reference.decode_boxes."""
    deltas, anchors = as_array(deltas, "deltas", None, 4), as_boxes(anchors, "anchors")
    same_length(deltas, anchors, ("deltas", "anchors"))
    boxes = np.empty_like(anchors)
    decode(deltas, anchors, variances[0], variances[1], MAX_LOG_SCALE, boxes)
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
    """(N, 2 * P) float32 offsets of points from their anchor's centre: see reference.encode_landmarks."""
    landmarks, anchors = as_landmarks(landmarks), as_boxes(anchors, "anchors")
    same_length(landmarks, anchors, ("landmarks", "anchors"))
    positive_sides(anchors, "anchors")
    deltas = np.empty((len(anchors), 2 * landmarks.shape[1]), dtype=np.float32)
    points_out(landmarks, anchors, variance, deltas)
    return deltas


cdef void points_out(const float[:, :, ::1] landmarks, const float[:, ::1] anchors, double variance,
                     float[:, ::1] deltas) noexcept nogil:
    cdef Py_ssize_t n, p, axis
    cdef double base, centre
    for n in range(landmarks.shape[0]):
        for axis in range(2):
            base = <double>anchors[n, axis + 2] - anchors[n, axis]
            centre = anchors[n, axis] + 0.5 * base
            for p in range(landmarks.shape[1]):
                deltas[n, 2 * p + axis] = <float>((landmarks[n, p, axis] - centre) / base / variance)


def decode_landmarks(deltas, anchors, variance=0.1):
    """(N, P, 2) float32 points that offsets mean at their anchors: see reference.decode_landmarks."""
    deltas, anchors = as_array(deltas, "deltas", None, None), as_boxes(anchors, "anchors")
    same_length(deltas, anchors, ("deltas", "anchors"))
    if deltas.shape[1] % 2:
        raise InputError(f"deltas: found {deltas.shape[1]} numbers a row, expected pairs x y")
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
