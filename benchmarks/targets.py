"""Anchor targets, compiled and in NumPy: a crowded image with SSH's three levels, a crop with 25 templates of HR."""

import numpy as np

from manyfaces.boxes import COMPILED, Level, anchor_targets, reference_targets

from .timing import Table, median_ms

SIZE = (1600, 1200)
LEVELS = (  # SSH, section 3: 16 px times 1, 2 | 4, 8 | 16, 32; only the last may reach beyond the image
    Level(150, 200, 8, (16, 32), border=0),
    Level(75, 100, 16, (64, 128), border=0),
    Level(38, 50, 32, (256, 512), border=512),
)
CROP = (500, 500)
TEMPLATES = (Level(63, 63, 8, tuple((side, 1.25 * side) for side in np.geomspace(20, 180, 25))),)  # HR: 99,225 anchors


def crowd_faces(count, rng, sides=(8.0, 60.0), size=SIZE):
    """(count, 4) float32 faces of log-uniform sides anywhere in the image."""
    side = np.exp(rng.uniform(*np.log(sides), count))[:, None]
    centre = rng.uniform(0, 1, (count, 2)) * size
    return np.concatenate([centre - side / 2, centre + side / 2], axis=1).astype(np.float32)


def run(count: int = 700, crop_count: int = 200) -> list[Table]:
    """Time the compiled function and its twin.

    Args:
        count: faces in the image.
        crop_count: faces in the crop.

    Returns:
        Two Tables, for SSH's levels and for templates.

    Raises:
        RuntimeError: the two give different targets.
    """
    rng = np.random.default_rng(0)
    image, crop = crowd_faces(count, rng), crowd_faces(crop_count, rng, size=CROP)
    none, tenth = np.zeros(count, bool), np.arange(count) % 10 == 0
    ssh = [measure(f"{count} faces", LEVELS, image, none, SIZE),
           measure(f"{count - tenth.sum()} faces, {tenth.sum()} ignore regions", LEVELS, image, tenth, SIZE)]
    tiny = [measure(f"{crop_count} faces", TEMPLATES, crop, np.zeros(crop_count, bool), CROP, 0.7, 0.3, 0.3)]
    name = "manyfaces" if COMPILED else "manyfaces (not compiled)"
    columns = ("image", "anchors", "positive", name, "NumPy twin", "times ours")
    note = "Medians; the labels of both are the same."
    return [Table("Anchor targets, 1600 x 1200, SSH's levels, ms", columns, ssh, note, ("numpy",)),
            Table("Anchor targets, a crop of 500 x 500, 25 templates at stride 8, ms", columns, tiny, note,
                  ("numpy",))]


def measure(title, *arguments):
    """A row of the table; arguments: those of anchor_targets."""
    labels, matched = anchor_targets(*arguments)
    twin_labels, twin_matched = reference_targets.anchor_targets(*arguments)
    if not (np.array_equal(labels, twin_labels) and np.array_equal(matched, twin_matched)):
        raise RuntimeError("the compiled targets differ from their twin's")
    ours = median_ms(lambda: anchor_targets(*arguments), 15)
    twin = median_ms(lambda: reference_targets.anchor_targets(*arguments), 3, warm_up=False)
    return [title, f"{len(labels):,}", f"{(labels == 1).sum():,}", f"{ours:.2f}", f"{twin:.0f}", f"{twin / ours:.0f}"]
