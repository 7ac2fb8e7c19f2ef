"""MTCNN's samples in the form that other training repositories read: a text list, and the crops as image files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from ...files import whole_file, write_whole
from .tfrecords import KINDS

if TYPE_CHECKING:
    from ...progress import Progress
    from .folder import SampleFolder


def write_list(folder: SampleFolder, path: Path, progress: Progress) -> int:
    """Write the training samples as a list and, in the list's folder, as KIND/SHARD-NUMBER.png.

    A line is `image label values`: the image below the list's folder; the label 1, -1, 0 or -2. Then positives and
    parts have the four offsets of the box, and landmark samples have ten coordinates, as fractions of the crop's side.

    Args:
        folder: complete samples.
        path: the list.
        progress: advances by the number of samples.

    Returns:
        The number of lines.
    """
    count = 0
    with whole_file(path) as temporary, open(temporary, "w", encoding="utf-8") as lines:
        for kind, shards in folder.open("train").items():
            for shard, records in enumerate(shards):
                for number, record in enumerate(records):
                    name = f"{kind}/{shard:05d}-{number:06d}.png"
                    _, code = cv2.imencode(".png", record["image"][..., ::-1])
                    write_whole(path.parent / name, code.tobytes(), sync=False)
                    values = {"positive": record["box"], "part": record["box"], "landmark": record["landmarks"]}
                    fields = [name, str(KINDS[kind]), *(f"{value:.6g}" for value in values.get(kind, ()))]
                    lines.write(" ".join(fields) + "\n")
                    count += 1
                progress.advance(len(records))
    return count
