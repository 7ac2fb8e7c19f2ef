"""IoU of the most confident box of each image: the measure of detectors that look for few faces, such as grid."""

import numpy as np

from ..boxes.pairs import summed_overlaps
from ..errors import InputError
from .pairing import pair_by_name, rows_or_none


def evaluate_best_box(predictions, roidb, max_faces=5, grid=7, subset=False):
    """Summed intersections over summed unions of each image's most confident box and a true one.

    predictions: of read_predictions. Images with 1 to max_faces faces count; ignored ones are no faces. Areas are in
    parts of the image, so that each image weighs as much whatever its size. An image without a prediction counts as one
    with an empty box; with subset only images that have a file count.
    Returns a dict: iou, against the first face in the order of a grid's cells (`grid` a side, rows from the top, cells
    from the left; of faces in one cell the largest), which is what argmax over equal objectness takes; iou_nearest,
    against the face that the box overlaps most; iou_single, over images with a single face, where there is no choice;
    images, single (images), without (images without a box) and unknown (files without a record).
    Raises InputError where none of the predicted images is in the roidb, or it has no sizes of images.
    """
    files, unknown = pair_by_name(predictions, [record.name for record in roidb.records], roidb.source)
    found, truths, without = [], [], 0
    for record, file, rows in zip(roidb.records, files, rows_or_none(files), strict=True):
        boxes = record.boxes[~record.ignore]
        if not 1 <= len(boxes) <= max_faces or (subset and file is None):
            continue
        if not (record.width and record.height):
            raise InputError(f"{roidb.source}: {record.image} has no width and height; build the roidb with --images")
        size = np.array([record.width, record.height] * 2, np.float64)
        truths.append(in_grid_order(boxes / size, grid))
        box = np.zeros(4)
        if len(rows):
            x, y, width, height, _ = rows[rows[:, 4].argmax()]
            box = np.array([x, y, x + width, y + height]) / size
        without += not len(rows)
        found.append(box)
    first, nearest = summed_overlaps(found, truths)
    single = [n for n, boxes in enumerate(truths) if len(boxes) == 1]
    return {"iou": first, "iou_nearest": nearest,
            "iou_single": summed_overlaps([found[n] for n in single], [truths[n] for n in single])[0],
            "images": len(found), "single": len(single), "without": without, "unknown": unknown}


def in_grid_order(boxes, grid):
    """Boxes (N, 4) in parts of the image, in the order of the cells that hold their centres, the largest first in each.

    >>> in_grid_order(np.array([[.8, .8, 1, 1], [.0, .0, .1, .1], [.5, .0, .7, .1], [0, 0, .2, .2]]), 7)[:, 2].tolist()
    [0.2, 0.1, 0.7, 1.0]
    """
    centres = np.clip(((boxes[:, :2] + boxes[:, 2:]) / 2 * grid).astype(int), 0, grid - 1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return boxes[np.lexsort((-areas, centres[:, 0], centres[:, 1]))]
