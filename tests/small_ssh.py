"""A small SSH, with samples and faces for its tests."""

import functools

import keras
import numpy as np

from manyfaces.config import load_config
from manyfaces.nets import family

SMALL = ["NET.ALPHA", "0.25", "NET.WIDTHS", "[16, 16, 16]", "NET.TOP_DOWN_WIDTH", "16"]
DENSE = ["ANCHORS.SIZES", "[[10, 16, 24], [36, 56, 88], [136, 210, 330]]", "ANCHORS.BORDERS", "[-1, -1, -1]",
         "TARGETS.POSITIVE", "0.35", "TARGETS.BEST", "0.2", "NET.LANDMARKS", "True"]
FACES = np.float32([[10, 12, 22, 27], [60.5, 30.25, 85, 60], [130, 20, 190, 95], [20, 90, 118, 201.5],
                    [200, 100, 330, 280]])


def ssh(*overrides):
    return family(load_config(overrides=overrides))


@functools.cache
def small_net(*overrides):
    keras.utils.set_random_seed(0)
    return ssh(*SMALL, *overrides).build()


def sample(boxes=FACES, size=(352, 320), ignore=None, landmarks=None):
    count = len(boxes)
    return {"image": np.zeros((size[1], size[0], 3), np.uint8), "boxes": np.float32(boxes).reshape(count, 4),
            "ignore": np.zeros(count, bool) if ignore is None else np.array(ignore, bool),
            "landmarks": np.full((count, 5, 2), np.nan, np.float32) if landmarks is None else landmarks}


def points_in(boxes, rng):
    """Five points at random places of each box."""
    return (boxes[:, None, :2] + rng.uniform(0, 1, (len(boxes), 5, 2)) * (boxes[:, None, 2:] - boxes[:, None, :2])
            ).astype(np.float32)


def perfect_outputs(net, targets, width, height):
    """The outputs of a net that gives exactly these targets."""
    outputs = {}
    for module in net.modules:
        rows, columns, *_ = module.level(width, height)
        labels = targets[f"{module.name}_labels"]
        outputs[f"{module.name}_scores"] = np.where(labels == 1, 8, -8).astype(np.float32).reshape(rows, columns, -1)
        for kind in ("boxes", "landmarks"):
            outputs[f"{module.name}_{kind}"] = targets[f"{module.name}_{kind}"].reshape(rows, columns, -1)
    return outputs


def random_outputs(net, width, height, seed):
    rng, outputs = np.random.default_rng(seed), {}
    for module in net.modules:
        rows, columns, *_ = module.level(width, height)
        for kind, channels, spread in (("scores", 1, 3), ("boxes", 4, 2), ("landmarks", 10, 2)):
            outputs[f"{module.name}_{kind}"] = rng.normal(0, spread, (rows, columns, channels * module.anchors)
                                                          ).astype(np.float32)
    outputs["m1_boxes"][0, 0, 2] = 1e6  # an extreme output gives a large box, not an infinite one
    return outputs
