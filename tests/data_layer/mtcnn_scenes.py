"""Images with faces for the tests of MTCNN's samples; run as a program it makes samples of COUNT entries.

mtcnn_scenes.py FOLDER COUNT: prints the peak memory in MB.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from manyfaces.config import load_config
from manyfaces.data_layer.mtcnn.folder import SampleFolder
from manyfaces.data_layer.mtcnn.writer import SampleMaker, Sources
from manyfaces.datasets.roidb import Record
from manyfaces.progress import Progress

POINTS = np.float32([[.3, .4], [.7, .4], [.5, .6], [.35, .8], [.65, .8]])


def write_records(folder, count, files=5):
    """`count` Records of `files` images, repeated; every third face has landmarks."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, records = np.random.default_rng(7), []
    for n in range(files):
        picture = cv2.GaussianBlur(rng.integers(0, 256, (150, 200, 3), np.uint8), (0, 0), 3)
        corner = rng.uniform(0, [140, 90], (3, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(24, 60, (3, 1))], axis=1).astype(np.float32)
        points = boxes[:, None, :2] + (boxes[:, 2:] - boxes[:, :2])[:, None] * POINTS
        points[1:] = np.nan
        cv2.imwrite(str(folder / f"{n}.png"), picture)
        records.append(Record(str(folder), f"{n}.png", 200, 150, boxes, points, np.zeros(3, bool)))
    return [records[n % files] for n in range(count)]


def config(**keys):
    """Config of pnet's samples; keys with __ for the dots."""
    values = {"MTCNN.STAGE": "pnet", "MTCNN.COUNTS": "[400, 400, 200, 1200]", "LOADER.WORKERS": 2, "TRAIN.BATCH": 24,
              **{key.replace("__", "."): value for key, value in keys.items()}}
    return load_config(overrides=[str(word) for pair in values.items() for word in pair])


def maker(records, propose=None, **keys):
    """SampleMaker of the records, whose first five are also the selection."""
    return SampleMaker(config(**keys), 12, {"train": Sources(records, records), "select": Sources(records[:5], [])},
                       propose)


def make(folder, maker, progress=None, overwrite=False):
    """Make a maker's samples in a folder; returns its SampleFolder."""
    samples = SampleFolder(folder)
    samples.begin(maker.settings(), overwrite)
    maker.run(samples, progress or Progress(10**9, "images", every=1e9))
    return samples


if __name__ == "__main__":
    import resource

    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    # This many samples per image, for any number of images.
    counts = "[" + ", ".join(str(n * count) for n in (3, 3, 2, 10)) + "]"
    made = make(folder / "samples", maker(write_records(folder / "images", count), MTCNN__COUNTS=counts))
    print(sum(made.counts("train").values()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
