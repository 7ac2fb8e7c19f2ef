"""Sheets of pictures: photographs with their boxes, and faces that were found, missed and falsely found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..datasets.images import ImageError, read_image
from ..datasets.roidb import Record, hash_fraction
from ..errors import printable
from ..evaluation.report.html.crops import crop

if TYPE_CHECKING:
    from .judge import Face, Judgement

GROUND, INK, MUTED = (250, 250, 250), (30, 30, 30), (110, 110, 110)
FACE, IGNORED = (0, 200, 80), (160, 160, 160)
COLOURS = {"found": FACE, "missed": (230, 40, 40), "false": (250, 150, 0)}
TILE, CAPTION = (320, 240), 20  # px
CROP, ACROSS, GAP = 128, 10, 6
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def sample_sheet(records: Sequence[Record], count: int = 12, columns: int = 4) -> np.ndarray:
    """Some photographs with the boxes of their faces; ignore regions are grey.

    Args:
        records: `count` of those with a box are shown, spread by the hash of their names.
        columns: photographs beside one another.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    candidates = sorted((record for record in records if len(record.boxes)), key=lambda r: hash_fraction(r.name))
    tiles: list[np.ndarray] = []
    for record in candidates:
        if len(tiles) == count:
            break
        try:
            tiles.append(_tile(record))
        except ImageError:  # reported where it is trained on
            continue
    columns = max(1, min(columns, len(tiles)))
    rows = -(-len(tiles) // columns) or 1
    height, width = TILE[1] + CAPTION + GAP, TILE[0] + GAP
    sheet = np.full((rows * height + GAP, columns * width + GAP, 3), GROUND, np.uint8)
    for place, tile in enumerate(tiles):
        y, x = GAP + place // columns * height, GAP + place % columns * width
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return sheet


def _tile(record):
    image = read_image(record.path)
    scale = min(TILE[0] / image.shape[1], TILE[1] / image.shape[0])
    size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    for box, ignored in zip(record.boxes * scale, record.ignore, strict=True):
        _rectangle(small, box, IGNORED if ignored else FACE)
    tile = np.full((TILE[1] + CAPTION, TILE[0], 3), GROUND, np.uint8)
    x, y = (TILE[0] - size[0]) // 2, (TILE[1] - size[1]) // 2
    tile[y : y + size[1], x : x + size[0]] = small
    count = int((~record.ignore).sum())
    words = f" {image.shape[1]}x{image.shape[0]} {count} face{'s' * (count != 1)}"
    name = _ascii(record.image.rpartition("/")[2])
    room = 44 - len(words)
    _write(tile, (name if len(name) <= room else name[: room - 2] + "..") + words, (2, TILE[1] + 14), INK)
    return tile


def face_sheet(judgement: Judgement, rows: int = 2) -> np.ndarray:
    """Crops of found, missed and false faces, `rows` rows of each, spread from the first to the last."""
    titles = {"found": "found", "missed": "missed", "false": "false: no face, or a second box on one"}
    strips = []
    for kind, colour in COLOURS.items():
        faces: list[Face] = getattr(judgement, kind)
        most = rows * ACROSS
        chosen = faces if len(faces) <= most else [faces[round(i)] for i in np.linspace(0, len(faces) - 1, most)]
        strips.append(_strip(f"{len(faces):,} {titles[kind]}" + (f", {len(chosen)} of them here"
                             if len(chosen) < len(faces) else ""), chosen, colour))
    return np.concatenate(strips)


def _strip(title, faces, colour):
    side = CROP + GAP
    lines = -(-len(faces) // ACROSS)
    strip = np.full((28 + lines * (side + 14) + GAP, ACROSS * side + GAP, 3), GROUND, np.uint8)
    cv2.rectangle(strip, (GAP, 8), (GAP + 12, 20), colour, cv2.FILLED)
    _write(strip, title, (GAP + 20, 19), INK, 0.5)
    for place, face in enumerate(faces):
        y, x = 28 + place // ACROSS * (side + 14), GAP + place % ACROSS * side
        strip[y : y + CROP, x : x + CROP] = _crop(face, colour)
        tall = face.box[3] - face.box[1]
        words = f"{tall:.0f} px" + ("" if face.score is None else f", score {face.score:.2f}")
        _write(strip, words, (x, y + CROP + 12), MUTED, 0.36)
    return strip


def _crop(face, colour):
    """The face with its surroundings, its box drawn."""
    x1, y1, x2, y2 = (float(value) for value in face.box)
    side = max(2.5 * max(x2 - x1, y2 - y1), 40.0)
    window = (x1 + x2 - side) / 2, (y1 + y2 - side) / 2, side
    image = crop(read_image(face.record.path), window, size=CROP)
    scale = CROP / side
    _rectangle(image, np.array([x1 - window[0], y1 - window[1], x2 - window[0], y2 - window[1]]) * scale, colour)
    return image


def _rectangle(image, box, colour):
    corners = [int(round(float(value))) for value in np.clip(box, -1e4, 1e4)]
    cv2.rectangle(image, corners[:2], corners[2:], (0, 0, 0), 3, cv2.LINE_AA)
    cv2.rectangle(image, corners[:2], corners[2:], colour, 1, cv2.LINE_AA)


def _write(image, words, place, colour, scale=0.42):
    cv2.putText(image, words, place, _FONT, scale, colour, 1, cv2.LINE_AA)


def _ascii(text):
    """OpenCV draws ASCII only."""
    return printable(text).encode("ascii", "replace").decode()
