"""Matching and parsing: compiled where possible, otherwise the NumPy twins of reference.py."""

from ..compiled import warn_not_compiled

try:
    from .files.prediction_text import parse_faces
    from .match import best_boxes, official_boxes

    COMPILED = True
except ImportError:
    from .reference import best_boxes, official_boxes, parse_faces

    COMPILED = False
    warn_not_compiled()

__all__ = ["COMPILED", "best_boxes", "official_boxes", "parse_faces"]
