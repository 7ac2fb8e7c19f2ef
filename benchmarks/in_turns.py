"""Time detectors in turns in one process, with AP on the images of WIDER FACE.

Each detector receives a few images, then the next one receives the same, so that a drift of the machine's speed affects
all equally. The time runs from the decoded image to the boxes. A turn begins with a call that is not counted, because
in normal use no other detector's weights are in the processor's cache before each image.
"""

import re
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from manyfaces.datasets.images import read_image
from manyfaces.errors import InputError
from manyfaces.evaluation import evaluate_wider, read_ground_truth, write_prediction_file
from manyfaces.progress import Progress

SETS = {"wider_events": "wider_events/images", "wider_crowd": "wider_crowd/images",
        "wider val": "wider/WIDER_val/images"}
TIMED = "wider val"
TRUTH = "wider_eval/ground_truth"
PAUSE = 0.1  # s before each turn: threads of ONNX Runtime spin for some tens of ms after its call, each bound to a core
TURN = 8  # images


def on_wider(detectors, data, limit=0, pred=None):
    """Measure every detector on each of SETS.

    TIMED comes first: OpenVINO compiles its model for the first sizes that come often, and for no later ones.

    Args:
        detectors: dict name -> function image -> Detections.
        data: folder of the data sets.
        limit: only this many images of each set; 0: all.
        pred: folder for the detections (see write_found); None: they are not kept.

    Returns:
        Three dicts by the detectors' names: the official easy / medium / hard AP on each of SETS, as text; seconds (N,)
        of the call on each image of TIMED; and processor seconds (N,) of all threads together.

    Raises:
        InputError: a folder holds no images or no ground truth.
    """
    data, aps, times = Path(data), {name: {} for name in detectors}, []
    truth = read_ground_truth(data / TRUTH)
    for title in sorted(SETS, key=lambda title: title != TIMED):
        images = images_of(data, title, limit)
        detections, *measured = in_turns(detectors, images, title)
        if pred is not None:
            write_found(pred, title, detections, [f"{path.parent.name}/{path.stem}" for path in images])
        for name in detectors:
            aps[name][title] = official_ap(detections[name], images, truth)
        times = times or measured
    return {name: [each[title] for title in SETS] for name, each in aps.items()}, *times


def images_of(data, title, limit=0):
    """Paths of the images of one of SETS, sorted; the first `limit` of them, 0: all.

    Raises:
        InputError: there are none.
    """
    images = sorted(Path(data, SETS[title]).glob("*/*.jpg"))[: limit or None]
    if not images:
        raise InputError(f"{Path(data, SETS[title])}: holds no event/name.jpg")
    return images


def write_found(folder, title, detections, names):
    """Write FOLDER/DETECTOR/SET/NAME.txt for tools/evaluate.py; in names, spaces and other special characters become _.

    Args:
        folder: where the files go.
        title: name of the set.
        detections: dict detector -> list of the Detections of each image.
        names: event/name of each image.
    """
    for detector, faces in detections.items():
        place = Path(folder, folder_name(detector), folder_name(title))
        for name, each in zip(names, faces, strict=True):
            write_prediction_file(place / f"{name}.txt", name, each.boxes, each.scores)


def folder_name(title):
    """The title with _ for spaces and other special characters."""
    return re.sub(r"[^\w.-]+", "_", title).strip("_")


def official_ap(detections, images, truth):
    """Easy, medium and hard AP by WIDER FACE's rules, as text; detections: one per image; images: event/name.jpg."""
    predictions = {}
    for path, faces in zip(images, detections, strict=True):
        rows = np.column_stack([faces.boxes[:, :2], faces.boxes[:, 2:] - faces.boxes[:, :2], faces.scores])
        predictions.setdefault(path.parent.name, {})[path.stem] = rows.astype(np.float64)
    result = evaluate_wider(predictions, truth, subset=True)
    return " ".join(f"{result[setting]:.3f}" for setting in ("easy", "medium", "hard"))


def in_turns(detectors, images, title=None):
    """Run each detector on every image.

    Args:
        detectors: dict name -> function image -> Detections.
        images: paths.
        title: of the images, for lines that report the progress; None: there are none.

    Returns:
        Three dicts by the detectors' names: lists of Detections, arrays of seconds and of processor seconds.
    """
    detections, seconds, processor = ({name: [] for name in detectors} for _ in range(3))
    with Progress(len(images), f"images of {title}") if title else nullcontext() as progress:
        for first in range(0, len(images), TURN):
            pictures = [read_image(path) for path in images[first : first + TURN]]
            for name, detect in detectors.items():
                time.sleep(PAUSE)
                detect(pictures[0])
                for picture in pictures:
                    start, busy = time.perf_counter(), time.process_time()
                    detections[name].append(detect(picture))
                    seconds[name].append(time.perf_counter() - start)
                    processor[name].append(time.process_time() - busy)
            if progress:
                progress.advance(len(pictures))
    return detections, *({name: np.array(values) for name, values in times.items()} for times in (seconds, processor))
