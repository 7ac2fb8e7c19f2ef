"""Prediction files in, average precision out."""

from .predictions import Skipped, read_prediction_file, read_predictions, write_prediction_file
from .report import evaluate_roidb, print_table
from .voc import ap50
from .wider import GroundTruth, average_precision, evaluate_wider, read_ground_truth

__all__ = ["GroundTruth", "Skipped", "ap50", "average_precision", "evaluate_roidb", "evaluate_wider", "print_table",
           "read_ground_truth", "read_prediction_file", "read_predictions", "write_prediction_file"]
