"""Public ONNX files of other projects, which have no sidecar: YuNet and SCRFD.

A file is recognised by the inputs and outputs of its graph. Each format has one record in FORMATS: what the net takes,
which outputs it gives, and how the authors' own programs decode them and apply NMS.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ..config import load_config
from ..detections import Detections
from ..errors import InputError
from ..nets.family import Family
from .sessions import installed, open_session, readers
from .sidecar import missing, sidecar_path

if TYPE_CHECKING:
    from easydict import EasyDict

RUNTIME = "onnxruntime"
STRIDES = (8, 16, 32)

Shape = Sequence[int | str | None]
"""Of an input or output; a free axis is None or a text."""


# ------------------------------------------------------------------ decoding


class Foreign(Family):
    """Base of the families of foreign files: `decode` only.

    The maps are KIND_STRIDE (h, w, C), as in bbox_8; `columns` has C for each kind, times the anchors of a cell.

    Attributes:
        columns: kind of output -> numbers per anchor.
        optional: kinds that a file may lack.
        anchors: per cell.
    """

    columns: Mapping[str, int] = {}
    optional: Sequence[str] = ()
    anchors = 1
    fill = 0

    def __init__(self, cfg: EasyDict, multiple: int = max(STRIDES)) -> None:
        super().__init__(cfg)
        self.multiple = multiple

    def decode(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int]) -> Detections:
        """Detections before NMS. Boxes are not clipped to the image, as in the authors' programs."""
        scores, boxes, landmarks = [], [], []
        for stride in STRIDES:
            rows = {kind: np.asarray(outputs[f"{kind}_{stride}"]).reshape(-1, count)
                    for kind, count in self.columns.items() if f"{kind}_{stride}" in outputs}
            found = self.scores(rows)
            kept = np.flatnonzero(found >= np.float32(self.cfg.TEST.SCORE))
            if len(kept) > self.cfg.TEST.TOP:
                kept = np.sort(kept[np.argsort(-found[kept], kind="stable")[: self.cfg.TEST.TOP]])
            width = np.asarray(outputs[f"bbox_{stride}"]).shape[1]
            row, column = np.divmod(kept // self.anchors, width)
            cells = np.stack([column, row], axis=1).astype(np.float32)
            scores.append(found[kept])
            boxes.append(self.boxes(rows["bbox"][kept], cells) * np.float32(stride))
            if "kps" in rows:
                points = rows["kps"][kept].reshape(-1, 5, 2) + cells[:, None]
                landmarks.append(points * np.float32(stride))
        return Detections(np.concatenate(boxes), np.concatenate(scores),
                          np.concatenate(landmarks) if landmarks else None)

    def scores(self, rows: Mapping[str, np.ndarray]) -> np.ndarray:
        """Scores (N,) of all anchors of one stride; rows (N, C) by kind."""
        raise NotImplementedError

    def boxes(self, values: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Boxes (N, 4), unit: one stride, of outputs (N, 4); cells (N, 2) are column and row."""
        raise NotImplementedError


class YuNet(Foreign):
    """YuNet as cv2.FaceDetectorYN decodes it. Source: OpenCV, modules/objdetect/src/face_detect.cpp."""

    columns = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}

    def scores(self, rows: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.sqrt(rows["cls"].clip(0, 1) * rows["obj"].clip(0, 1))[:, 0]

    def boxes(self, values: np.ndarray, cells: np.ndarray) -> np.ndarray:
        centres, sides = cells + values[:, :2], np.exp(values[:, 2:])
        corners = centres - sides / 2
        return np.concatenate([corners, corners + sides], axis=1)

    def compared(self, boxes: np.ndarray) -> np.ndarray:
        """OpenCV compares boxes whose x, y, width and height it has cut to whole px."""
        corners = np.trunc(boxes[:, :2])
        return np.concatenate([corners, corners + np.trunc(boxes[:, 2:] - boxes[:, :2])], axis=1)


class SCRFD(Foreign):
    """SCRFD, whose files come from insightface. Source: arXiv 2105.04714; insightface, detection/scrfd."""

    columns = {"score": 1, "bbox": 4, "kps": 10}
    optional = ("kps",)
    anchors = 2

    def scores(self, rows: Mapping[str, np.ndarray]) -> np.ndarray:
        return rows["score"][:, 0]

    def boxes(self, values: np.ndarray, cells: np.ndarray) -> np.ndarray:
        return np.concatenate([cells - values[:, :2], cells + values[:, 2:]], axis=1)


# ------------------------------------------------------------------- records


@dataclass(frozen=True)
class Format:
    """What a foreign net takes, and how its faces are read.

    Attributes:
        title: for messages.
        family: decodes it.
        outputs: for messages.
        bgr: colour order of the input, else RGB. The layout is NCHW.
        mean, deviation: the input is (pixel - mean) / deviation.
        test: values of TEST that the authors' programs use.
    """

    title: str
    family: type[Foreign]
    outputs: str
    bgr: bool
    mean: float
    deviation: float
    test: Mapping[str, Any]


LIMITS = {"SCORE": 0.02, "TOP": 5000, "KEEP": 5000}
FORMATS = {
    "yunet": Format("YuNet", YuNet, "cls, obj, bbox and kps of strides 8, 16 and 32", bgr=True, mean=0, deviation=1,
                    test=LIMITS | {"NMS": 0.3, "DEMO_SCORE": 0.9}),
    "scrfd": Format("SCRFD", SCRFD, "6 or 9 outputs of 1, 4 and 10 columns", bgr=False, mean=127.5, deviation=128,
                    test=LIMITS | {"NMS": 0.4, "DEMO_SCORE": 0.5}),
}
"""Name -> record; the name is NAME and FAMILY of the config."""


def recognise(inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]) -> tuple[str, dict[str, str]] | None:
    """Recognise a foreign net.

    Args:
        inputs, outputs: shapes by name, in the order of the graph.

    Returns:
        (key of FORMATS, KIND_STRIDE -> name of the output); None for any other net.

    Examples:
        >>> shapes = [["n", 1]] * 3 + [["n", 4]] * 3
        >>> recognise({"input.1": [1, 3, "?", "?"]}, dict(zip("abcdef", shapes)))[0]
        'scrfd'
    """
    if len(inputs) != 1 or [len(shape) == 4 and shape[1] for shape in inputs.values()] != [3]:
        return None
    names = [f"{kind}_{stride}" for kind in YuNet.columns for stride in STRIDES]
    if set(names) == set(outputs):
        return "yunet", {name: name for name in names}
    found = {}
    for kind, columns in SCRFD.columns.items():  # names are numbers; the outputs of a kind go by stride
        own = [name for name, shape in outputs.items() if len(shape) in (2, 3) and shape[-1] == columns]
        if len(own) != len(STRIDES) and not (kind in SCRFD.optional and not own):
            return None
        found |= {f"{kind}_{stride}": name for stride, name in zip(STRIDES, own, strict=False)}
    return ("scrfd", found) if len(found) == len(outputs) else None


# ------------------------------------------------------------------- opening


class Net:
    """images (B, H, W, 3) RGB 0..255 -> maps (B, h, w, C). Threads may share it.

    Args:
        opened: the file as a Session of ONNX Runtime.

    Attributes:
        side: px, the only height and width that it takes; None: any multiple of 32.
    """

    def __init__(self, path: str | os.PathLike, opened: Any, kind: str, outputs: Mapping[str, str]) -> None:
        self.path, self.opened, self.format, self.outputs = path, opened, FORMATS[kind], outputs
        images = opened.session.get_inputs()[0]
        self.name = images.name
        batch, _, height, width = images.shape
        fixed = [side for side in (height, width) if isinstance(side, int)]
        if fixed and (len(fixed) == 1 or height != width or height % max(STRIDES)):
            raise InputError(f"{path}: {self.format.title} takes images of {width} x {height} px only, expected a file "
                             f"for any size or for a square whose side is a multiple of {max(STRIDES)} px")
        self.side: int | None = fixed[0] if fixed else None
        # Rows without a batch axis are of one image.
        self.single = isinstance(batch, int) or any(len(output.shape) == 2 for output in opened.session.get_outputs())

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        height, width = images.shape[1:3]
        if self.side and (height, width) != (self.side, self.side):
            raise InputError(f"{self.path}: images have {width} x {height} px, the net takes {self.side} x {self.side} "
                             f"px only; expected a TEST.MAX_SIDE of {self.side} and no larger TEST.SIZE")
        step = 1 if self.single else len(images)
        batches = [self._maps(images[i : i + step]) for i in range(0, len(images), step)]
        return {name: np.concatenate([maps[name] for maps in batches]) for name in self.outputs}

    def _maps(self, images):
        """Maps of one batch, each in the shape of its grid."""
        record = self.format
        blob = cv2.dnn.blobFromImages(list(images), 1 / record.deviation, mean=(record.mean,) * 3, swapRB=record.bgr)
        values = self.opened.session.run(list(self.outputs.values()), {self.name: blob})
        height, width = images.shape[1:3]
        maps = {}
        for name, rows in zip(self.outputs, values, strict=True):
            kind, stride = name.split("_")
            columns = record.family.anchors * record.family.columns[kind]
            shape = len(images), height // int(stride), width // int(stride), columns
            if rows.size != np.prod(shape):
                raise InputError(f"{self.path}: output {self.outputs[name]} has the shape {rows.shape}, expected "
                                 f"{np.prod(shape[:3]) * record.family.anchors} rows of {record.title} at stride "
                                 f"{stride}")
            maps[name] = rows.reshape(shape)
        return maps


def is_foreign(path: str | os.PathLike) -> bool:
    """Whether a file may be a foreign one: an .onnx without a sidecar."""
    return Path(path).is_file() and RUNTIME in readers(path) and not sidecar_path(path).exists()


def open_foreign(path: str | os.PathLike, runtime: str | None = None, threads: int | None = None,
                 precision: str | None = None) -> tuple[Foreign, Callable[[np.ndarray], dict], EasyDict]:
    """Open a file of FORMATS with ONNX Runtime; arguments and results are those of open_model.

    Raises:
        InputError: it is of no known format; or another runtime or precision is asked for.
    """
    path = Path(path)
    known = "; ".join(f"{record.title} ({record.outputs})" for record in FORMATS.values())
    if RUNTIME not in installed():
        raise InputError(f"{missing(path)}. Without it {RUNTIME} opens the files of {known}, but is not installed: pip "
                         f"install 'manyfaces[onnx]'")
    if runtime not in (None, RUNTIME):
        raise InputError(f"{missing(path)}. Without it only runtime {RUNTIME} opens a file: {known}")
    facts = {"precision": "float32", "content": "maps", "file": path.name}
    opened = open_session(path, facts, RUNTIME, threads, precision)
    session = opened.session  # type: ignore[attr-defined]
    shapes = [{value.name: value.shape for value in values} for values in (session.get_inputs(), session.get_outputs())]
    recognised = recognise(*shapes)
    if recognised is None:
        found = ", ".join(f"{name} {shape}" for name, shape in list(shapes[1].items())[:4])
        raise InputError(f"{missing(path)}. Without it only these files open: {known}; this one has the outputs {found}"
                         + (" and so on" if len(shapes[1]) > 4 else ""))
    kind, outputs = recognised
    net = Net(path, opened, kind, outputs)
    cfg = load_config()
    cfg.FAMILY = cfg.NAME = kind
    cfg.NET.LANDMARKS = f"kps_{STRIDES[0]}" in outputs
    cfg.TEST.update(FORMATS[kind].test)
    if net.side:
        cfg.TEST.MAX_SIDE = net.side
    return FORMATS[kind].family(cfg, net.side or max(STRIDES)), net, cfg
