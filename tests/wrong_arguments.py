"""Calls every compiled function and its twin with wrong arguments; tests/test_wrong_arguments.py runs it as a program.

A crash or a hang would end pytest itself. Here it ends a child process, whose last line on stderr names the call.
"""

import itertools
import json
import resource
import sys
import warnings

import numpy as np

from manyfaces import boxes, cascade, data_layer, nms
from manyfaces.boxes import reference as box_twins
from manyfaces.boxes import reference_targets
from manyfaces.cascade import reference as cascade_twins
from manyfaces.data_layer import reference as data_twins
from manyfaces.evaluation import matching
from manyfaces.evaluation import reference as evaluation_twins
from manyfaces.nms import reference as nms_twins

FACES = np.array([[0, 0, 20, 20], [5, 5, 30, 28], [40, 8, 60, 31]], np.float32)
SCORES = np.array([0.9, 0.8, 0.7], np.float32)
POINTS = np.zeros((3, 5, 2), np.float32)
IMAGE = np.arange(12 * 15 * 3, dtype=np.uint8).reshape(12, 15, 3)
WINDOWS = np.array([[0, 0, 9, 9], [-3, -2, 20, 15]])
NUMBERS = np.arange(3)

# Function and twin, and valid values of all of its arguments.
CALLS = {
    "anchor_grid": (boxes.anchor_grid, box_twins.anchor_grid, (3, 4, 8, (16, 32), (1.0,))),
    "overlaps": (boxes.overlaps, box_twins.overlaps, (FACES, FACES)),
    "anchor_targets": (boxes.anchor_targets, reference_targets.anchor_targets,
                       ([(6, 8, 8, (16, 32)), boxes.Level(3, 4, 16, (40,), (1.0,), 0)], FACES,
                        np.array([False, True, False]), (64, 48), 0.5, 0.3, 0.2, 5, 0.5)),
    "encode_boxes": (boxes.encode_boxes, box_twins.encode_boxes, (FACES, FACES + 1, (0.1, 0.2))),
    "decode_boxes": (boxes.decode_boxes, box_twins.decode_boxes, (FACES / 50, FACES, (0.1, 0.2))),
    "encode_landmarks": (boxes.encode_landmarks, box_twins.encode_landmarks, (POINTS, FACES, 0.1)),
    "decode_landmarks": (boxes.decode_landmarks, box_twins.decode_landmarks, (POINTS.reshape(3, 10), FACES, 0.1)),
    "nms": (nms.nms, nms_twins.nms, (FACES, SCORES, 0.3, 2)),
    "min_nms": (nms.min_nms, nms_twins.min_nms, (FACES, SCORES, 0.3)),
    "soft_nms": (nms.soft_nms, nms_twins.soft_nms, (FACES, SCORES, "linear", 0.3, 0.5, 0.001)),
    "resample": (cascade.resample, cascade_twins.resample, (IMAGE, WINDOWS, (6, 4), "smooth", 114, np.uint8)),
    "resample_into": (cascade.resample_into, cascade_twins.resample_into,
                      (IMAGE, np.zeros((5, 7, 3), np.uint8), "mean")),
    "shrink": (data_layer.shrink, data_twins.shrink, (IMAGE, (6, 4))),
    "visible_faces": (data_layer.visible_faces, data_twins.visible_faces,
                      (FACES, np.array([False, True, False]), POINTS, (0.5, 0.5), (1, 1), (30, 30), 4, 0.3)),
    "best_boxes": (matching.best_boxes, evaluation_twins.best_boxes,
                   (np.column_stack([FACES, SCORES]).astype(float), NUMBERS, FACES.astype(float), NUMBERS, 0.5, 1.0)),
    "official_boxes": (matching.official_boxes, evaluation_twins.official_boxes,
                       (np.column_stack([FACES, SCORES]).astype(float), NUMBERS, FACES.astype(float), NUMBERS)),
    "parse_faces": (matching.parse_faces, evaluation_twins.parse_faces, (b"a\n1\n1 2 3 4 0.5\n",)),
}

WRONG = {
    "None": None, "text": "abc", "empty text": "", "bytes": b"\0\xff", "true": True, "dict": {}, "object": object(),
    "zero": 0, "minus one": -1, "half": 0.5, "NaN": float("nan"), "infinity": float("inf"), "huge": 1 << 31,
    "beyond 64 bits": 1 << 70, "minus huge": -(1 << 63), "large float": 1e300, "denormal": 5e-324, "complex": 1j,
    "beyond floats": 10**400, "pair beyond floats": (10**400, 48),
    "empty tuple": (), "one": (1,), "zeros": (0, 0), "minus ones": (-1, -1), "huge pair": (1 << 31, 1 << 31),
    "NaN pair": (float("nan"), 1.0), "tiny pair": (5e-324, 1e308), "three": (1, 2, 3), "texts": ("a", "b"),
    "ragged": [[1, 2], [3]], "nested": [[[[1]]]], "pairs": [(1, 2), (3, 4)], "no rows": np.zeros((0, 4)),
    "no columns": np.zeros((3, 0)), "scalar array": np.array(3.0), "objects": np.array([None, {}], object),
    "NaN array": np.full((3, 4), np.nan), "infinite array": np.full((3, 4), np.inf, np.float32),
    "huge array": np.full((3, 4), 3e38, np.float32), "whole numbers": np.full((3, 4), -(1 << 63)),
    "far windows": np.array([[0, 0, 1 << 31, 1 << 31], [-(1 << 62), 0, 1 << 62, 5], [0, 0, 60000, 60000]]),
    "five columns": np.ones((3, 5)), "many rows": np.ones((1000, 4), np.float32),
    "negative numbers": np.array([-9] * 3),
    "far numbers": np.array([0, 1, 10**9]), "one number": np.array([7]), "times": np.zeros(3, "M8[s]"),
    "not contiguous": np.ones((8, 6, 6, 3), np.uint8)[::2, ::-2, 1, :], "columns first": np.asfortranarray(FACES),
    "upside down": IMAGE[::-1], "mirrored": IMAGE[:, ::-1],
    "read only": np.frombuffer(bytes(45), np.uint8).reshape(3, 5, 3),
    "float image": IMAGE.astype(float), "grey": IMAGE[..., 0], "no pixels": IMAGE[:0], "endless": itertools.count(),
}


def outcome(function, arguments):
    """What a call ends in: its results, or the exception's name and text."""
    try:
        result = function(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return (arguments[1],) if function.__name__ == "resample_into" else (
        result if isinstance(result, tuple) else (result,))


def equal(first, second):
    """Whether two calls end in the same: results may differ in the last bits of a logarithm or an exponential."""
    if isinstance(first, str) or isinstance(second, str):
        return isinstance(first, str) and isinstance(second, str) and first == second
    return all((a is None and b is None) or (a.dtype == b.dtype and a.shape == b.shape
                                             and np.allclose(a, b, rtol=1e-5, equal_nan=True))
               for a, b in zip(first, second, strict=True))


def copies(arguments):
    """The arguments with arrays of their own, since resample_into writes to one."""
    return [argument.copy() if isinstance(argument, np.ndarray) and argument.shape == (5, 7, 3) else argument
            for argument in arguments]


def main():
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    for name, (function, twin, valid) in CALLS.items():
        cases = {"valid": valid}
        cases |= {f"argument {place} {kind}": (*valid[:place], value, *valid[place + 1 :])
                  for place in range(len(valid)) for kind, value in WRONG.items()}
        cases |= {f"first two {kind}": (value, value, *valid[2:]) for kind, value in WRONG.items() if len(valid) > 1}
        for case, arguments in cases.items():
            print(f"{name} {case}", file=sys.stderr, flush=True)
            compiled, plain = outcome(function, copies(arguments)), outcome(twin, copies(arguments))
            text = compiled if isinstance(compiled, str) else "returned"
            print(json.dumps([name, case, text, equal(compiled, plain)]))


if __name__ == "__main__":
    main()
