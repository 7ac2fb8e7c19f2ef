"""COCO's annotation JSON, checked once: what the reader makes a roidb of and the evaluator measures against.

The file is an object with the lists `images`, `annotations` and `categories`. Everything that is used is looked at
before it is used; a message names the file and the annotation's id.
"""

import json
import os
from dataclasses import dataclass

from ..errors import InputError
from .roidb import image_name

# Larger than any picture, and small enough that sums of two are finite and exact to a small part of a pixel.
_LARGEST = 1e9


@dataclass
class CocoFile:
    """A checked file: path; category, the id of the first category that is a face; categories, the set of all of them.

    images: the file's image objects in its order, with int id, file_name (with "/"), int width and height (0 = not
    known); faces: image id -> its annotations of these categories, in the file's order, with int id, bbox of four
    floats x y w h, iscrowd 0 or 1, float area (w * h where the file has none) and all other keys as they were.
    """

    path: str
    category: int
    categories: set
    images: list
    faces: dict

    @property
    def ids(self):
        """Image id by name, which is the file_name without extension; InputError when two images share one."""
        found = {}
        for image in self.images:
            name = image_name(image["file_name"])
            if name in found:
                raise InputError(f"{self.path}: images {found[name]} and {image['id']} are both named {name!r}; "
                                 "prediction files could not tell them apart")
            found[name] = image["id"]
        return found


def load_coco(path, classes=None):
    """Read and check a COCO annotation file; returns a CocoFile.

    classes: names of the categories that are faces. None: the only category there is, whatever its name, or of several
    those named "face". Annotations of other categories are left out. Raises InputError for everything that is wrong.
    """
    data = read_json(path)
    if not isinstance(data, dict):
        hint = "; this looks like the results of a detector" if isinstance(data, list) else ""
        raise InputError(f"{path}: expected a COCO object with images, annotations and categories, "
                         f"found {kind_of(data)}{hint}")
    lists = {key: _objects(data, key, path) for key in ("categories", "images", "annotations")}
    known = {_whole(category, "id", f"{path}, categories[{i}]"): category.get("name")
             for i, category in enumerate(lists["categories"])}
    chosen = _chosen(known, classes, path)
    images = {}
    for i, image in enumerate(lists["images"]):
        checked = _image(image, f"{path}, images[{i}]")
        if images.setdefault(checked["id"], checked) is not checked:
            raise InputError(f"{path}, images[{i}]: id {checked['id']} is taken by an image before it")
    faces, seen = {key: [] for key in images}, set()
    for i, annotation in enumerate(lists["annotations"]):
        where = f"{path}, annotations[{i}]"
        number = _whole(annotation, "id", where)
        where = f"{path}, annotation {number}"
        if number in seen:
            raise InputError(f"{where}: its id is taken by an annotation before it")
        seen.add(number)
        image, category = (_whole(annotation, key, where) for key in ("image_id", "category_id"))
        for key, value, among in (("image_id", image, images), ("category_id", category, known)):
            if value not in among:
                raise InputError(f"{where}: {key} {value} is none of the file's")
        if category in chosen:
            faces[image].append(_annotation(annotation, where))
    return CocoFile(str(path), min(chosen), chosen, list(images.values()), faces)


def read_json(path):
    """What a JSON file holds; InputError when it is absent or none, with the line."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return json.load(file)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, expected a JSON file") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from None
    except (ValueError, RecursionError) as error:  # no text, a number of thousands of digits, endless brackets
        raise InputError(f"{path}: not readable as JSON ({type(error).__name__})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def kind_of(value):
    """What a JSON value is, in words for a message."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return "nothing" if value is None else repr(value)[:40]


def is_pixels(value):
    """True for a number that can be a coordinate: no bool, finite, of a sensible size."""
    return type(value) in (int, float) and -_LARGEST < value < _LARGEST


def _objects(data, key, path):
    found = data.get(key)
    if not isinstance(found, list):
        raise InputError(f"{path}: expected a list in {key!r}, found {kind_of(found)}")
    for i, value in enumerate(found):
        if not isinstance(value, dict):
            raise InputError(f"{path}, {key}[{i}]: expected an object, found {kind_of(value)}")
    return found


def _whole(value, key, where):
    found = value.get(key)
    if type(found) is not int:
        raise InputError(f"{where}: expected a whole number in {key!r}, found {kind_of(found)}")
    return found


def _chosen(known, classes, path):
    """The ids of the categories that are faces."""
    if classes is None:
        chosen = set(known) if len(known) == 1 else {i for i, name in known.items() if str(name).lower() == "face"}
    else:
        chosen = {i for i, name in known.items() if name in classes}
    if not chosen:
        names = ", ".join(repr(name) for name in list(known.values())[:10]) or "none"
        wanted = "one category, or one named 'face'" if classes is None else f"one of {sorted(classes)}"
        raise InputError(f"{path}: expected in 'categories' {wanted}, found {names}")
    return chosen


def _image(image, where):
    _whole(image, "id", where)
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        raise InputError(f"{where}: expected a path in 'file_name', found {kind_of(name)}")
    name = name.replace("\\", "/").removeprefix("./")
    # Prediction files are written under this name: it must not reach beyond their folder, nor break their first line.
    if os.path.isabs(name) or ".." in name.split("/") or not name.isprintable():
        raise InputError(f"{where}: file_name {name[:60]!r} leaves the folder of the images or holds characters that "
                         "no path has; expected a path below it")
    sides = {"file_name": name}
    for key in ("width", "height"):
        sides[key] = 0 if image.get(key) is None else _whole(image, key, where)
        if not 0 <= sides[key] < _LARGEST:
            raise InputError(f"{where}: expected pixels in {key!r}, found {sides[key]}")
    return image | sides


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
