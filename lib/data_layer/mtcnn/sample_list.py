"""MTCNN's samples as the usual training repositories have them: a text list beside the crops as image files."""

import cv2

from ...files import whole_file, write_whole
from .tfrecords import KINDS


def write_list(folder, path, progress):
    """Write the training samples of a SampleFolder as FILE and, in FILE's folder, KIND/SHARD-NUMBER.png.

    A line is `image label box landmarks`: the image below the list's folder, label 1, -1, 0 or -2; then, of positives
    and parts, four offsets, of landmark samples ten, in sides of the crop. progress: Progress over all samples.
    Returns the number of lines.
    """
    count = 0
    with whole_file(path) as beside, open(beside, "w", encoding="utf-8") as lines:
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
