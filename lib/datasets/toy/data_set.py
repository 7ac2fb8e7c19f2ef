"""A synthetic data set with the files of WIDER FACE: two portraits pasted onto generated scenes.

It takes a newcomer and the tests from annotation files to the official AP without a download. A scene depends on
(seed, index) only, so a set is the same on every machine, and a longer set begins with a shorter one.
"""

import os
from collections.abc import Callable

import cv2
import numpy as np

from ...files import write_whole
from ..readers.wider import ATTRIBUTES
from .portraits import portraits
from .scene import add_object, background, face_of, paste, similarity

EVENT = "0--Toy"
# Smallest height in px of a face that counts, as in the official validation set.
COUNTED = {"easy": 34, "medium": 16, "hard": 9}
LARGEST, SMALLEST = 200, 12  # height of a face in px


def toy_scene(seed: int, index: int, width: int = 640) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw one scene with 0 to 30 faces.

    Faces are 12 to 200 px high, lie inside the image and do not cover each other.

    Args:
        seed: of the data set.
        index: number of the scene.
        width: px of the image. Its height is a fraction 0.55 to 1 of it.

    Returns:
        Image (H, width, 3) uint8 RGB, boxes (N, 4) float32 x1 y1 x2 y2 px, landmarks (N, 5, 2) float32 x y px.
    """
    rng = np.random.default_rng([seed, index])
    height = int(width * rng.uniform(0.55, 1))
    canvas = background(rng, width, height)
    for _ in range(rng.integers(0, 6)):
        add_object(rng, canvas)
    count = 0 if rng.random() < 0.04 else int(min(30, 1 + rng.exponential(7)))
    largest = min(LARGEST, 0.4 * height)
    if count > 12:  # a crowd is made of small faces
        largest = min(largest, 60)
    boxes, landmarks, taken = [], [], []
    for size in sorted(np.exp(rng.uniform(np.log(SMALLEST), np.log(largest), count)), reverse=True):
        for _ in range(20):
            face = _place(rng, size, width, height, taken)
            if face is not None:
                portrait, matrix, box, points = face
                paste(canvas, portrait.image, portrait.head, matrix, rng)
                boxes.append(box)
                landmarks.append(points)
                break
    return (_photographed(rng, canvas), np.array(boxes, np.float32).reshape(-1, 4),
            np.array(landmarks, np.float32).reshape(-1, 5, 2))


def _place(rng, size, width, height, taken):
    """A random place for a face `size` px high: (portrait, matrix, box, landmarks), or None if it is not free."""
    portrait = portraits()[rng.integers(2)]
    flip, angle = rng.random() < 0.5, rng.normal(0, 0.12)
    scale = size / (portrait.box[3] - portrait.box[1])
    centre = (portrait.box[:2] + portrait.box[2:]) / 2
    target = rng.uniform(size / 2, (width - size / 2, height - size / 2))
    matrix = similarity(centre, target, scale, angle, flip)
    box, points = face_of(portrait, matrix, flip)
    if (box[:2] < 0).any() or box[2] > width or box[3] > height:
        return None
    # The space of the whole head: a hat is higher than the face.
    around = np.concatenate([target - 0.85 * size, target + 0.7 * size])
    for other in taken:
        if (np.minimum(around[2:], other[2:]) > np.maximum(around[:2], other[:2])).all():
            return None
    taken.append(around)
    return portrait, matrix, box, points


def _photographed(rng, canvas):
    """The canvas as if photographed: sometimes grey or slightly blurred, always with noise. uint8."""
    if rng.random() < 0.06:
        canvas = np.repeat(canvas.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < 0.3:
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 1.0))
    canvas = canvas * np.float32(rng.uniform(0.7, 1.1))
    grain = np.float32(rng.uniform(1, 6)) * rng.standard_normal((128, 128, 3), dtype=np.float32)
    height, width = canvas.shape[:2]
    canvas += np.tile(grain, (-(-height // 128), -(-width // 128), 1))[:height, :width]
    return np.clip(canvas + 0.5, 0, 255).astype(np.uint8)


def write_toy(folder: str | os.PathLike, images: int, seed: int = 0, width: int = 640,
              progress: Callable[[int], object] | None = None) -> dict[str, str]:
    """Write a data set. The images and the text files depend on `images`, `seed` and `width` only.

    Args:
        folder: the data set is written below it.
        images: number of scenes.
        seed: of the data set.
        width: px of each image.
        progress: is called with the number of scenes done.

    Returns:
        Paths by name. "images": WIDER_toy/images, with 0--Toy/*.jpg. "labels":
        wider_face_split/wider_face_toy_bbx_gt.txt. "retinaface": wider_face_split/retinaface_toy_label.txt, with
        landmarks. "ground_truth": folder of the .mat files of the official evaluation, where easy, medium and hard
        count faces from 34, 16 and 9 px.
    """
    paths = {"images": os.path.join(folder, "WIDER_toy", "images"),
             "labels": os.path.join(folder, "wider_face_split", "wider_face_toy_bbx_gt.txt"),
             "retinaface": os.path.join(folder, "wider_face_split", "retinaface_toy_label.txt"),
             "ground_truth": os.path.join(folder, "ground_truth")}
    names, faces, plain, full = [], [], [], []
    for index in range(images):
        image, boxes, landmarks = toy_scene(seed, index, width)
        names.append(f"0_Toy_{index:05d}")
        quality = int(np.random.default_rng([seed, index, 1]).integers(70, 96))
        encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        write_whole(os.path.join(paths["images"], EVENT, names[-1] + ".jpg"), encoded.tobytes(), sync=False)
        sides = np.round(np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).astype(np.float64), 2)
        faces.append(sides)
        plain += _plain_lines(f"{EVENT}/{names[-1]}.jpg", sides)
        full += _landmark_lines(f"{EVENT}/{names[-1]}.jpg", sides, landmarks)
        if progress:
            progress(index + 1)
    write_whole(paths["labels"], "".join(line + "\n" for line in plain).encode())
    write_whole(paths["retinaface"], "".join(line + "\n" for line in full).encode())
    _write_ground_truth(paths["ground_truth"], names, faces)
    return paths


def _plain_lines(image, sides):
    rows = [f"{x:g} {y:g} {w:g} {h:g} 0 0 0 0 0 0" for x, y, w, h in sides]
    return [image, str(len(rows)), *(rows or ["0 0 0 0 0 0 0 0 0 0"])]


def _landmark_lines(image, sides, landmarks):
    rows = []
    for box, points in zip(sides, landmarks, strict=True):
        values = [f"{value:g}" for value in box]
        values += [f"{x:.2f} {y:.2f} 0" for x, y in points]
        rows.append(" ".join(values) + " 1")
    return [f"# {image}", *rows]


def _write_ground_truth(folder, names, faces):
    from scipy.io import savemat  # slow to import, and only this needs it

    os.makedirs(folder, exist_ok=True)
    # An image without faces has one box of zeros in the official files.
    boxes = [rows if len(rows) else np.zeros((1, 4)) for rows in faces]
    lists = {"event_list": _cells([EVENT]), "file_list": _cells([_cells(names)]),
             "face_bbx_list": _cells([_cells(boxes)])}
    zeros = _cells([_cells([np.zeros((len(rows), 1), np.uint8) for rows in boxes])])
    for name in ATTRIBUTES:
        lists[f"{name}_label_list"] = zeros
    savemat(os.path.join(folder, "wider_face_val.mat"), lists)
    for setting, smallest in COUNTED.items():
        counted = [np.flatnonzero(rows[:, 3] >= smallest)[:, None] + 1 for rows in boxes]  # MATLAB counts from 1
        savemat(os.path.join(folder, f"wider_{setting}_val.mat"), lists | {"gt_list": _cells([_cells(counted)])})


def _cells(values):
    """(N, 1) object array: a MATLAB cell column."""
    cells = np.empty((len(values), 1), object)
    for index, value in enumerate(values):
        cells[index, 0] = value
    return cells


def portrait_collage(width: int = 1600, height: int = 1000, seed: int = 0) -> np.ndarray:
    """Draw a crowd of the two portraits: rows of people, each row about a fifth larger than the one behind it.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    rng = np.random.default_rng([seed, width, height])
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    sky, ground = np.array([150, 185, 225], np.float32), np.array([95, 90, 85], np.float32)
    canvas = np.ascontiguousarray(np.broadcast_to(sky * (1 - y) + ground * y, (height, width, 3)), np.float32)
    size, line = 0.012 * height, 0.12 * height
    while line - size < height:
        for x in np.arange(rng.uniform(-1, 0) * size, width + size, 2.1 * size):
            portrait = portraits()[rng.integers(2)]
            flip = rng.random() < 0.5
            scale = size * rng.uniform(0.9, 1.1) / (portrait.box[3] - portrait.box[1])
            centre = (portrait.box[:2] + portrait.box[2:]) / 2
            target = (x + rng.normal(0, 0.15 * size), line + rng.normal(0, 0.12 * size))
            paste(canvas, portrait.image, portrait.bust, similarity(centre, target, scale, rng.normal(0, 0.05), flip))
        size *= 1.22
        line += 1.4 * size
    return np.clip(canvas + 0.5, 0, 255).astype(np.uint8)
