"""Whole detectors beside each other: AP on data sets laid out like the project's, and time of the whole call.

All detectors see the same images one after the other, so that a drift of the machine's speed meets each alike. A time
runs from the decoded image to the boxes.
"""

import time
from pathlib import Path

import numpy as np

from ..datasets.images import read_image
from ..datasets.roidb import load_roidb
from ..errors import InputError
from ..evaluation import evaluate_wider, read_ground_truth
from ..evaluation.voc import ap50
from .timing import Table

COLUMNS = ("detector", "wider val", "wider_crowd", "facemask AP50", "AP50 < 20 px", "ms", "ms p90")


def compare(detectors, data, pickles, limit=0):
    """Table of every detector (dict name -> function image -> Detections) on the data sets below the folder `data`.

    wider val and wider_crowd: official easy / medium / hard AP over the images that are there; facemask val: AP at
    IoU 0.5, of all faces and of those under 20 px. `pickles` holds facemask_val.pkl; ms: median and 90th percentile
    over wider val. limit: so many images of each set only (0: all).
    """
    data = Path(data)
    truth = read_ground_truth(data / "wider_eval" / "ground_truth")
    columns, first = {name: [] for name in detectors}, None
    for folder in ("wider/WIDER_val/images", "wider_crowd/images"):
        images = sorted((data / folder).glob("*/*.jpg"))[: limit or None]
        if not images:
            raise InputError(f"{data / folder}: holds no event/name.jpg")
        found, times = _run(detectors, images)
        for name in detectors:
            predictions = {}
            for path, faces in zip(images, found[name], strict=True):
                rows = np.column_stack([faces.boxes[:, :2], faces.boxes[:, 2:] - faces.boxes[:, :2], faces.scores])
                predictions.setdefault(path.parent.name, {})[path.stem] = rows.astype(np.float64)
            result = evaluate_wider(predictions, truth, subset=True)
            columns[name].append(" ".join(f"{result[s]:.3f}" for s in ("easy", "medium", "hard")))
        first = first or times
    records = load_roidb(Path(pickles) / "facemask_val.pkl").records[: limit or None]
    found, _ = _run(detectors, [record.path for record in records])
    rows = []
    for name in detectors:
        parts = [ap50(found[name], records, heights)["ap"] for heights in ((0, np.inf), (0, 20))]
        ms = np.array(first[name]) * 1e3
        rows.append([name, *columns[name], *(f"{part:.3f}" for part in parts),
                     f"{np.median(ms):.1f}", f"{np.percentile(ms, 90):.1f}"])
    return Table("Detectors, one scale, no flip, score >= 0.02 (wider: easy medium hard AP)", COLUMNS, rows,
                 "ms: whole call, decoded image in, boxes out; median and 90th percentile over wider val.")


def _run(detectors, images):
    """Detections and seconds of every detector on every image, in turns; a first call of each is not counted."""
    found, times = {name: [] for name in detectors}, {name: [] for name in detectors}
    for number, path in enumerate(images):
        image = read_image(path)
        for name, detect in detectors.items():
            if number == 0:
                detect(image)
            start = time.perf_counter()
            found[name].append(detect(image))
            times[name].append(time.perf_counter() - start)
    return found, times
