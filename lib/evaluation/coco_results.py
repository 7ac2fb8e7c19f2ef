"""COCO's result JSON: a list of `{"image_id", "category_id", "bbox": [x, y, w, h], "score"}`, one per detection.

It holds per image what a WIDER prediction file holds, and each is converted into the other without loss: both keep
numbers as text of as many digits as they need.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from ..datasets.coco_json import CocoFile, is_pixels, kind_of, read_json
from ..datasets.coco_writer import CATEGORY
from ..datasets.roidb import image_name
from ..errors import InputError, printable
from ..files import write_whole


def read_coco_results(path: str | os.PathLike, truth: CocoFile) -> dict[str, np.ndarray]:
    """Read the detections of every image of an annotation.

    Args:
        path: the result JSON.
        truth: the annotation that its ids are from.

    Returns:
        Image name without extension -> (N, 5) float64 x y w h score in px, in the file's order; (0, 5) for an image
        without results.

    Raises:
        InputError: names the file and the number of the result, for an image or category that is not in `truth` and
            for a value that is not a number.
    """
    data, names = read_json(path), {number: name for name, number in truth.ids.items()}
    if not isinstance(data, list):
        hint = "; this looks like an annotation file" if isinstance(data, dict) and "images" in data else ""
        raise InputError(f"{path}: expected a list of results, found {kind_of(data)}{hint}")
    detections = {name: [] for name in names.values()}
    for i, result in enumerate(data):
        if not _is_result(result, names, truth.categories):
            raise InputError(f"{path}, [{i}]: {_wrong(result, names, truth)}")
        detections[names[result["image_id"]]].append((*result["bbox"], result["score"]))
    return {name: np.array(rows, np.float64).reshape(-1, 5) for name, rows in detections.items()}


def _is_result(result, names, categories):
    """Whether a result is sound. One expression, because there are 300,000 results."""
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


def write_coco_results(path: str | os.PathLike, detections: Mapping[str, tuple[np.ndarray, np.ndarray]],
                       ids: Mapping[str, int], category: int = CATEGORY) -> None:
    """Write detections as COCO results, atomically.

    Args:
        path: the JSON to write.
        detections: image name -> (boxes (N, 4) float32 x1 y1 x2 y2 in px, scores (N,)). Numbers are written as by
            write_prediction_file.
        ids: image name -> COCO's image id, such as CocoFile.ids. Names may have an extension.
        category: COCO's category id.

    Raises:
        InputError: as write_coco_rows.
    """
    write_coco_rows(path, {name: _rows(*boxes_and_scores) for name, boxes_and_scores in detections.items()}, ids,
                    category)


def _rows(boxes, scores):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    rows = np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2], np.asarray(scores, np.float32)])
    # Nine digits restore every float32; as float64 they would be written with seventeen.
    return np.array([float(f"{value:.9g}") for value in rows.ravel().tolist()], np.float64).reshape(-1, 5)


def write_coco_rows(path: str | os.PathLike, rows: Mapping[str, np.ndarray], ids: Mapping[str, int],
                    category: int = CATEGORY) -> None:
    """Write rows as COCO results, atomically and with every digit.

    Args:
        path: the JSON to write.
        rows: image name -> (N, 5) float64 x y w h score in px.
        ids: as in write_coco_results.
        category: COCO's category id.

    Raises:
        InputError: an image has no id, or a value is not finite.
    """
    ids, lines = {image_name(name): number for name, number in ids.items()}, []
    for name, rows_of_image in rows.items():
        number = ids.get(image_name(name))
        if number is None:
            raise InputError(f"{path}: image {name} has no id; expected images such as {next(iter(ids), 'none')}")
        if not np.isfinite(rows_of_image).all():
            raise InputError(f"{path}: a detection of {name} is not finite; nothing is written")
        lines += [f'{{"image_id": {number}, "category_id": {category}, "bbox": [{x!r}, {y!r}, {w!r}, {h!r}], '
                  f'"score": {score!r}}}' for x, y, w, h, score in rows_of_image.tolist()]
    write_whole(path, "[\n" + ",\n".join(lines) + "\n]\n")


def write_wider_folder(folder: str | os.PathLike, rows: Mapping[str, np.ndarray], truth: CocoFile) -> int:
    """Write rows as WIDER prediction files, event/name.txt, with every digit.

    Args:
        folder: where to write.
        rows: of read_coco_results.
        truth: the annotation. An image of it without results gets a file with 0 faces.

    Returns:
        The number of files.
    """
    for image in truth.images:
        name = image_name(image["file_name"])
        faces = [" ".join(map(_shortest, row)) for row in rows[name].tolist()]
        text = "\n".join([printable(image["file_name"]), str(len(faces)), *faces]) + "\n"
        write_whole(os.path.join(folder, *f"{name}.txt".split("/")), text, sync=False)
    return len(truth.images)


def _shortest(value):
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
