"""What a detector gives: `Detections`, the faces of one image, and `Face`, one of them.

>>> faces = Detections([[10, 20, 50, 70], [60, 20, 90, 60]], [0.9, 0.25])
>>> faces
Detections(2 faces, best 0.900, boxes only)
>>> len(faces.above(0.5)), faces[0].score.item() > 0.8, [face.box.tolist() for face in faces[1:]]
(1, True, [[60.0, 20.0, 90.0, 60.0]])
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .constants import FLIPPED_LANDMARKS


class Face(NamedTuple):
    """One face: box (4,) float32 x1 y1 x2 y2 px, score 0..1, landmarks (5, 2) float32 px or None."""

    box: np.ndarray
    score: np.float32
    landmarks: np.ndarray | None


@dataclass(eq=False, repr=False)
class Detections:
    """Faces in one image, best score first once `Detector` has them.

    boxes (N, 4) float32 x1 y1 x2 y2 px; scores (N,) float32 0..1; landmarks (N, 5, 2) float32 px or None (left eye,
    right eye, nose, left and right corner of the mouth; left is the image's left; NaN: not known); `times` holds
    milliseconds of net, decode and nms where they were measured; from the score `threshold` on, faces are worth
    showing (Detector sets it to TEST.DEMO_SCORE of its config).

    `faces[3]` and iteration give a Face, `faces[:3]`, `faces[mask]` and `faces[integers]` Detections.
    """

    boxes: np.ndarray
    scores: np.ndarray
    landmarks: np.ndarray | None = None
    times: dict = field(default_factory=dict)
    threshold: float = 0.5

    def __post_init__(self):
        self.boxes = np.asarray(self.boxes, np.float32).reshape(-1, 4)
        self.scores = np.asarray(self.scores, np.float32).reshape(-1)
        if self.landmarks is not None:
            self.landmarks = np.asarray(self.landmarks, np.float32).reshape(-1, 5, 2)

    def __len__(self):
        return len(self.scores)

    def __repr__(self):
        best = f", best {float(self.scores.max()):.3f}" if len(self) else ""
        points = "boxes only" if self.landmarks is None else "with landmarks"
        return f"Detections({len(self)} face{'' if len(self) == 1 else 's'}{best}, {points})"

    def __getitem__(self, index):
        if isinstance(index, (int, np.integer)):
            points = None if self.landmarks is None else self.landmarks[index]
            return Face(self.boxes[index], self.scores[index], points)
        return self.take(index)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    # ------------------------------------------------------------- choose, move

    def take(self, index):
        """The faces at `index` (integers, a mask or a slice)."""
        return self._with(self.boxes[index], self.scores[index],
                          None if self.landmarks is None else self.landmarks[index])

    def above(self, score=None):
        """The faces whose score is `score` or more; None: `threshold`. What is left takes it for its threshold."""
        score = self.threshold if score is None else float(score)
        kept = self.take(self.scores >= np.float32(score))
        kept.threshold = score
        return kept

    def scaled(self, x, y):
        """The same faces in an image stretched by x and y."""
        boxes = self.boxes * np.float32([x, y, x, y])
        return self._with(boxes, self.scores, None if self.landmarks is None else self.landmarks * np.float32([x, y]))

    def mirrored(self, width):
        """The same faces in the image flipped left to right; left and right landmarks change places."""
        boxes = np.stack([width - self.boxes[:, 2], self.boxes[:, 1], width - self.boxes[:, 0], self.boxes[:, 3]], 1)
        landmarks = self.landmarks
        if landmarks is not None:
            landmarks = landmarks[:, FLIPPED_LANDMARKS] * np.float32([-1, 1]) + np.float32([width, 0])
        return self._with(boxes, self.scores, landmarks)

    def _with(self, boxes, scores, landmarks):
        return Detections(boxes, scores, landmarks, dict(self.times), self.threshold)

    @staticmethod
    def concatenate(parts):
        """All faces of several Detections; their times are summed, the threshold is the first one's."""
        landmarks = [part.landmarks for part in parts]
        times = {}
        for part in parts:
            for key, value in part.times.items():
                times[key] = times.get(key, 0.0) + value
        return Detections(np.concatenate([part.boxes for part in parts]),
                          np.concatenate([part.scores for part in parts]),
                          None if any(points is None for points in landmarks) else np.concatenate(landmarks), times,
                          parts[0].threshold)

    # ------------------------------------------------------------------ pictures

    # An image is whatever Detector.detect takes: a path, bytes, an array (H, W, 3) uint8 RGB or a PIL image. These
    # methods import what they need when they are called: a net's decode needs none of it.

    def draw(self, image, min_score=None, colour_bar=False):
        """The image with boxes and landmarks in it, (H, W, 3) uint8 RGB; faces below min_score are left out.

        min_score: None: `threshold`. colour_bar: a strip at the right that says which colour is which score.
        Raises ImageError where the image is none.
        """
        from .datasets.pixels import rgb_image
        from .drawing import draw

        return draw(rgb_image(image), self, self.threshold if min_score is None else min_score, colour_bar)

    def crop(self, image, margin=0.2):
        """A list of (h, w, 3) uint8 RGB arrays, one a face: its box, grown at each side by `margin` of that side.

        What would lie outside the image is cut off. Raises InputError where a box lies outside altogether.
        """
        from .align import crop
        from .datasets.pixels import rgb_image

        return crop(rgb_image(image), self.boxes, margin)

    def align(self, image, size=112):
        """Faces turned upright and brought to one size, (N, size, size, 3) uint8 RGB, as face recognition takes them.

        The five landmarks come to lie at manyfaces.align.REFERENCE_POINTS, which are for 112 px and grow with `size`.
        Raises InputError where the detector gives no landmarks, or one is not known.
        """
        from .align import align
        from .datasets.pixels import rgb_image
        from .errors import InputError

        if self.landmarks is None:
            raise InputError("these faces have no landmarks, so they cannot be aligned; take a detector whose config "
                             "has NET.LANDMARKS, such as ssh_mobilenet_v1_025, or crop() them")
        return align(rgb_image(image), self.landmarks, size)

    # ---------------------------------------------------------------------- JSON

    def to_dict(self):
        """What to_json writes, as a dict of plain Python values."""
        from .detections_json import as_dict

        return as_dict(self)

    def to_json(self, indent=None):
        """JSON text: {"threshold": 0.5, "landmarks": true, "faces": [{"box": .., "score": .., "landmarks": ..}]}.

        box: [x1, y1, x2, y2] px; landmarks: five [x, y] px, null for a point that is not known, and no such key in a
        face where the detector gives none ("landmarks": false). Numbers are the shortest that give the same float32
        again, so from_json(to_json()) is the same to the bit; `times` stay behind.

        >>> Detections([[1, 2, 3.1, 4]], [0.9]).to_json()
        '{"threshold": 0.5, "landmarks": false, "faces": [{"box": [1.0, 2.0, 3.1, 4.0], "score": 0.9}]}'
        """
        import json

        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    @staticmethod
    def from_json(text):
        """Detections of what to_json (text) or to_dict (dict) gave. Raises InputError that names the wrong key."""
        from .detections_json import from_dict

        boxes, scores, landmarks, threshold = from_dict(text)
        return Detections(boxes, scores, landmarks, threshold=threshold)
