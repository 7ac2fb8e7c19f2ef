"""Candidate boxes of a detector on a crowd: the input of the NMS benchmark and of its tests."""

import numpy as np


def crowd_candidates(count, rng, size=(4000, 3000), sides=(8.0, 60.0), per_face=40, stray=0.1):
    """Make boxes and scores before NMS: clusters around faces, and stray boxes.

    Scores are distinct and fall with the distance from the face, like those of a net.

    Args:
        count: boxes in all.
        rng: NumPy Generator.
        size: (width, height) of the image, px.
        sides: shortest and longest face side, px; faces are log-uniform between them.
        per_face: candidates per face on average.
        stray: fraction of all boxes that is near no face.

    Returns:
        Boxes (count, 4) float32 x1 y1 x2 y2 px, and scores (count,) float32 0..1.
    """
    faces = max(1, round(count * (1 - stray) / per_face))
    centres = rng.uniform(0, 1, (faces, 2)) * size
    face_sides = np.exp(rng.uniform(*np.log(sides), faces))
    owner = rng.integers(0, faces, count)
    shift, zoom = rng.normal(0, 0.12, (count, 2)), rng.normal(0, 0.15, count)
    centre = centres[owner] + shift * face_sides[owner, None]
    side = face_sides[owner] * np.exp(zoom)
    quality = np.exp(-8 * (shift ** 2).sum(axis=1) - 4 * zoom ** 2) * rng.uniform(0.6, 1, count)
    strays = rng.random(count) < stray
    centre[strays] = rng.uniform(0, 1, (strays.sum(), 2)) * size
    side[strays] = np.exp(rng.uniform(*np.log(sides), strays.sum()))
    quality[strays] = rng.uniform(0, 0.3, strays.sum())
    height = side * np.exp(rng.normal(0.1, 0.1, count))  # faces are a little taller than wide
    half = np.stack([side, height], axis=1) / 2
    ranks = np.argsort(np.argsort(quality, kind="stable"), kind="stable")
    scores = ((ranks + 0.5) / count).astype(np.float32)
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32), scores
