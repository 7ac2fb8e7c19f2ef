"""The result of a detector: `Detections`, the faces of one image, and `Face`, one of them.

Examples:
    >>> faces = Detections([[10, 20, 50, 70], [60, 20, 90, 60]], [0.9, 0.25])
    >>> faces
    Detections(2 faces, best 0.900, boxes only)
    >>> len(faces.above(0.5)), faces[0].score.item() > 0.8, [face.box.tolist() for face in faces[1:]]
    (1, True, [[60.0, 20.0, 90.0, 60.0]])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, overload

import numpy as np

from .constants import FLIPPED_LANDMARKS
from .errors import InputError, check_number

if TYPE_CHECKING:
    import os

    from PIL import Image

    ImageSource: TypeAlias = str | os.PathLike | bytes | bytearray | memoryview | np.ndarray | Image.Image


def check_output(values: np.ndarray, name: str, net: str) -> None:
    """Check that a net gave numbers: a score that is not finite would look like a scene without faces.

    Args:
        values: one output.
        name, net: what the message calls them.

    Raises:
        InputError: a value is NaN or infinite.
    """
    if not np.isfinite(values).all():
        raise InputError(f"{net}: its output {name} holds values that are not finite (NaN or infinity), expected "
                         f"numbers; its weights are damaged, or the precision is too low for them")


class _Face(NamedTuple):
    box: np.ndarray
    score: np.float32
    landmarks: np.ndarray | None


class Face(_Face):
    """One face; it unpacks into box, score and landmarks.

    Attributes:
        box: (4,) float32 x1 y1 x2 y2 in px.
        score: 0..1.
        landmarks: (5, 2) float32 x y in px, or None.
        id: number of its track in a video; None where faces were not tracked.
    """

    id: int | None = None


@dataclass(eq=False, repr=False)
class Detections:
    """Faces of one image, best score first if they come from `Detector`.

    `faces[3]` and iteration give a Face; `faces[:3]`, `faces[mask]` and `faces[integers]` give Detections.

    Attributes:
        boxes: (N, 4) float32 x1 y1 x2 y2 in px.
        scores: (N,) float32, 0..1.
        landmarks: (N, 5, 2) float32 x y in px, or None: left eye, right eye, nose, left and right corner of the mouth.
            Left is the image's left; NaN = unknown.
        times: ms of net, decode and nms, if they were measured.
        threshold: lowest score of the faces that were asked for, by default TEST.DEMO_SCORE of the detector's config.
        ids: (N,) int64, the track of each face in a video, or None where faces were not tracked.
    """

    boxes: np.ndarray
    scores: np.ndarray
    landmarks: np.ndarray | None = None
    times: dict[str, float] = field(default_factory=dict)
    threshold: float = 0.5
    ids: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.boxes = np.asarray(self.boxes, np.float32).reshape(-1, 4)
        self.scores = np.asarray(self.scores, np.float32).reshape(-1)
        if self.landmarks is not None:
            self.landmarks = np.asarray(self.landmarks, np.float32).reshape(-1, 5, 2)
        if self.ids is not None:
            self.ids = np.asarray(self.ids, np.int64).reshape(-1)

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        best = f", best {float(self.scores.max()):.3f}" if len(self) else ""
        points = "boxes only" if self.landmarks is None else "with landmarks"
        return f"Detections({len(self)} face{'' if len(self) == 1 else 's'}{best}, {points})"

    @overload
    def __getitem__(self, index: int | np.integer) -> Face: ...

    @overload
    def __getitem__(self, index: slice | Sequence[int] | np.ndarray) -> Detections: ...

    def __getitem__(self, index):
        if isinstance(index, (int, np.integer)):
            points = None if self.landmarks is None else self.landmarks[index]
            face = Face(self.boxes[index], self.scores[index], points)
            face.id = None if self.ids is None else int(self.ids[index])
            return face
        return self.take(index)

    def __iter__(self) -> Iterator[Face]:
        return (self[i] for i in range(len(self)))

    # ------------------------------------------------------------- choose, move

    def take(self, index: slice | Sequence[int] | np.ndarray) -> Detections:
        """The faces at `index`: integers, a mask or a slice."""
        return self._with(self.boxes[index], self.scores[index],
                          None if self.landmarks is None else self.landmarks[index],
                          None if self.ids is None else self.ids[index])

    def above(self, score: float | None = None) -> Detections:
        """The faces whose score is >= `score`, which becomes their threshold; None = `threshold`.

        Raises:
            InputError: the score is not from 0 to 1.
        """
        score = self.threshold if score is None else check_number(score, "score")
        kept = self.take(self.scores >= np.float32(score))
        kept.threshold = score
        return kept

    def scaled(self, x: float, y: float) -> Detections:
        """The same faces in an image scaled by the factors x and y."""
        boxes = self.boxes * np.array([x, y, x, y], np.float32)
        landmarks = None if self.landmarks is None else self.landmarks * np.array([x, y], np.float32)
        return self._with(boxes, self.scores, landmarks, self.ids)

    def mirrored(self, width: float) -> Detections:
        """The same faces in the image flipped left to right, `width` px wide; left and right landmarks are swapped."""
        boxes = np.stack([width - self.boxes[:, 2], self.boxes[:, 1], width - self.boxes[:, 0], self.boxes[:, 3]], 1)
        landmarks = self.landmarks
        if landmarks is not None:
            landmarks = landmarks[:, FLIPPED_LANDMARKS] * np.array([-1, 1], np.float32)
            landmarks += np.array([width, 0], np.float32)
        return self._with(boxes, self.scores, landmarks, self.ids)

    def _with(self, boxes, scores, landmarks, ids):
        return Detections(boxes, scores, landmarks, dict(self.times), self.threshold, ids)

    @staticmethod
    def concatenate(parts: Sequence[Detections]) -> Detections:
        """All faces of several Detections; their times are summed, the threshold is the first one's.

        Landmarks and ids are kept where all of them have some.
        """
        landmarks = [faces.landmarks for faces in parts if faces.landmarks is not None]
        ids = [faces.ids for faces in parts if faces.ids is not None]
        times = {}
        for faces in parts:
            for key, value in faces.times.items():
                times[key] = times.get(key, 0.0) + value
        return Detections(np.concatenate([faces.boxes for faces in parts]),
                          np.concatenate([faces.scores for faces in parts]),
                          np.concatenate(landmarks) if len(landmarks) == len(parts) else None, times,
                          parts[0].threshold, np.concatenate(ids) if len(ids) == len(parts) else None)

    # ------------------------------------------------------------------ pictures

    # An image is anything that Detector.detect takes. These methods import what they need when they are called, since a
    # net's decode needs none of it.

    def draw(self, image: ImageSource, min_score: float | None = None, colour_bar: bool = False) -> np.ndarray:
        """Draw boxes and landmarks into a copy of an image.

        Args:
            image: path, bytes of a file, (H, W, 3) uint8 RGB array, or PIL image.
            min_score: faces below it are left out; None = `threshold`.
            colour_bar: add a strip at the right that explains the colours.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            ImageError: the image cannot be read.
        """
        from .datasets.pixels import rgb_image
        from .drawing import draw

        return draw(rgb_image(image), self, self.threshold if min_score is None else min_score, colour_bar)

    def crop(self, image: ImageSource, margin: float = 0.2) -> list[np.ndarray]:
        """Cut the faces out of an image.

        Args:
            image: path, bytes of a file, (H, W, 3) uint8 RGB array, or PIL image.
            margin: fraction of a box's side that is added at each end of it; the result is clipped to the image.

        Returns:
            (h, w, 3) uint8 RGB, one per face.

        Raises:
            InputError: the margin is wrong, or a box is outside the image.
            ImageError: the image cannot be read.
        """
        from .align import crop
        from .datasets.pixels import rgb_image

        return crop(rgb_image(image), self.boxes, margin)

    def hide(self, image: ImageSource, how: str = "blur", margin: float = 0.2) -> np.ndarray:
        """Make the faces in a copy of an image unrecognisable.

        Ask `detect` for faces from a low threshold on, TEST.HIDE_SCORE, so that few are missed.

        Args:
            image: path, bytes of a file, (H, W, 3) uint8 RGB array, or PIL image.
            how: blur or pixelate.
            margin: fraction of a box's side that is added at each end of it.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            InputError: the way or the margin is wrong.
            ImageError: the image cannot be read.
        """
        from .align import hide
        from .datasets.pixels import rgb_image

        return hide(rgb_image(image), self.boxes, how, margin)

    def align(self, image: ImageSource, size: int = 112) -> np.ndarray:
        """Turn the faces upright and scale them to one size, as face recognition needs them.

        The five landmarks come near manyfaces.align.REFERENCE_POINTS, which are for 112 px and grow with `size`.

        Args:
            image: path, bytes of a file, (H, W, 3) uint8 RGB array, or PIL image.
            size: side of a face in px.

        Returns:
            (N, size, size, 3) uint8 RGB.

        Raises:
            InputError: the detector gives no landmarks, those of a face are unknown, or the size is wrong.
            ImageError: the image cannot be read.
        """
        from .align import align
        from .datasets.pixels import rgb_image

        if self.landmarks is None:
            raise InputError("these faces have no landmarks, so they cannot be aligned; use a detector whose config "
                             "has NET.LANDMARKS, such as ssh_mobilenet_v1_025, or crop() them")
        return align(rgb_image(image), self.landmarks, size)

    # ---------------------------------------------------------------------- JSON

    def to_dict(self) -> dict[str, Any]:
        """The content of to_json as a dict of plain Python values."""
        from .detections_json import as_dict

        return as_dict(self.boxes, self.scores, self.landmarks, self.threshold, self.ids)

    def to_json(self, indent: int | None = None) -> str:
        """JSON text: {"threshold": 0.5, "landmarks": true, "faces": [{"box": .., "score": .., "landmarks": ..}]}.

        A box is [x1, y1, x2, y2] in px. The landmarks of a face are five [x, y] in px, null for an unknown point. The
        key is left out if the detector gives none ("landmarks": false). A face of a video that was tracked has an
        "id" too. Numbers are the shortest that give the same float32 again, so from_json(to_json()) is equal to the
        bit. `times` are not written.

        Args:
            indent: as for json.dumps; None = one line.

        Examples:
            >>> Detections([[1, 2, 3.1, 4]], [0.9]).to_json()
            '{"threshold": 0.5, "landmarks": false, "faces": [{"box": [1.0, 2.0, 3.1, 4.0], "score": 0.9}]}'
        """
        import json

        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    @staticmethod
    def from_json(text: str | bytes | bytearray | dict) -> Detections:
        """Detections from the text of to_json or the dict of to_dict; InputError names a wrong key."""
        from .detections_json import from_dict

        boxes, scores, landmarks, threshold, ids = from_dict(text)
        points = None if landmarks is None else np.array(landmarks, np.float32)
        return Detections(np.array(boxes, np.float32), np.array(scores, np.float32), points, threshold=threshold,
                          ids=None if ids is None else np.array(ids, np.int64))
