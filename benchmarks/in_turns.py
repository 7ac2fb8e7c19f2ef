"""Detectors in turns: each sees a few images, then the next one sees the same, so that a drift of the machine's speed
meets each alike; with AP where the images are those of WIDER FACE.

A time runs from the decoded image to the boxes. A turn begins with a call that is not counted: who uses a detector uses
one, and does not find another's weights in the processor's cache before each image.
"""

import re
import time
from pathlib import Path

import numpy as np

from manyfaces.datasets.images import read_image
from manyfaces.errors import InputError
from manyfaces.evaluation import evaluate_wider, read_ground_truth, write_prediction_file

SETS = {"wider val": "wider/WIDER_val/images", "wider_crowd": "wider_crowd/images"}
TRUTH = "wider_eval/ground_truth"
PAUSE = 0.05  # s before each turn: threads that still wait for work of the one before would slow it
TURN = 8  # images


def on_wider(detectors, data, limit=0, pred=None):
    """Every detector on wider val and wider_crowd.

    Returns three dicts by the detectors' names: the official easy / medium / hard AP on each set, as text; seconds
    (N,) of the call on each image of wider val; and processor seconds (N,), those of all threads together. pred: folder
    for what was found (write_found); None: it is not kept.
    Raises InputError where a folder holds no images or no ground truth.
    """
    data, columns, times = Path(data), {name: [] for name in detectors}, None
    truth = read_ground_truth(data / TRUTH)
    for title, folder in SETS.items():
        images = sorted((data / folder).glob("*/*.jpg"))[: limit or None]
        if not images:
            raise InputError(f"{data / folder}: holds no event/name.jpg")
        found, *measured = in_turns(detectors, images)
        if pred is not None:
            write_found(pred, title, found, [f"{path.parent.name}/{path.stem}" for path in images])
        for name in detectors:
            columns[name].append(official_ap(found[name], images, truth))
        times = times or measured
    return columns, *times


def write_found(folder, title, found, names):
    """Files FOLDER/DETECTOR/SET/NAME.txt for tools/evaluate.py, in the words' letters, digits and dots.

    title: of the set. found: dict detector -> Detections of each image. names: event/name of the images.
    """
    for detector, faces in found.items():
        place = Path(folder, *(re.sub(r"[^\w.-]+", "_", word).strip("_") for word in (detector, title)))
        for name, each in zip(names, faces, strict=True):
            write_prediction_file(place / f"{name}.txt", name, each.boxes, each.scores)


def official_ap(found, images, truth):
    """Easy, medium and hard AP as text, of the Detections on images event/name.jpg by WIDER FACE's rules."""
    predictions = {}
    for path, faces in zip(images, found, strict=True):
        rows = np.column_stack([faces.boxes[:, :2], faces.boxes[:, 2:] - faces.boxes[:, :2], faces.scores])
        predictions.setdefault(path.parent.name, {})[path.stem] = rows.astype(np.float64)
    result = evaluate_wider(predictions, truth, subset=True)
    return " ".join(f"{result[setting]:.3f}" for setting in ("easy", "medium", "hard"))


def in_turns(detectors, images):
    """Detections, seconds and processor seconds of each detector on every image (a path): dicts of lists and arrays."""
    found, seconds, processor = ({name: [] for name in detectors} for _ in range(3))
    for first in range(0, len(images), TURN):
        pictures = [read_image(path) for path in images[first : first + TURN]]
        for name, detect in detectors.items():
            time.sleep(PAUSE)
            detect(pictures[0])
            for picture in pictures:
                start, busy = time.perf_counter(), time.process_time()
                found[name].append(detect(picture))
                seconds[name].append(time.perf_counter() - start)
                processor[name].append(time.process_time() - busy)
    return found, *({name: np.array(values) for name, values in times.items()} for times in (seconds, processor))
