"""Small sets of images for the tests of what is computed from Matches."""

import numpy as np

from manyfaces.evaluation import SETTINGS, GroundTruth, match_wider


def image(name, boxes, rows, counted=None, event="e", **attributes):
    """(GroundTruth, predictions): boxes x y w h, rows x y w h score, counted in all settings (default: all boxes)."""
    boxes = np.array(boxes, float).reshape(-1, 4)
    counted = np.ones(len(boxes), bool) if counted is None else np.array(counted, bool)
    labels = {key: np.array(value) for key, value in attributes.items()}
    return (GroundTruth(event, name, boxes, dict.fromkeys(SETTINGS, counted), labels),
            np.array(rows, float).reshape(-1, 5))


def matched(*images):
    """The Matches of images."""
    predictions = {}
    for truth, rows in images:
        predictions.setdefault(truth.event, {})[truth.name] = rows
    return match_wider(predictions, [truth for truth, _ in images])


def random_set(seed, spread=0.25):
    """Images of random boxes, predictions near (by `spread` of their sides) and far, ties, labels, ignored faces."""
    rng, images = np.random.default_rng(seed), []
    for index in range(int(rng.integers(1, 6))):
        count = int(rng.integers(1, 12))
        side = np.exp(rng.uniform(np.log(5), np.log(400), (count, 1)))
        boxes = np.concatenate([rng.uniform(0, 600, (count, 2)), side * rng.uniform(0.7, 1.4, (count, 2))], axis=1)
        near = boxes[rng.integers(0, count, 14)]
        near = near + rng.normal(0, spread, near.shape) * np.tile(near[:, 2:], 2)
        far = np.concatenate([rng.uniform(0, 600, (5, 2)), np.exp(rng.uniform(1, 6, (5, 2)))], axis=1)
        rows = np.concatenate([near, far])
        rows[:, 2:] = np.maximum(rows[:, 2:], 1)
        scores = rng.integers(0, 40, len(rows)) / 40
        labels = {"blur": rng.integers(0, 3, count), "occlusion": rng.integers(0, 3, count)}
        labels |= {key: rng.integers(0, 2, count) for key in ("pose", "illumination", "expression", "invalid")}
        counted = (boxes[:, 3] >= 10) & (labels["invalid"] == 0) & (rng.random(count) < 0.8)
        images.append(image(f"n{index}", boxes, np.column_stack([rows, scores]), counted, f"e{index % 2}", **labels))
    return images
