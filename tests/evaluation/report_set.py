"""A toy data set with predictions that have errors of every kind, for the tests of the report."""

import json

import numpy as np

from manyfaces.datasets import READERS
from manyfaces.evaluation import write_prediction_file


def write_predictions(folder, toy, seed=0, settings=True):
    """Write prediction files below `folder` for the toy set (the fixture `toy`); returns the folder.

    In every image the tallest face is missed or badly localised, others have a second prediction, and one prediction is
    on the background.
    """
    rng = np.random.default_rng(seed)
    for index, record in enumerate(READERS["wider"](toy["labels"], toy["images"]).records):
        boxes, scores = record.boxes.astype(float), rng.uniform(0.1, 1, len(record.boxes))
        tall = np.argsort(boxes[:, 1] - boxes[:, 3])
        if len(boxes):
            beside = boxes[tall[0]] + 0.55 * (boxes[tall[0], 2] - boxes[tall[0], 0]) * np.array([1, 0, 1, 0])
            boxes[tall[0]] = beside if index % 2 else [1, 1, 12, 12]
        if len(boxes) > 2:
            boxes, scores = np.concatenate([boxes, boxes[tall[1:2]] + 0.5]), np.append(scores, 0.05)
        falling = np.argsort(-scores)
        write_prediction_file(folder / f"{record.name}.txt", record.image, boxes[falling], scores[falling])
    if settings:
        (folder / "settings.json").write_text(json.dumps({
            "name": "toy <net>", "weights": "toy.weights.h5", "sha256": "0123456789abcdef" * 4, "scales": [0.5, 1.0],
            "flip": True, "max_side": 0, "score": 0.02, "nms": 0.3, "nms_method": "hard", "top": 1000, "keep": 750}))
    return folder
