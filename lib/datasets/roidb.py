"""The roidb: what every reader gives and every training and evaluation takes; its file; how several are joined.

Boxes are float32 x1 y1 x2 y2 in pixels, continuous (width = x2 - x1), as annotated: nothing is clipped to the image.
"""

import os
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from ..errors import InputError
from .storage import load_plain, pack, save_plain, unpack

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
_FORMAT = "manyfaces roidb 1"


@dataclass
class Record:
    """One image and its N faces.

    root: folder of the images; image: path below it, with "/"; width, height: pixels after EXIF rotation, 0 when the
    images were not at hand. boxes (N, 4) float32; landmarks (N, 5, 2) float32 x y, NaN = not labelled, in the order
    left eye, right eye, nose, left and right mouth corner as seen in the image; ignore (N,) bool: neither a face to
    find nor background; attributes: name -> (N,) integers, -1 = not labelled.
    """

    root: str
    image: str
    width: int
    height: int
    boxes: np.ndarray
    landmarks: np.ndarray
    ignore: np.ndarray
    attributes: dict = field(default_factory=dict)

    @property
    def path(self):
        """Where the image file is."""
        return os.path.join(self.root, *self.image.split("/"))

    @property
    def name(self):
        """The image without its extension: 0--Parade/x.jpg is 0--Parade/x."""
        return image_name(self.image)


@dataclass
class Roidb:
    """The records of one data set, what was dropped on the way (reason -> count) and the file they came from."""

    records: list
    dropped: dict = field(default_factory=dict)
    source: str = ""

    def __len__(self):
        return len(self.records)


def scaled(record, image, factor):
    """(Record, image) with the sides multiplied by a factor, to whole pixels. image: (H, W, 3) uint8 of the record."""
    height, width = image.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    x, y = size[0] / width, size[1] / height
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    return replace(record, width=size[0], height=size[1], boxes=record.boxes * np.float32([x, y, x, y]),
                   landmarks=record.landmarks * np.float32([x, y])), image


def image_name(image):
    """The image's path without its extension, if that is one of an image (names may hold other dots)."""
    stem, extension = os.path.splitext(image)
    return stem if extension.lower() in IMAGE_EXTENSIONS else image


def save_roidb(roidb, path):
    """Write the roidb to `path`, whole or not at all. All arrays go as columns: 12,880 images take about 20 ms."""
    records = roidb.records
    attributes = sorted({key for record in records for key in record.attributes})
    columns = {key: pack(np.concatenate([record.attributes.get(key, np.full(len(record.boxes), -1))
                                         for record in records]).astype(np.int32)) for key in attributes}
    save_plain({
        "format": _FORMAT, "source": roidb.source, "dropped": dict(roidb.dropped),
        "roots": [record.root for record in records], "images": [record.image for record in records],
        "sizes": pack(np.array([(r.width, r.height) for r in records], np.int32).reshape(-1, 2)),
        "counts": pack(np.array([len(r.boxes) for r in records], np.int32)),
        "boxes": pack(_joined([r.boxes for r in records], np.float32, (4,))),
        "landmarks": pack(_joined([r.landmarks for r in records], np.float32, (5, 2))),
        "ignore": pack(_joined([r.ignore for r in records], np.bool_, ())),
        "attributes": columns}, path)


def load_roidb(path, root=None):
    """Read a roidb that save_roidb wrote; root, when given, replaces the folder of the images.

    Nothing in the file can run code (see storage.py). Raises InputError when the file is absent, no roidb or damaged.
    """
    data = load_plain(path, hint="build it with tools/build_roidb.py")
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        found = data.get("format") if isinstance(data, dict) else type(data).__name__
        raise InputError(f"{path}: not a roidb of this version (found {found!r}, expected {_FORMAT!r}); "
                         "build it again with tools/build_roidb.py")
    try:
        records = _records(data, root)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise InputError(f"{path}: damaged roidb ({type(error).__name__}: {error}); build it again") from None
    return Roidb(records, dict(data["dropped"]), str(data["source"]))


def _records(data, root):
    counts = unpack(data["counts"])
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    columns = {key: unpack(data[key]) for key in ("boxes", "landmarks", "ignore")}
    attributes = {key: unpack(value) for key, value in data["attributes"].items()}
    sizes = unpack(data["sizes"])
    lengths = {len(column) for column in (*columns.values(), *attributes.values())}
    if lengths != {total} or not len(counts) == len(sizes) == len(data["images"]) == len(data["roots"]):
        raise ValueError("columns of different length")
    records = []
    for index, end in enumerate(ends):
        part = slice(end - counts[index], end)
        # Copies, so that changing one record in place does not reach its neighbours.
        records.append(Record(root or data["roots"][index], data["images"][index], *map(int, sizes[index]),
                              *(columns[key][part].copy() for key in ("boxes", "landmarks", "ignore")),
                              {key: column[part].copy() for key, column in attributes.items()}))
    return records


def _joined(arrays, dtype, shape):
    return np.concatenate([np.asarray(a, dtype).reshape(-1, *shape) for a in arrays] or [np.zeros((0, *shape), dtype)])


def select(roidb, only=None, without=None, strict=True):
    """The roidb's records whose image is in the list `only` and not in the list `without`, in their own order.

    The lists hold image paths below the root, with or without extension. With strict, a listed image that the roidb
    does not have raises InputError: a misspelt list must not let selection images slip into the training.
    """
    names = {record.name for record in roidb.records}
    chosen = []
    for images in (only, without):
        listed = None if images is None else {image_name(image.strip()) for image in images if image.strip()}
        unknown = sorted((listed or set()) - names)
        if strict and unknown:
            raise InputError(f"{len(unknown)} of {len(listed)} listed images are not in {roidb.source or 'the roidb'}, "
                             f"the first is {unknown[0]!r}; names look like {next(iter(sorted(names)), '')!r}")
        chosen.append(listed)
    keep, leave = chosen
    records = [r for r in roidb.records if (keep is None or r.name in keep) and (leave is None or r.name not in leave)]
    return Roidb(records, dict(roidb.dropped), roidb.source)


def load_sources(sources, weights=None, pickles_dir="data/pickles"):
    """Join roidbs by name: "wider_train+facemask_train" reads these two .pkl files of pickles_dir.

    weights: None (all 1), one number for all, or a list or a dict with one number > 0 a source: an image of weight 2 is
    to be drawn twice as often as one of weight 1. Returns the list of Records and the list of their weights.
    """
    names = [name.strip() for name in sources.split("+")]
    if not all(names):
        raise InputError(f"data sources {sources!r}: expected names joined by +, as in wider_train+facemask_train")
    if isinstance(weights, dict):
        unknown = sorted(set(weights) - set(names))
        if unknown:
            raise InputError(f"source weights name {unknown[0]!r}, which is not one of the sources {sources!r}")
        weights = [weights.get(name, 1.0) for name in names]
    elif weights is None or isinstance(weights, (int, float)):
        weights = [1.0 if weights is None else weights] * len(names)
    weights = list(weights) or [1.0] * len(names)
    if len(weights) != len(names):
        raise InputError(f"{len(weights)} source weights for the {len(names)} sources {sources!r}: give one each")
    if not all(isinstance(w, (int, float)) and 0 < w < float("inf") for w in weights):
        raise InputError(f"source weights {weights}: expected a number > 0 for each of {sources!r}")
    records, record_weights = [], []
    for name, weight in zip(names, weights, strict=True):
        part = load_roidb(os.path.join(pickles_dir, name + ".pkl")).records
        records += part
        record_weights += [float(weight)] * len(part)
    if not records:
        raise InputError(f"data sources {sources!r} hold no image")
    return records, record_weights
