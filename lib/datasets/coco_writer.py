"""Writes a roidb as COCO annotation JSON.

There is one category, and one line per image and per face. The same roidb gives the same bytes. Numbers have the
fewest digits from which readers/coco.py gets the float32 of the roidb back.

Source: COCO data format (cocodataset.org, "Data format", object and keypoint detection).
"""

import json
import os

import numpy as np

from ..files import write_whole
from .roidb import Roidb

# In COCO left is the person's left. Here it is the image's left, and the names say so.
KEYPOINTS = ("left_eye_in_image", "right_eye_in_image", "nose", "left_mouth_corner_in_image",
             "right_mouth_corner_in_image")
CATEGORY = 1
LABELLED = 2  # COCO's visibility of a point that is labelled and visible


def write_coco(roidb: Roidb, path: str | os.PathLike) -> None:
    """Write the roidb to `path` atomically.

    Images and faces are numbered from 1 in the order of the roidb. Ignored faces have iscrowd 1. Attributes are in
    `attributes`, except those that are not labelled (-1). If any face has landmarks, each face has `keypoints`, with
    zeros for points that are not labelled. A width or height of 0 means that it is not known.
    """
    with_points = any(np.isfinite(record.landmarks).any() for record in roidb.records)
    category = {"id": CATEGORY, "name": "face"} | ({"keypoints": KEYPOINTS, "skeleton": []} if with_points else {})
    images = [{"id": i, "file_name": r.image, "width": int(r.width), "height": int(r.height)}
              for i, r in enumerate(roidb.records, 1)]
    members = [f'"info": {json.dumps({"description": f"faces of {os.path.basename(roidb.source)}"})}',
               _listed("categories", [category]), _listed("images", images),
               _listed("annotations", _annotations(roidb.records, with_points))]
    write_whole(path, "{\n" + ",\n".join(members) + "\n}\n")


def _listed(key, objects):
    """A member of the JSON object: a list with one object per line."""
    lines = ",\n".join(json.dumps(value, ensure_ascii=False, allow_nan=False) for value in objects)
    return f'"{key}": [\n{lines}\n]' if lines else f'"{key}": []'


def _annotations(records, with_points):
    boxes = short_sides(np.concatenate([np.zeros((0, 4), np.float32), *(r.boxes for r in records)])).tolist()
    number = 0
    for image, record in enumerate(records, 1):
        for face in range(len(record.boxes)):
            box = boxes[number]
            number += 1
            annotation = {"id": number, "image_id": image, "category_id": CATEGORY, "bbox": box,
                          "area": box[2] * box[3], "iscrowd": int(record.ignore[face])}
            if with_points:
                annotation |= _keypoints(record.landmarks[face])
            attributes = {name: int(record.attributes[name][face]) for name in sorted(record.attributes)
                          if record.attributes[name][face] != -1}
            yield annotation | ({"attributes": attributes} if attributes else {})


def _keypoints(points):
    labelled = np.isfinite(points).all(axis=1)
    values = []
    for point, known in zip(points, labelled, strict=True):
        values += [*_short(point).tolist(), LABELLED] if known else [0, 0, 0]
    return {"keypoints": values, "num_keypoints": int(labelled.sum())}


def short_sides(boxes: np.ndarray) -> np.ndarray:
    """Convert boxes to x y w h with few digits, without loss.

    x + w, added as float64 and rounded to float32, is x2 again. For x1 = 0.1 and x2 = 0.3, w is 0.2 and not
    0.20000000298.

    Args:
        boxes: (N, 4) float32, x1 y1 x2 y2 in px.

    Returns:
        (N, 4) float64, x y w h in px.
    """
    start, end = _short(boxes[:, :2]), boxes[:, 2:]
    sides = end.astype(np.float64) - start
    left = np.ones(sides.shape, bool)
    for digits in range(10):
        rounded = np.round(sides, digits)
        fits = left & ((start + rounded).astype(np.float32) == end)
        sides[fits] = rounded[fits]
        left &= ~fits
    return np.concatenate([start, sides], axis=1)


def _short(values):
    """float32 values as the float64 values of fewest digits that round to them: 0.1, not 0.10000000149."""
    values = np.asarray(values, np.float32)
    return np.array([float(str(value)) for value in values.ravel()], np.float64).reshape(values.shape)
