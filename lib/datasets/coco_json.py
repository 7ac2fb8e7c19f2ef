"""COCO annotation JSON, read and checked once, for the reader and the evaluator.

The file is an object with the lists `images`, `annotations` and `categories`. Everything that is used is checked
first. A message names the file and the annotation's id.

Source: COCO data format (cocodataset.org, "Data format", object and keypoint detection).
"""

import json
import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from ..errors import InputError
from ..parsing import parse_json
from ..texts import read_text
from .classes import chosen_classes
from .roidb import image_name, leaves_folder, slashed

# px. Larger than any picture, and small enough that a sum of two is finite and exact to a small fraction of a pixel.
_LARGEST = 1e9


@dataclass
class CocoFile:
    """A checked annotation file.

    Attributes:
        path: the file.
        categories: ids of all categories that are faces.
        images: image objects in the order of the file. `id` is an int, `file_name` is written with "/", `width` and
            `height` are ints in px (0 = not known).
        faces: image id -> its annotations of `categories` in the order of the file. `id` is an int, `bbox` is four
            floats x y w h in px, `iscrowd` 0 or 1, `area` a float in square px (w * h where the file has none). All
            other keys are kept as they were.
        classes: name of a category -> number of its annotations, for all categories.
        taken: names of the categories that are faces.
    """

    path: str
    categories: set[int]
    images: list[dict]
    faces: dict[int, list[dict]]
    classes: dict[str, int] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    @property
    def category(self) -> int:
        """Lowest id of a category that is a face."""
        return min(self.categories)

    @property
    def ids(self) -> dict[str, int]:
        """Image id by name, which is the `file_name` without extension.

        Raises:
            InputError: when two images have the same name.
        """
        ids = {}
        for image in self.images:
            name = image_name(image["file_name"])
            if name in ids:
                raise InputError(f"{self.path}: images {ids[name]} and {image['id']} are both named {name!r}; "
                                 "prediction files could not tell them apart")
            ids[name] = image["id"]
        return ids


def load_coco(path: str | os.PathLike, classes: Collection[str] | None = None) -> CocoFile:
    """Read and check a COCO annotation file. Annotations of categories that are not faces are left out.

    Args:
        path: the JSON file.
        classes: names of the categories that are faces. None: the only category, whatever its name, or among several
            those named "face".

    Raises:
        InputError: names the file and the object, key or id that is wrong, or lists the categories to choose from.
    """
    data = read_json(path)
    if not isinstance(data, dict):
        hint = "; this looks like the results of a detector" if isinstance(data, list) else ""
        raise InputError(f"{path}: expected a COCO object with images, annotations and categories, "
                         f"found {kind_of(data)}{hint}")
    lists = {key: _objects(data, key, path) for key in ("categories", "images", "annotations")}
    known = {_whole(category, "id", f"{path}, categories[{i}]"): str(category.get("name"))
             for i, category in enumerate(lists["categories"])}
    counts = Counter({name: 0 for name in known.values()})
    counts.update(known[number] for annotation in lists["annotations"]
                  if type(number := annotation.get("category_id")) is int and number in known)
    names = chosen_classes(counts, classes, f"{path}, 'categories'")
    chosen = {number for number, name in known.items() if name in names}
    if not chosen:
        raise InputError(f"{path}: expected one category, or one named 'face', in 'categories', found none")
    images = {}
    for i, image in enumerate(lists["images"]):
        checked = _image(image, f"{path}, images[{i}]")
        if images.setdefault(checked["id"], checked) is not checked:
            raise InputError(f"{path}, images[{i}]: id {checked['id']} is already used by an earlier image")
    faces, seen = {key: [] for key in images}, set()
    for i, annotation in enumerate(lists["annotations"]):
        where = f"{path}, annotations[{i}]"
        number = _whole(annotation, "id", where)
        where = f"{path}, annotation {number}"
        if number in seen:
            raise InputError(f"{where}: this id is already used by an earlier annotation")
        seen.add(number)
        image, category = (_whole(annotation, key, where) for key in ("image_id", "category_id"))
        for key, value, ids in (("image_id", image, images), ("category_id", category, known)):
            if value not in ids:
                raise InputError(f"{where}: {key} {value} is not in the file")
        if category in chosen:
            faces[image].append(_annotation(annotation, where))
    return CocoFile(str(path), chosen, list(images.values()), faces, dict(counts), names)


def read_json(path: str | os.PathLike) -> object:
    """Read a JSON file.

    Raises:
        InputError: names the file, and the line that is not JSON.
    """
    text = read_text(path, "JSON file")
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from None
    except ValueError as error:  # a number of thousands of digits, deep brackets
        raise InputError(f"{path}: not readable as JSON ({error})") from None


def kind_of(value: object) -> str:
    """Describe a JSON value in words for a message."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return "nothing" if value is None else repr(value)[:40]


def is_pixels(value: object) -> bool:
    """Tell whether a JSON value can be a coordinate in px: a finite number of sensible size, not a bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST


def _objects(data, key, path):
    values = data.get(key)
    if not isinstance(values, list):
        raise InputError(f"{path}: expected a list in {key!r}, found {kind_of(values)}")
    for i, value in enumerate(values):
        if not isinstance(value, dict):
            raise InputError(f"{path}, {key}[{i}]: expected an object, found {kind_of(value)}")
    return values


def _whole(data, key, where):
    value = data.get(key)
    if type(value) is not int:
        raise InputError(f"{where}: expected a whole number in {key!r}, found {kind_of(value)}")
    return value


def _image(image, where):
    _whole(image, "id", where)
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        raise InputError(f"{where}: expected a path in 'file_name', found {kind_of(name)}")
    name = slashed(name)
    if leaves_folder(name):  # prediction files are written under this name
        raise InputError(f"{where}: file_name {name[:60]!r} leaves the folder of the images or is no path; expected a "
                         "path below the folder")
    sides = {}
    for key in ("width", "height"):
        sides[key] = 0 if image.get(key) is None else _whole(image, key, where)
        if not 0 <= sides[key] < _LARGEST:
            raise InputError(f"{where}: expected pixels in {key!r}, found {sides[key]}")
    return image | {"file_name": name} | sides


def _annotation(annotation, where):
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_pixels, box)):
        found = str(box)[:60] if isinstance(box, list) else kind_of(box)
        raise InputError(f"{where}: expected four numbers x y w h in 'bbox', found {found}")
    crowd = annotation.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise InputError(f"{where}: expected 0 or 1 in 'iscrowd', found {kind_of(crowd)}")
    area = annotation.get("area")
    if area is None:
        area = box[2] * box[3]
    elif type(area) not in (int, float) or not 0 <= area < _LARGEST ** 2:
        raise InputError(f"{where}: expected square pixels in 'area', found {kind_of(area)}")
    return annotation | {"bbox": list(map(float, box)), "iscrowd": int(crowd), "area": float(area)}
