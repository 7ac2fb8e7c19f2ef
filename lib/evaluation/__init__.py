"""Prediction files in, average precision out: WIDER FACE, Pascal VOC, COCO, FDDB, landmarks.

The rules of each protocol are in a module of its own. files/ reads and writes, report/ shows where a detector is weak.
"""

from .by_height import evaluate_roidb
from .curve import Curve, Matches, curve_of
from .files.ground_truth import SETTINGS, GroundTruth, read_ground_truth
from .files.predictions import Skipped, read_prediction_file, read_predictions, write_prediction_file
from .tables import print_table
from .voc import ap50
from .wider import average_precision, evaluate_wider, match_wider, result_of

__all__ = ["SETTINGS", "Curve", "GroundTruth", "Matches", "Skipped", "ap50", "average_precision", "curve_of",
           "evaluate_roidb", "evaluate_wider", "match_wider", "print_table", "read_ground_truth",
           "read_prediction_file", "read_predictions", "result_of", "write_prediction_file"]
