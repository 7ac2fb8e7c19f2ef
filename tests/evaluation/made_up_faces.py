"""Made-up FDDB sets: ellipses, and rectangles or ellipses that find some of them."""

import numpy as np

from manyfaces.evaluation.fddb import Fold


def made_up_set(images, found, seed, ellipses=False):
    """Folds, detections and sizes of `images` images with 1.8 faces and `found` detections each, in ten folds.

    Most faces are found with a high score. A quarter of the detections finds one again, the others are anywhere.
    """
    rng = np.random.default_rng(seed)
    folds, detections, sizes = [Fold(number, {}) for number in range(1, 11)], {}, {}
    for index in range(images):
        name, size = f"2002/01/{index % 31:02d}/big/img_{index}", (int(rng.integers(250, 450)), 400)
        faces = random_ellipses(rng, 1 + rng.binomial(4, 0.2), size, 90)
        twice = faces[rng.integers(0, len(faces), found // 4)]
        near = np.concatenate([faces[rng.random(len(faces)) < 0.95], twice])[:found]
        near = near + rng.normal(size=(len(near), 5)) * near[:, :1] * [0.08, 0.08, 0.002, 0.08, 0.08]
        rows = np.concatenate([near, random_ellipses(rng, found - len(near), size, 90)])
        scores = rng.beta(1, 9, found)
        scores[:max(0, len(near) - len(twice))] = rng.beta(6, 2, max(0, len(near) - len(twice)))
        if not ellipses:
            half = rows[:, [1, 0]] * [0.95, 0.9]  # upright boxes around upright faces
            rows = np.concatenate([rows[:, 3:5] - half, 2 * half], axis=1)
        folds[index * 10 // images].faces[name] = faces
        detections[name] = np.column_stack([rows, scores])
        sizes[name] = size
    return folds, detections, sizes


def random_ellipses(rng, count, size, largest):
    """(count, 5) major minor angle cx cy, similar to FDDB's: from 10 px, roughly upright, some leave the image."""
    minor = rng.uniform(10, largest / 1.3, count)
    return np.column_stack([minor * rng.uniform(1.2, 1.6, count), minor, rng.normal(np.pi / 2, 0.3, count),
                            rng.uniform(0, size[0], count), rng.uniform(0, size[1], count)])
