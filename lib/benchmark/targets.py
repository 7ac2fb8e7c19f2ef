"""Anchor targets of one crowded image: 1600 x 1200, 700 faces, the three levels of SSH; ours beside its NumPy twin."""

import numpy as np

from ..boxes import COMPILED, Level, anchor_targets, reference_targets
from .timing import Table, median_ms

SIZE = (1600, 1200)
LEVELS = (  # SSH, section 3: 16 px times 1, 2 | 4, 8 | 16, 32; only the last may leave the image
    Level(150, 200, 8, (16, 32), border=0),
    Level(75, 100, 16, (64, 128), border=0),
    Level(38, 50, 32, (256, 512), border=512),
)


def crowd_faces(count, rng, sides=(8.0, 60.0), size=SIZE):
    """(count, 4) float32 faces of log-uniform sides anywhere in the image."""
    side = np.exp(rng.uniform(*np.log(sides), count))[:, None]
    centre = rng.uniform(0, 1, (count, 2)) * size
    return np.concatenate([centre - side / 2, centre + side / 2], axis=1).astype(np.float32)


def run(count=700):
    """One table: milliseconds of both, with and without ignore regions, and their ratio."""
    rows = []
    boxes = crowd_faces(count, np.random.default_rng(0))
    for part, title in ((0, f"{count} faces"), (10, f"{count - count // 10} faces, {count // 10} ignore regions")):
        ignore = np.arange(count) % part == 0 if part else np.zeros(count, dtype=bool)
        arguments = (LEVELS, boxes, ignore, SIZE)
        labels, matched = anchor_targets(*arguments)
        twin_labels, twin_matched = reference_targets.anchor_targets(*arguments)
        if not (np.array_equal(labels, twin_labels) and np.array_equal(matched, twin_matched)):
            raise RuntimeError("the compiled targets differ from their twin's")
        ours = median_ms(lambda: anchor_targets(*arguments), 15)  # noqa: B023 (called at once)
        twin = median_ms(lambda: reference_targets.anchor_targets(*arguments), 3, warm_up=False)  # noqa: B023
        rows.append([title, f"{len(labels):,}", f"{(labels == 1).sum():,}", f"{ours:.2f}", f"{twin:.0f}",
                     f"{twin / ours:.0f}"])
    name = "manyfaces" if COMPILED else "manyfaces (not compiled)"
    return [Table("Anchor targets, 1600 x 1200, SSH's levels, ms", ("image", "anchors", "positive", name, "NumPy twin",
                                                                    "times ours"), rows,
                  "Medians; the labels of both are the same.")]
