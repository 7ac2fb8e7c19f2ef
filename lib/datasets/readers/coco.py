"""COCO annotation JSON, as coco_writer.py and most labelling tools write it.

`bbox` is x y w h in px, continuous. `iscrowd` makes an ignore region. Five keypoints are the landmarks, in the order
of Record; visibility 0 means not labelled. Another number of keypoints (bodies have 17) is not used. Integers and
booleans in an annotation's `attributes` become attributes.

Source: COCO data format (cocodataset.org, "Data format", object and keypoint detection).
"""

import os
from collections.abc import Collection

import numpy as np

from ...errors import InputError
from ..coco_json import is_pixels, load_coco
from ..roidb import Roidb
from .builder import RoidbBuilder, corners


def read_coco(labels: str | os.PathLike, images: str | os.PathLike | None = None, missing: str = "error",
              classes: Collection[str] | None = None) -> Roidb:
    """Read a COCO annotation file. Without `images`, width and height are those of the file.

    Args:
        labels: the JSON file.
        images: folder of the images, None when they are not at hand.
        missing: "error" or "skip" images that are missing or unreadable.
        classes: names of the categories that are faces. None: the only category, or among several those named "face".

    Raises:
        InputError: names what is wrong; also when an image has another size than the file says.
    """
    if os.path.isdir(labels):
        raise InputError(f"{labels}: is a folder, expected a JSON file")
    data = load_coco(labels, classes)
    builder = RoidbBuilder(labels, images, missing)
    names = sorted({name for faces in data.faces.values() for face in faces for name in _attributes(face)})
    builder.classes, builder.taken = data.classes, data.taken
    for image in data.images:
        faces = data.faces[image["id"]]
        boxes = corners(np.array([face["bbox"] for face in faces], np.float64).reshape(-1, 4))
        points = [_landmarks(face, f"{labels}, annotation {face['id']}") for face in faces]
        attributes = [_attributes(face) for face in faces]
        builder.add(image["file_name"], boxes, f"{labels}, image {image['id']}",
                    landmarks=np.array(points, np.float64).reshape(-1, 5, 2), ignore=[f["iscrowd"] for f in faces],
                    attributes={name: [values.get(name, -1) for values in attributes] for name in names},
                    size=(image["width"], image["height"]))
    return builder.finish()


def _attributes(face):
    """The attributes that fit into the int32 columns of a roidb."""
    values = face.get("attributes")
    if not isinstance(values, dict):
        return {}
    return {name: int(value) for name, value in values.items()
            if type(value) in (int, bool) and -2 ** 31 <= value < 2 ** 31}


def _landmarks(face, where):
    """(5, 2) x y in px, NaN = not labelled."""
    points = face.get("keypoints")
    if points is None or isinstance(points, list) and len(points) != 15:
        return np.full((5, 2), np.nan)
    if not isinstance(points, list) or not all(map(is_pixels, points)):
        raise InputError(f"{where}: expected five times x y visibility in 'keypoints', found {str(points)[:60]}")
    points = np.array(points, np.float64).reshape(5, 3)
    return np.where(points[:, 2:] > 0, points[:, :2], np.nan)
