"""COCO's result JSON: a list of `{"image_id", "category_id", "bbox": [x, y, w, h], "score"}`, one a detection.

What it holds per image is what a WIDER prediction file holds, and the two are turned into one another without loss:
both keep numbers as text of as many digits as they need.
"""

import os

import numpy as np

from ..datasets.coco_json import is_pixels, kind_of, read_json
from ..datasets.coco_writer import CATEGORY
from ..datasets.roidb import image_name
from ..errors import InputError
from ..files import write_whole


def read_coco_results(path, truth):
    """The detections of every image of a CocoFile: dict name (without extension) -> (N, 5) float64 x y w h score.

    They stand in the file's order; an image without any has (0, 5). Raises InputError, which names the file and the
    number of the result, for an image or category that is not in `truth` and for what is no number.
    """
    data, names = read_json(path), {number: name for name, number in truth.ids.items()}
    if not isinstance(data, list):
        hint = "; this looks like an annotation file" if isinstance(data, dict) and "images" in data else ""
        raise InputError(f"{path}: expected a list of results, found {kind_of(data)}{hint}")
    found = {name: [] for name in names.values()}
    for i, result in enumerate(data):
        if not _is_result(result, names, truth.categories):
            raise InputError(f"{path}, [{i}]: {_wrong(result, names, truth)}")
        found[names[result["image_id"]]].append((*result["bbox"], result["score"]))
    return {name: np.array(rows, np.float64).reshape(-1, 5) for name, rows in found.items()}


def _is_result(result, names, categories):
    """Whether a result is one of these images and categories, in one expression: there are 300,000 of them."""
    try:
        box = result["bbox"]
        return (type(result["image_id"]) is int and result["image_id"] in names and type(box) is list
                and type(result["category_id"]) is int and result["category_id"] in categories
                and len(box) == 4 and all(map(is_pixels, box)) and is_pixels(result["score"]))
    except (KeyError, TypeError):
        return False


def _wrong(result, names, truth):
    if not isinstance(result, dict):
        return f"expected an object with image_id, category_id, bbox and score, found {kind_of(result)}"
    for key, among in (("image_id", names), ("category_id", truth.categories)):
        value = result.get(key)
        if type(value) is not int:
            return f"expected a whole number in {key!r}, found {kind_of(value)}"
        if value not in among:
            some = ", ".join(map(str, sorted(among)[:5]))
            return f"{key} {value} is not in {truth.path}, which has {some}{', ...' if len(among) > 5 else ''}"
    box = result.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_pixels, box)):
        return f"expected four numbers x y w h in 'bbox', found {str(box)[:60]}"
    return f"expected a number in 'score', found {kind_of(result.get('score'))}"


def write_coco_results(path, detections, ids, category=CATEGORY):
    """Write detections as COCO results, whole or not at all.

    detections: image name -> (boxes (N, 4) float32 x1 y1 x2 y2, scores (N,)); ids: image name -> COCO's image id, such
    as CocoFile.ids; names with or without extension. Numbers are those that write_prediction_file writes.
    """
    write_coco_rows(path, {name: _rows(*found) for name, found in detections.items()}, ids, category)


def _rows(boxes, scores):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    rows = np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2], np.asarray(scores, np.float32)])
    # Nine digits bring every float32 back; as float64 they would be written with seventeen.
    return np.array([float(f"{value:.9g}") for value in rows.ravel().tolist()], np.float64).reshape(-1, 5)


def write_coco_rows(path, rows, ids, category=CATEGORY):
    """The same of rows: image name -> (N, 5) float64 x y w h score; every digit is kept.

    Raises InputError for an image without an id and for what is no number.
    """
    ids, lines = {image_name(name): number for name, number in ids.items()}, []
    for name, found in rows.items():
        number = ids.get(image_name(name))
        if number is None:
            raise InputError(f"{path}: no image id is known of {name}; there are such as {next(iter(ids), 'none')}")
        if not np.isfinite(found).all():
            raise InputError(f"{path}: the detections of {name} hold what is no finite number; nothing is written")
        lines += [f'{{"image_id": {number}, "category_id": {category}, "bbox": [{x!r}, {y!r}, {w!r}, {h!r}], '
                  f'"score": {score!r}}}' for x, y, w, h, score in found.tolist()]
    write_whole(path, ("[\n" + ",\n".join(lines) + "\n]\n").encode())


def write_wider_folder(folder, rows, truth):
    """Write rows (read_coco_results) as WIDER prediction files, event/name.txt, with every digit; none is left out.

    An image of the CocoFile `truth` without results gets a file with 0 faces. Returns the number of files.
    """
    for image in truth.images:
        name = image_name(image["file_name"])
        faces = [" ".join(map(_shortest, row)) for row in rows[name].tolist()]
        text = "\n".join([image["file_name"], str(len(faces)), *faces]) + "\n"
        write_whole(os.path.join(folder, *f"{name}.txt".split("/")), text.encode(), sync=False)
    return len(truth.images)


def _shortest(value):
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
