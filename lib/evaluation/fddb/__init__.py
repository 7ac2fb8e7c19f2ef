"""FDDB: ellipses as ground truth, IoU of pixel masks, best matching, discrete and continuous ROC."""

from .files import Fold, read_detections, read_fddb, read_sizes, write_detections
from .protocol import evaluate_fddb
from .roc import POINTS, FddbResult, Roc

__all__ = ["POINTS", "FddbResult", "Fold", "Roc", "evaluate_fddb", "read_detections", "read_fddb", "read_sizes",
           "write_detections"]
