"""The WIDER protocol on a folder of predictions: ours, and plain loops like those of the common Python ports.

Such a port handles one setting and one image after the other, computes a row of IoUs for each prediction, and cuts each
image's predictions at each of the 1,000 thresholds. Both are timed in processor time, so that other work on the machine
does not count. They must give the same average precision.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from manyfaces.errors import InputError
from manyfaces.evaluation import GroundTruth, read_ground_truth, read_predictions, write_prediction_file
from manyfaces.evaluation.curve import curve_of
from manyfaces.evaluation.files.ground_truth import SETTINGS
from manyfaces.evaluation.matching import COMPILED
from manyfaces.evaluation.wider import match_wider

from .candidates import crowd_candidates
from .timing import Table
from .wider_losses import losses


def run(pred: str | None = None, gt: str | None = None, every: int = 1, repeats: int = 5) -> list[Table]:
    """Time the protocol, and measure what lossy predictions cost.

    Args:
        pred: folder of predictions; None, like gt: a made-up set of 400 images.
        gt: folder of the official ground truth.
        every: only every N-th image, because the loops take a minute on the whole validation set.
        repeats: runs of ours, whose median counts; the loops run once.

    Returns:
        Two Tables: milliseconds of parsing and of matching with three curves, for ours and the loops, with their
        ratio; and AP after each loss (see wider_losses).

    Raises:
        InputError: only one of pred and gt is given.
        RuntimeError: the two APs differ by more than 1e-9.
    """
    if (pred is None) != (gt is None):
        raise InputError("benchmark of the WIDER protocol: found one of --pred and --gt, expected both or none")
    with tempfile.TemporaryDirectory() as folder:
        truth, source = read_ground_truth(gt) if gt else _made_up(folder), pred or "made-up predictions"
        truth, pred = truth[::every], pred or folder
        files = [path for path in (Path(pred) / image.event / f"{image.name}.txt" for image in truth) if path.is_file()]
        with tempfile.TemporaryDirectory() as subset:  # a folder with the predictions of these images only
            for path in files:
                copy = Path(subset, path.parent.name, path.name)
                copy.parent.mkdir(exist_ok=True)
                copy.write_bytes(path.read_bytes())
            return [_table(subset, truth, source, every, repeats), losses(read_predictions(subset), truth)]


def _table(pred, truth, source, every, repeats):
    def parse():
        return read_predictions(pred)

    def evaluate():
        matches = match_wider(predictions, truth)
        return [curve_of(matches, matches.counted[:, k]).ap for k in range(len(SETTINGS))]

    predictions = parse()
    pairs = [(name, *_timed(ours, repeats), *_timed(loops, 1)) for name, ours, loops in (
        ("parse", parse, lambda: plain_parse(pred)),
        ("matching and three curves", evaluate, lambda: plain_protocol(predictions, truth)))]
    if np.abs(np.subtract(pairs[1][1], pairs[1][3])).max() > 1e-9:
        raise RuntimeError(f"the loops give AP {pairs[1][3]}, manyfaces gives {pairs[1][1]}")
    times = [(name, ours, loops) for name, _, ours, _, loops in pairs]
    times.append(("all", *np.sum([pair[1:] for pair in times], axis=0)))
    rows = [[name, f"{ours:.1f}", f"{loops:.0f}", f"{loops / ours:.0f}"] for name, ours, loops in times]
    count, spread = sum(map(len, _arrays(predictions))), f"one image in {every}: " if every > 1 else ""
    aps = " / ".join(f"{ap:.5f}" for ap in pairs[1][1])
    title = f"WIDER protocol{'' if COMPILED else ', not compiled'}"
    return Table(title, ("part", "ms", "plain loops, ms", "ratio"), rows,
                 f"{source}, {spread}{len(truth):,} images, {count:,} predictions; processor time. AP of both: {aps}.",
                 ("numpy",))


def _arrays(predictions):
    return [rows for files in predictions.values() for rows in files.values()]


def _timed(function, repeats):
    """The function's result, and its median milliseconds of processor time."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = function()
        times.append(time.process_time() - start)
    return result, statistics.median(times) * 1e3


def _made_up(folder, images=400, seed=0):
    """Ground truth of a made-up set, whose predictions are written below the folder."""
    rng, truth = np.random.default_rng(seed), []
    for index in range(images):
        candidates, scores = crowd_candidates(int(rng.integers(10, 170)), rng, size=(1024, 768), per_face=5, stray=0.5)
        write_prediction_file(Path(folder, "made-up", f"{index}.txt"), f"{index}.jpg", candidates, scores)
        faces = candidates[::6]
        boxes = np.concatenate([faces[:, :2], faces[:, 2:] - faces[:, :2]], axis=1).round().astype(float)
        level = rng.random(len(boxes))
        counted = {s: level > least for s, least in zip(SETTINGS, (0.8, 0.6, 0.2), strict=True)}
        truth.append(GroundTruth("made-up", str(index), boxes, counted))
    return truth


# ----------------------------------------------------------- the plain loops


def plain_parse(folder):
    """Dict event -> name -> (N, 5) array, parsed line by line and number by number."""
    predictions = {}
    for event in sorted(Path(folder).iterdir()):
        predictions[event.name] = {}
        for path in event.iterdir():
            lines = path.read_text().splitlines()[2:]
            rows = [[float(field) for field in line.split()] for line in lines]
            predictions[event.name][path.stem] = np.array(rows).reshape(-1, 5)
    return predictions


def plain_protocol(predictions, truth):
    """List of AP per setting; predictions: event -> name -> (N, 5) x y w h score; truth: list of GroundTruth."""
    every = np.concatenate(_arrays(predictions))[:, 4]
    low, reach = every.min(), every.max() - every.min()
    return [_plain_setting(predictions, truth, setting, low, reach) for setting in SETTINGS]


def _plain_setting(predictions, truth, setting, low, reach):
    curve, faces = np.zeros((1000, 2)), 0
    for image in truth:
        counted = image.counted[setting]
        faces += counted.sum()
        rows = predictions.get(image.event, {}).get(image.name, [])
        if not len(rows) or not len(image.boxes):
            continue
        rows = rows[np.argsort(-rows[:, 4], kind="stable")]
        scores = (rows[:, 4] - low) / reach if reach else np.ones(len(rows))
        proposal, recalled, taken = np.ones(len(rows)), np.zeros(len(rows)), np.zeros(len(image.boxes))
        for number, row in enumerate(rows):
            overlaps = _plain_overlaps(row, image.boxes)
            best = overlaps.argmax()
            if overlaps[best] >= 0.5:
                if not counted[best]:
                    proposal[number] = 0
                else:
                    taken[best] = 1
            recalled[number] = taken.sum()
        for k in range(1000):
            inside = np.where(scores >= 1 - (k + 1) / 1000)[0]
            if len(inside):
                curve[k] += proposal[:inside[-1] + 1].sum(), recalled[inside[-1]]
    precision = np.concatenate([[0], curve[:, 1] / np.maximum(curve[:, 0], 1), [0]])
    recall = np.concatenate([[0], curve[:, 1] / max(faces, 1), [1]])
    for i in range(len(precision) - 1, 0, -1):
        precision[i - 1] = max(precision[i - 1], precision[i])
    steps = np.where(recall[1:] != recall[:-1])[0]
    return float(np.sum((recall[steps + 1] - recall[steps]) * precision[steps + 1])) if faces else 0.0


def _plain_overlaps(row, boxes):
    right, bottom = row[0] + row[2], row[1] + row[3]
    rights, bottoms = boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]
    width = np.minimum(right, rights) - np.maximum(row[0], boxes[:, 0]) + 1
    height = np.minimum(bottom, bottoms) - np.maximum(row[1], boxes[:, 1]) + 1
    both = width * height
    area = (right - row[0] + 1) * (bottom - row[1] + 1)
    areas = (rights - boxes[:, 0] + 1) * (bottoms - boxes[:, 1] + 1)
    overlaps = np.zeros(len(boxes))
    meet = (width > 0) & (height > 0)
    overlaps[meet] = both[meet] / (area + areas[meet] - both[meet])
    return overlaps
