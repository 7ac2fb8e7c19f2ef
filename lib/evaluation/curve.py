"""The area under a precision-recall curve, as Pascal VOC (2010 and later) defines it; WIDER FACE uses the same."""

import numpy as np


def area_under_curve(recall, precision):
    """All-point average precision: the area under the monotone envelope of the curve.

    recall, precision: (N,) floats along falling thresholds; recall does not fall. Returns a float, 0 for N = 0.
    """
    recall = np.concatenate([[0.0], recall, [1.0]])
    precision = np.concatenate([[0.0], precision, [0.0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope[1:]))
