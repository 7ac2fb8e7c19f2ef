"""COCO annotation JSON, as coco_writer.py and most labelling tools write it.

`bbox` is x y w h, continuous. `iscrowd` makes an ignore region. Keypoints of five points are the landmarks, in our
order, and those of visibility 0 are not labelled; keypoints of another number (bodies have 17) are left aside. Whole
numbers and truth values in an annotation's `attributes` become attributes.
"""

import os

import numpy as np

from ...errors import InputError
from ..coco_json import is_pixels, load_coco
from .builder import RoidbBuilder


def read_coco(labels, images=None, missing="error", classes=None):
    """Read the file; classes: names of the categories that are faces, None = the only one, or those named "face".

    Without `images` the sizes are those that the file gives; with them, a size that differs raises InputError.
    """
    if os.path.isdir(labels):
        raise InputError(f"{labels}: is a folder, expected a JSON file")
    data = load_coco(labels, classes)
    builder = RoidbBuilder(labels, images, missing)
    names = sorted({name for faces in data.faces.values() for face in faces for name in _attributes(face)})
    for image in data.images:
        faces = data.faces[image["id"]]
        boxes = np.array([face["bbox"] for face in faces], np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        points = [_landmarks(face, f"{labels}, annotation {face['id']}") for face in faces]
        found = [_attributes(face) for face in faces]
        builder.add(image["file_name"], boxes, f"{labels}, image {image['id']}",
                    landmarks=np.array(points, np.float64).reshape(-1, 5, 2), ignore=[f["iscrowd"] for f in faces],
                    attributes={name: [values.get(name, -1) for values in found] for name in names})
    roidb = builder.finish()
    sizes = {image["file_name"]: (image["width"], image["height"]) for image in data.images}
    for record in roidb.records:
        said = sizes[record.image]
        if not builder.root:
            record.width, record.height = said
        elif all(said) and said != (record.width, record.height):
            raise InputError(f"{record.path}: is {record.width} x {record.height} pixels as it is seen, but {labels} "
                             f"has width {said[0]} and height {said[1]}: its boxes are those of another image, "
                             "or of one turned or scaled")
    return roidb


def _attributes(face):
    """The attributes that fit into a roidb's columns of integers."""
    values = face.get("attributes")
    if not isinstance(values, dict):
        return {}
    return {name: int(value) for name, value in values.items()
            if type(value) in (int, bool) and -2 ** 31 <= value < 2 ** 31}


def _landmarks(face, where):
    """(5, 2) x y, NaN for what is not labelled."""
    points = face.get("keypoints")
    if points is None or isinstance(points, list) and len(points) != 15:
        return np.full((5, 2), np.nan)
    if not isinstance(points, list) or not all(map(is_pixels, points)):
        raise InputError(f"{where}: expected five times x y visibility in 'keypoints', found {str(points)[:60]}")
    points = np.array(points, np.float64).reshape(5, 3)
    return np.where(points[:, 2:] > 0, points[:, :2], np.nan)
