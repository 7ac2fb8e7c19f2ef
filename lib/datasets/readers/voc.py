"""Pascal VOC: a folder with one .xml file per image, with a list of `object` and the `bndbox` of each.

The corners are read as continuous px, as current labelling tools write them. Objects marked `difficult` become ignore
regions, as in the VOC evaluation.

Source: VOC2007 development kit, annotation files.
"""

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection

from ...errors import InputError
from ..roidb import Roidb
from ..text import is_number
from .builder import RoidbBuilder


class _PlainTree(ElementTree.TreeBuilder):
    """Refuses a document type: it can define entities, and a few lines of them expand to gigabytes."""

    def doctype(self, name, public, system):
        raise InputError("it declares a document type, which annotation files do not need; remove the DOCTYPE")


def read_voc(labels: str | os.PathLike, images: str | os.PathLike | None = None, missing: str = "error",
             classes: Collection[str] | None = None) -> Roidb:
    """Read every .xml below a folder.

    Args:
        labels: the folder.
        images: folder of the images, None when they are not at hand.
        missing: "error" or "skip" images that are missing or unreadable.
        classes: names of the objects that are faces. None: all.

    Raises:
        InputError: names the file and object that is wrong.
    """
    if not os.path.isdir(labels):
        raise InputError(f"{labels}: no such folder of .xml annotations")
    builder = RoidbBuilder(labels, images, missing)
    paths = sorted(os.path.join(folder, file) for folder, _, files in os.walk(os.fspath(labels)) for file in files
                   if file.lower().endswith(".xml"))
    if not paths:
        raise InputError(f"{labels}: holds no .xml annotation")
    for path in paths:
        root = _parse(path)
        stem = os.path.splitext(os.path.relpath(path, labels))[0].replace(os.sep, "/")
        name = (root.findtext("filename") or "").strip().replace("\\", "/").rsplit("/", 1)[-1]
        image = f"{stem.rpartition('/')[0]}/{name}".lstrip("/") if name else stem
        if name and builder.root and not os.path.isfile(os.path.join(builder.root, image)):
            image = stem  # files are often renamed together, but not the name inside
        boxes, difficult = [], []
        for index, element in enumerate(root.iter("object"), 1):
            if classes is None or (element.findtext("name") or "").strip() in classes:
                boxes.append(_box(element, f"{path}, object {index}"))
                difficult.append((element.findtext("difficult") or "0").strip() == "1")
        builder.add(builder.find(image), boxes, path, ignore=difficult, attributes={"difficult": difficult})
    return builder.finish()


def _parse(path):
    try:
        return ElementTree.parse(path, ElementTree.XMLParser(target=_PlainTree())).getroot()
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path}: not readable as XML ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _box(element, where):
    box = []
    for key in ("xmin", "ymin", "xmax", "ymax"):
        text = (element.findtext(f"bndbox/{key}") or "").strip()
        if not is_number(text):
            raise InputError(f"{where}: expected a number in bndbox/{key}, found {text[:40]!r}")
        box.append(float(text))
    return box
