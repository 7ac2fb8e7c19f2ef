"""The roidb: the annotated images of a data set, as every reader returns them. Also its file, and joining several.

Boxes are float32 x1 y1 x2 y2 in px, continuous (width = x2 - x1). They are not clipped to the image.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from ..errors import InputError, Range, check_number
from ..texts import can_be_path
from .storage import load_plain, pack, save_plain, unpack

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".gif", ".avif",
                    ".jp2", ".ppm", ".pgm", ".pbm", ".pnm")
# Pictures that OpenCV does not read: listed where they would be missed, so that reading them says what they are.
OTHER_EXTENSIONS = (".heic", ".heif", ".hif", ".jxl", ".tga", ".psd", ".exr", ".hdr", ".dng", ".cr2", ".cr3", ".nef",
                    ".arw", ".orf", ".raf", ".rw2")
_FORMAT = "manyfaces roidb 1"


@dataclass
class Record:
    """One image and its N faces.

    Attributes:
        root: folder of the images.
        image: path of the image below `root`, with "/".
        width: px after EXIF rotation, 0 when the roidb was made without the images.
        height: as `width`.
        boxes: (N, 4) float32, x1 y1 x2 y2 in px.
        landmarks: (N, 5, 2) float32, x y in px, NaN = not labelled. Order: left eye, right eye, nose, left and right
            mouth corner; left is the image's left.
        ignore: (N,) bool, True for a region that is neither a face to find nor background.
        attributes: name -> (N,) integers, -1 = not labelled.
    """

    root: str
    image: str
    width: int
    height: int
    boxes: np.ndarray
    landmarks: np.ndarray
    ignore: np.ndarray
    attributes: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Path of the image file."""
        return os.path.join(self.root, *self.image.split("/"))

    @property
    def name(self) -> str:
        """The image's path without its extension: 0--Parade/x for 0--Parade/x.jpg."""
        return image_name(self.image)


@dataclass
class Roidb:
    """The records of one data set.

    Attributes:
        records: one Record per image.
        dropped: reason -> number of faces or images that the reader left out.
        source: annotation file that the records come from.
        classes: class -> number of its objects in the annotation, also of those that are no faces. Empty where the
            format has no classes. Not stored in the file of the roidb.
        taken: the classes that are faces. Not stored.
        notes: what the reader passed over or doubts, one line each. Not stored.
    """

    records: list[Record]
    dropped: dict[str, int] = field(default_factory=dict)
    source: str = ""
    classes: dict[str, int] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.records)


def scaled(record: Record, image: np.ndarray, factor: float) -> tuple[Record, np.ndarray]:
    """Scale a record and its image, rounded to whole pixels.

    Args:
        record: stays as it is.
        image: (H, W, 3) uint8, the image of the record.
        factor: multiplies both sides.

    Returns:
        A new Record, and the image, (height, width, 3) uint8.
    """
    height, width = image.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    factors = np.array([size[0] / width, size[1] / height], np.float32)
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    return replace(record, width=size[0], height=size[1], boxes=record.boxes * np.tile(factors, 2),
                   landmarks=record.landmarks * factors), image


def image_name(image: str) -> str:
    """Remove the extension of an image from its path; other dots stay.

    Examples:
        >>> image_name("0--Parade/x.v2.jpg"), image_name("0--Parade/x.v2")
        ('0--Parade/x.v2', '0--Parade/x.v2')
    """
    stem, extension = os.path.splitext(image)
    return stem if extension.lower() in IMAGE_EXTENSIONS else image


def slashed(path: str) -> str:
    """Write a path as a roidb does: with "/", without a leading "./"."""
    return path.replace("\\", "/").removeprefix("./")


def leaves_folder(path: str) -> bool:
    """Tell whether a slashed path can lead out of the folder that it is joined to, or can be no path of a file."""
    return os.path.isabs(path) or ".." in path.split("/") or not can_be_path(path)


def save_roidb(roidb: Roidb, path: str | os.PathLike) -> None:
    """Write the roidb to `path` atomically.

    Each array is stored as one column for all images: 12,880 images take about 20 ms.
    """
    records = roidb.records
    attributes = sorted({key for record in records for key in record.attributes})
    columns = {key: pack(np.concatenate([record.attributes.get(key, np.full(len(record.boxes), -1))
                                         for record in records]).astype(np.int32)) for key in attributes}
    data = {
        "format": _FORMAT, "source": roidb.source, "dropped": dict(roidb.dropped),
        "roots": [record.root for record in records], "images": [record.image for record in records],
        "sizes": pack(np.array([(r.width, r.height) for r in records], np.int32).reshape(-1, 2)),
        "counts": pack(np.array([len(r.boxes) for r in records], np.int32)),
        "boxes": pack(_joined([r.boxes for r in records], np.float32, (4,))),
        "landmarks": pack(_joined([r.landmarks for r in records], np.float32, (5, 2))),
        "ignore": pack(_joined([r.ignore for r in records], np.bool_, ())),
        "attributes": columns}
    save_plain(data | {"checksum": _checksum(data)}, path)


def load_roidb(path: str | os.PathLike, root: str | None = None) -> Roidb:
    """Read a roidb that save_roidb wrote. Nothing in the file can run code (see storage.py).

    Args:
        path: the .pkl file.
        root: folder of the images that replaces the stored one.

    Raises:
        InputError: when the file is absent, damaged or not a roidb.
    """
    data = load_plain(path, hint="build it with `manyfaces data build`")
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        found = data.get("format") if isinstance(data, dict) else type(data).__name__
        raise InputError(f"{path}: not a roidb of this version (found {found!r}, expected {_FORMAT!r}); "
                         "build it again with `manyfaces data build`")
    try:
        if "checksum" in data and data["checksum"] != _checksum(data):  # older files have none
            raise ValueError("its content is not what was written")
        return Roidb(_records(data, root), _dropped(data["dropped"]), str(data["source"]))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise InputError(f"{path}: damaged roidb ({type(error).__name__}: {error}); build it again") from None


def _checksum(data):
    """CRC-32 of everything that is stored but the format and the checksum itself."""
    total = 0
    for key in sorted(data.keys() - {"format", "checksum"}):
        value = data[key]
        for name, column in sorted(value.items()) if key == "attributes" else [(key, value)]:
            array = isinstance(column, tuple)
            words = json.dumps([name, column[:2] if array else column])
            total = zlib.crc32(column[2] if array else b"", zlib.crc32(words.encode(), total))
    return total


def _dropped(counts):
    if not isinstance(counts, dict) or not all(type(k) is str and type(v) is int for k, v in counts.items()):
        raise ValueError("'dropped' is not a table of counts")
    return dict(counts)


def _records(data, root):
    counts, sizes = unpack(data["counts"]), unpack(data["sizes"])
    if counts.dtype != np.int32 or counts.ndim != 1 or (counts < 0).any():
        raise ValueError("'counts' is not a list of counts")
    ends = np.cumsum(counts, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    columns = {key: unpack(data[key]) for key in ("boxes", "landmarks", "ignore")}
    attributes = {str(key): unpack(value) for key, value in data["attributes"].items()}
    wanted = {"boxes": (np.float32, (total, 4)), "landmarks": (np.float32, (total, 5, 2)),
              "ignore": (np.bool_, (total,))}
    for key, column in (columns | attributes).items():
        kind, shape = wanted.get(key, (np.int32, (total,)))
        if column.dtype != kind or column.shape != shape:
            raise ValueError(f"columns of different length or type: {key!r} is {column.dtype} {column.shape}, expected "
                             f"{np.dtype(kind)} {shape}")
    if sizes.shape != (len(counts), 2) or not len(counts) == len(data["images"]) == len(data["roots"]):
        raise ValueError("columns of different length")
    if not all(isinstance(name, str) for names in (data["images"], data["roots"]) for name in names):
        raise ValueError("an image is not named by text")
    if (sizes < 0).any() or not np.isfinite(columns["boxes"]).all() or np.isinf(columns["landmarks"]).any():
        raise ValueError("a size or a coordinate is out of range")
    records = []
    for index, end in enumerate(ends):
        rows = slice(end - counts[index], end)
        # Copies, so that changing one record in place does not reach its neighbours.
        width, height = map(int, sizes[index])
        boxes, landmarks, ignore = (columns[key][rows].copy() for key in ("boxes", "landmarks", "ignore"))
        records.append(Record(root or data["roots"][index], data["images"][index], width, height, boxes, landmarks,
                              ignore, {key: column[rows].copy() for key, column in attributes.items()}))
    return records


def _joined(arrays, dtype, shape):
    """(N, *shape): the arrays one after the other."""
    return np.concatenate([np.asarray(a, dtype).reshape(-1, *shape) for a in arrays] or [np.zeros((0, *shape), dtype)])


def select(roidb: Roidb, only: Iterable[str] | None = None, without: Iterable[str] | None = None,
           strict: bool = True) -> Roidb:
    """Keep the records whose image is in the list `only` and not in the list `without`, in the order of the roidb.

    Args:
        roidb: stays as it is.
        only: image paths below the root, with or without extension. None: all images.
        without: as `only`. None: no image.
        strict: refuse a listed image that the roidb does not have. A misspelt list must not let selection images
            into the training.

    Raises:
        InputError: with `strict`, names the first listed image that is missing.
    """
    names = {record.name for record in roidb.records}
    chosen = []
    for images in (only, without):
        listed = None if images is None else {image_name(image.strip()) for image in images if image.strip()}
        unknown = sorted((listed or set()) - names)
        if strict and listed and unknown:
            raise InputError(f"{len(unknown)} of {len(listed)} listed images are not in {roidb.source or 'the roidb'}, "
                             f"the first is {unknown[0]!r}; names look like {next(iter(sorted(names)), '')!r}")
        chosen.append(listed)
    keep, leave = chosen
    records = [r for r in roidb.records if (keep is None or r.name in keep) and (leave is None or r.name not in leave)]
    return replace(roidb, records=records, dropped=dict(roidb.dropped))


def hash_fraction(name: str) -> float:
    """A number from 0 to 1 that depends on a name alone: its MD5 as one integer, the last four digits read backwards.

    So the names below 0.1 are those whose integer is divisible by 10, and those below 0.2 are these and more.

    Examples:
        >>> int(hashlib.md5(b"0--Parade/x").hexdigest(), 16) % 10000, hash_fraction("0--Parade/x")
        (1082, 0.2801)
    """
    return int(f"{int(hashlib.md5(name.encode('utf-8', 'surrogateescape')).hexdigest(), 16) % 10000:04d}"[::-1]) / 10000


def split(roidb: Roidb, fraction: float = 0.9) -> tuple[Roidb, Roidb]:
    """Divide a roidb into one to train on and one that is held out, by a hash of the names.

    An image keeps its side when others are added or removed. Where a side would have no face that counts, the image
    with a face that is nearest to it changes sides.

    Args:
        roidb: stays as it is.
        fraction: of the images that are trained on, 0..1.

    Returns:
        The two roidbs; their `classes` and `dropped` are those of the whole annotation.

    Raises:
        InputError: `fraction` is not between 0 and 1, or fewer than two images have a face that counts.
    """
    check_number(fraction, "--split", Range(over=0, below=1))
    places = {id(record): hash_fraction(record.name) for record in roidb.records}
    with_face = sorted((record for record in roidb.records if not record.ignore.all()),
                       key=lambda record: places[id(record)])
    if len(with_face) < 2:
        raise InputError(f"{roidb.source}: {len(with_face)} of {len(roidb.records)} images have a face that counts; to "
                         "train and to hold out takes two or more")
    limit = round(1 - fraction, 6)
    held = {id(record) for record in roidb.records if places[id(record)] < limit} | {id(with_face[0])}
    held.discard(id(with_face[-1]))
    sides = [[record for record in roidb.records if (id(record) in held) == side] for side in (False, True)]
    return (replace(roidb, records=sides[0], dropped=dict(roidb.dropped)),
            replace(roidb, records=sides[1], dropped=dict(roidb.dropped)))


def load_sources(sources: str, weights: float | Sequence[float] | Mapping[str, float] | None = None,
                 pickles_dir: str | os.PathLike = "data/pickles") -> tuple[list[Record], list[float]]:
    """Read several roidbs and join their records.

    Args:
        sources: names joined by +. "wider_train+facemask_train" reads these two .pkl files of `pickles_dir`.
        weights: > 0. An image of weight 2 is drawn twice as often as one of weight 1. One number for all sources, a
            list with one number per source, or a dict by name (1 where the name is absent). None: 1.
        pickles_dir: folder of the .pkl files.

    Returns:
        The records, and the weight of each.

    Raises:
        InputError: when a name or a weight is wrong, a file cannot be read, or there is no image.
    """
    names = [name.strip() for name in sources.split("+")]
    if not all(names):
        raise InputError(f"data sources {sources!r}: expected names joined by +, as in wider_train+facemask_train")
    if isinstance(weights, Mapping):
        unknown = sorted(set(weights) - set(names))
        if unknown:
            raise InputError(f"source weights name {unknown[0]!r}, which is not one of the sources {sources!r}")
        weights = [weights.get(name, 1.0) for name in names]
    elif weights is None or isinstance(weights, (int, float)):
        weights = [1.0 if weights is None else weights] * len(names)
    weights = list(weights) or [1.0] * len(names)
    if len(weights) != len(names):
        raise InputError(f"{len(weights)} source weights for the {len(names)} sources {sources!r}: "
                         "expected one per source")
    if not all(isinstance(w, (int, float)) and 0 < w < float("inf") for w in weights):
        raise InputError(f"source weights {weights}: expected a number > 0 for each of {sources!r}")
    records, record_weights = [], []
    for name, weight in zip(names, weights, strict=True):
        added = load_roidb(os.path.join(pickles_dir, name + ".pkl")).records
        records += added
        record_weights += [float(weight)] * len(added)
    if not records:
        raise InputError(f"data sources {sources!r} hold no image")
    return records, record_weights
