"""Pascal VOC: a folder with one .xml file per image, with a list of `object` and the `bndbox` of each.

The corners are read as continuous px, as current labelling tools write them. Objects marked `difficult` become ignore
regions, as in the VOC evaluation. Where `size` is given, the image must have this size.

Source: VOC2007 development kit, annotation files.
"""

import os
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from ...errors import InputError
from ...texts import decoded, marked_encoding, read_bytes
from ..classes import chosen_classes
from ..folders import files_below
from ..roidb import Roidb
from ..text import is_number
from .builder import RoidbBuilder

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_DEEPEST = 100  # elements inside one another; an annotation has five
_DECLARATION = re.compile(rb"""\s*<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([\w.:-]{1,40})["']""")
# Codecs of Python that are no encodings of files.
_NO_ENCODINGS = {"idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined", "utf_7"}


class _PlainTree(ElementTree.TreeBuilder):
    """Refuses what no annotation needs and what costs gigabytes or a crash.

    A document type can define entities, and a few lines of them expand without end. Freeing a tree of a hundred
    thousand levels can exhaust the stack.
    """

    def __init__(self):
        super().__init__()
        self.depth = 0

    def doctype(self, name, public, system):
        raise InputError("it declares a document type, which annotation files do not need; remove the DOCTYPE")

    def start(self, tag, attributes):
        self.depth += 1
        if self.depth > _DEEPEST:
            raise InputError(f"its elements are nested deeper than {_DEEPEST} levels, which no annotation is")
        return super().start(tag, attributes)

    def end(self, tag):
        self.depth -= 1
        return super().end(tag)


class _Object(NamedTuple):
    name: str
    difficult: bool
    box: list[str]  # the texts of _CORNERS


class _Entry(NamedTuple):
    where: str
    stem: str  # path of the .xml below the folder, without extension
    filename: str
    size: tuple[int, int]
    objects: list[_Object]


def read_voc(labels: str | os.PathLike, images: str | os.PathLike | None = None, missing: str = "error",
             classes: Collection[str] | None = None) -> Roidb:
    """Read every .xml below a folder. Files that are no annotation are passed over, with a note.

    Without `images`, width and height are those of `size`.

    Args:
        labels: the folder.
        images: folder of the images, None when they are not at hand.
        missing: "error" or "skip" images that are missing, unreadable or of another size than `size`.
        classes: names of the objects that are faces. None: the only name, or among several "face".

    Raises:
        InputError: names the file and object that is wrong, or lists the names to choose from.
    """
    if not os.path.isdir(labels):
        raise InputError(f"{labels}: no such folder of .xml annotations")
    builder = RoidbBuilder(labels, images, missing)
    entries, others = [], []
    for path in files_below(labels, (".xml",)):
        root = _parse(os.path.join(labels, path))
        if root.tag.lower() == "annotation":
            entries.append(_entry(path, root, os.path.join(labels, path)))
        else:
            others.append(f"{os.path.join(labels, path)}: passed over, it holds <{root.tag[:40]}>, not Pascal VOC's "
                          "<annotation>")
    if not entries:
        raise InputError("; ".join([f"{labels}: holds no .xml annotation", *others[:1]]))
    builder.pass_over(others, ".xml files")
    builder.classes = Counter(item.name for entry in entries for item in entry.objects)
    builder.taken = chosen_classes(builder.classes, classes, os.fspath(labels))
    for entry in entries:
        chosen = [(number, item) for number, item in enumerate(entry.objects, 1) if item.name in builder.taken]
        difficult = [item.difficult for _, item in chosen]
        builder.add(_image(builder, entry), [_box(item, f"{entry.where}, object {n}") for n, item in chosen],
                    entry.where, ignore=difficult, attributes={"difficult": difficult}, size=entry.size)
    return builder.finish()


def _entry(path, root, where):
    objects = [_Object((element.findtext("name") or "").strip() or "(no name)",
                       (element.findtext("difficult") or "0").strip().lower() in ("1", "true"),
                       [(element.findtext(f"bndbox/{key}") or "").strip() for key in _CORNERS])
               for element in root.iter("object")]
    name = (root.findtext("filename") or "").strip().replace("\\", "/").rsplit("/", 1)[-1]
    return _Entry(where, os.path.splitext(path)[0], name, _size(root, where), objects)


def _image(builder, entry):
    """Path of the image of an annotation below the folder of the images."""
    if not entry.filename:
        return builder.find(entry.stem, entry.where)
    named = f"{entry.stem.rpartition('/')[0]}/{entry.filename}".lstrip("/")
    # Files are often renamed together, but not the name inside.
    for image in (named, entry.stem):
        if not builder.root or os.path.isfile(os.path.join(builder.root, image)) or image in builder.pictures:
            return builder.find(image, entry.where)
    return builder.find(named, entry.where)


def _parse(path):
    data = read_bytes(path)
    try:
        parser = ElementTree.XMLParser(target=_PlainTree())
        parser.feed(_xml_text(data, path))
        return parser.close()
    except InputError as error:
        raise InputError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from None
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{path}: not readable as XML ({error})") from None


def _xml_text(data, path):
    """The text of an XML file, in the encoding of its mark or its declaration, else UTF-8."""
    declared = _DECLARATION.match(data)
    name = declared[1].decode().lower().replace("-", "_") if declared else "utf_8"
    if data[:4] in (b"<\0?\0", b"\0<\0?"):  # UTF-16 without a mark, which XML allows
        name = "utf_16_le" if data[1:2] == b"\0" else "utf_16_be"
    if marked_encoding(data)[0] or name in ("utf_8", "utf8", "ascii", "us_ascii") or name in _NO_ENCODINGS:
        return decoded(data, path)
    try:
        return data.decode(name)
    except LookupError:
        return decoded(data, path)
    except UnicodeDecodeError as error:
        reason = f"it declares the encoding {name}, but byte {error.start:,} is not in it"
        raise InputError(f"{path}: not readable as XML ({reason}); save it as UTF-8") from None


def _size(root, where):
    """(width, height) of `size`, each 0 where it is missing, empty or 0."""
    sides = []
    for key in ("width", "height"):
        text = (root.findtext(f"size/{key}") or "0").strip() or "0"
        if not is_number(text) or not 0 <= float(text) < 1e9 or float(text) % 1:
            raise InputError(f"{where}: expected a whole number of pixels in size/{key}, found {text[:40]!r}")
        sides.append(int(float(text)))
    return tuple(sides) if all(sides) else (0, 0)


def _box(item, where):
    for key, text in zip(_CORNERS, item.box, strict=True):
        if not is_number(text):
            raise InputError(f"{where}: expected a number in bndbox/{key}, found {text[:40]!r}")
    return [float(text) for text in item.box]
