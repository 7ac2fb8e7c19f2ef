"""Box geometry: IoU, anchor grids, box and landmark transforms, anchor targets.

Boxes are (N, 4) float32 x1 y1 x2 y2 in continuous pixels. Each function exists twice: compiled, and as a NumPy twin
(reference.py, reference_targets.py). The twin states the rule, and is used where nothing could be compiled.
"""

from ..compiled import warn_not_compiled
from .levels import Level, anchor_sides
from .reference import MAX_LOG_SCALE

try:
    from .anchors import anchor_grid
    from .bbox import overlaps
    from .targets import anchor_targets
    from .transforms import decode_boxes, decode_landmarks, encode_boxes, encode_landmarks

    COMPILED = True
except ImportError:
    from .reference import anchor_grid, decode_boxes, decode_landmarks, encode_boxes, encode_landmarks, overlaps
    from .reference_targets import anchor_targets

    COMPILED = False
    warn_not_compiled()

__all__ = ["COMPILED", "MAX_LOG_SCALE", "Level", "anchor_grid", "anchor_sides", "anchor_targets", "decode_boxes",
           "decode_landmarks", "encode_boxes", "encode_landmarks", "overlaps"]
