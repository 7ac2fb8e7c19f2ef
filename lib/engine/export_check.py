"""An exported file beside Keras on real images: how far its maps, or its faces, are from Keras'."""

import itertools

import cv2
import numpy as np

from ..boxes import overlaps
from ..datasets.folders import find_images
from ..datasets.images import read_image
from ..detector import Detector
from ..errors import InputError

LIMIT = 1e-4  # of a float32 map
IMAGES = 8  # of a folder
SIDE = 1024  # px, longer side of an image of the comparison


def check_images(folder=None):
    """List of images (H, W, 3) uint8 RGB: the first of a folder, or two portraits and a crowd made of them."""
    if folder is not None:
        found = [read_image(f"{folder}/{name}") for name in find_images(folder)[:IMAGES]]
    else:
        from ..datasets.portraits import portraits
        from ..datasets.toy import portrait_collage

        try:
            found = [portrait.image for portrait in portraits()] + [portrait_collage(800, 600, seed=0)]
        except InputError as error:
            raise InputError(f"{error}; or give --images DIR, images to compare the exported model with Keras on") \
                from None
    return [within(image) for image in found]


def within(image, side=SIDE):
    """The image, made smaller where its longer side is over `side` px."""
    factor = side / max(image.shape[:2])
    return image if factor >= 1 else cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def compare_maps(family, run, session, cfg, images):
    """Dict of difference, differences (output -> largest absolute difference), shapes, recall, faces.

    family, run: as Detector takes them, of Keras; session: images -> dict of maps, of the exported file. The batch of
    two in it, an image and its mirror, shows that the file takes batches.
    """
    differences, shapes = {}, {}
    for image in images:
        batch = _sized(cfg, family, np.stack([image, image[:, ::-1]]))
        expected, found = run(batch), session(batch)
        if set(expected) != set(found):
            raise InputError(f"the exported model gives {', '.join(sorted(found))}, expected "
                             f"{', '.join(sorted(expected))}")
        for name, values in expected.items():
            other = np.asarray(found[name])
            if other.shape != values.shape:
                raise InputError(f"the exported model gives {name} of shape {other.shape}, Keras {values.shape}")
            worst = float(np.abs(values - other).max(initial=0))
            differences[name] = max(differences.get(name, 0.0), worst if np.isfinite(worst) else np.inf)
            shapes[name] = batch.shape[1:3], values.shape
    result = {"difference": max(differences.values()), "differences": differences, "shapes": shapes}
    return result | agreement(Detector(family, run, cfg), Detector(family, session, cfg), images)


def _sized(cfg, family, batch):
    """The batch as Detector would give it to the net: TEST.SIZE where the family has one, sides a multiple."""
    if cfg.TEST.SIZE:
        return np.stack([cv2.resize(np.ascontiguousarray(image), tuple(cfg.TEST.SIZE)) for image in batch])
    multiple = getattr(family, "multiple", 1)
    pads = [(0, -side % multiple) for side in batch.shape[1:3]]
    return np.pad(batch, ((0, 0), *pads, (0, 0)), constant_values=114)


def compare_faces(family, run, session, cfg, images):
    """As compare_maps, for a file that gives faces: they are compared with those of the Detector on Keras, in order.

    differences holds scores, boxes and landmarks; boxes and points in px, divided by the larger side of their face.
    Where the numbers of faces differ, or their order, by a tie or a rounding, the nearest faces are compared.
    """
    from ..runtimes.faces import Faces

    keras, exported = Detector(family, run, cfg), Detector(Faces(cfg), session, cfg)
    differences = {"scores": 0.0, "boxes": 0.0}
    for image in images:
        first, second = keras.detect(image), exported.detect(image)
        if not len(first) or not len(second):
            differences["scores"] = max(differences["scores"], float(max(first.scores.max(initial=0),
                                                                         second.scores.max(initial=0))))
            continue
        nearest = overlaps(first.boxes, second.boxes).argmax(axis=1)
        sides = np.maximum(*(first.boxes[:, 2:] - first.boxes[:, :2]).T)[:, None]
        parts = {"scores": first.scores - second.scores[nearest],
                 "boxes": (first.boxes - second.boxes[nearest]) / sides}
        if first.landmarks is not None:
            parts["landmarks"] = (first.landmarks - second.landmarks[nearest]).reshape(len(first), 10) / sides
        for name, values in parts.items():
            differences[name] = max(differences.get(name, 0.0), float(np.abs(values).max()))
    return {"difference": max(differences.values()), "differences": differences} | agreement(keras, exported, images)


def agreement(keras, exported, images):
    """Dict of faces: those that Keras shows (DEMO_SCORE and more), and recall: the part of them that the other finds.

    Found: at IoU 0.5, with a score of at least half of DEMO_SCORE, by a face of its own.
    """
    shown, hits = 0, 0
    for image in images:
        first, second = keras.detect(image), exported.detect(image)
        first = first.take(first.scores >= keras.cfg.TEST.DEMO_SCORE)
        second = second.take(second.scores >= keras.cfg.TEST.DEMO_SCORE / 2)
        shown += len(first)
        free = overlaps(first.boxes, second.boxes) >= 0.5
        for row, column in itertools.product(*map(range, free.shape)):
            if free[row, column]:
                hits += 1
                free[row], free[:, column] = False, False
    return {"faces": shown, "recall": hits / shown if shown else 1.0}
