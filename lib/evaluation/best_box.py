"""IoU of the most confident box of each image: the measure of detectors for few faces, such as grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..boxes.pairs import summed_overlaps
from ..datasets.roidb import Roidb
from ..errors import InputError, Range, check_whole
from .pairing import pair_by_name, rows_or_none

if TYPE_CHECKING:
    from .files.predictions import Predictions


def evaluate_best_box(predictions: Predictions, roidb: Roidb, max_faces: int = 5, grid: int = 7,
                      subset: bool = False) -> dict:
    """Summed intersections over summed unions of each image's most confident box and a true one.

    Areas are fractions of the image's area, so each image weighs the same whatever its size. An image without a
    prediction counts as one with an empty box. Ignored faces are no faces.

    Args:
        predictions: of read_predictions.
        roidb: the faces, with the sizes of the images.
        max_faces: images with 1 to this many faces count.
        grid: cells per side of the grid that orders the faces of an image.
        subset: count only the images that have a prediction file.

    Returns:
        `iou`: against the first face in the order of the grid's cells (rows from the top, cells from the left; of faces
        in one cell the largest), which is what argmax over equal objectness takes; `iou_nearest`: against the face with
        the highest IoU; `iou_single`: over images with a single face, where there is no choice; the counts `images`,
        `single` (images with one face), `without` (images without a box), `unknown` (files without a record).

    Raises:
        InputError: a number is below 1, no predicted image is in the roidb, or the roidb has no sizes of images.
    """
    check_whole(max_faces, "max_faces", Range(least=1))
    check_whole(grid, "grid", Range(least=1))
    files, unknown = pair_by_name(predictions, [record.name for record in roidb.records], roidb.source)
    boxes, truths, without = [], [], 0
    for record, file, rows in zip(roidb.records, files, rows_or_none(files), strict=True):
        faces = record.boxes[~record.ignore]
        if not 1 <= len(faces) <= max_faces or (subset and file is None):
            continue
        if not (record.width and record.height):
            raise InputError(f"{roidb.source}: {record.image} has no width and height; build the roidb with --images")
        size = np.array([record.width, record.height] * 2, np.float64)
        truths.append(in_grid_order(faces / size, grid))
        box = np.zeros(4)
        if len(rows):
            x, y, width, height, _ = rows[rows[:, 4].argmax()]
            box = np.array([x, y, x + width, y + height]) / size
        without += not len(rows)
        boxes.append(box)
    first, nearest = summed_overlaps(boxes, truths)
    single = [n for n, faces in enumerate(truths) if len(faces) == 1]
    return {"iou": first, "iou_nearest": nearest,
            "iou_single": summed_overlaps([boxes[n] for n in single], [truths[n] for n in single])[0],
            "images": len(boxes), "single": len(single), "without": without, "unknown": unknown}


def in_grid_order(boxes: np.ndarray, grid: int) -> np.ndarray:
    """Boxes in the order of the cells that hold their centres, the largest first in each cell.

    Args:
        boxes: (N, 4), x1 y1 x2 y2 as fractions of the image's sides.
        grid: cells per side.

    Examples:
        >>> boxes = np.array([[.8, .8, 1, 1], [.0, .0, .1, .1], [.5, .0, .7, .1], [0, 0, .2, .2]])
        >>> in_grid_order(boxes, 7)[:, 2].tolist()
        [0.2, 0.1, 0.7, 1.0]
    """
    centres = np.clip(((boxes[:, :2] + boxes[:, 2:]) / 2 * grid).astype(int), 0, grid - 1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return boxes[np.lexsort((-areas, centres[:, 0], centres[:, 1]))]
