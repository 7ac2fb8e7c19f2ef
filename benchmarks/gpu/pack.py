"""A small folder of images for a borrowed machine: as many images of a roidb as fit, and the roidb of them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from manyfaces.datasets.images import read_image
from manyfaces.datasets.roidb import Roidb, load_roidb, save_roidb, scaled
from manyfaces.errors import InputError
from manyfaces.files import write_whole

SIDE = 1024  # px: longer sides are shrunk
QUALITY = 85  # of the JPEG files


def pack(roidb: str | os.PathLike, folder: str | os.PathLike, megabytes: float) -> str:
    """Fill FOLDER/images and FOLDER/train.pkl with images from all over the roidb; what was written, in words.

    Raises:
        InputError: the folder is there already, or no image fits.
    """
    folder, source = Path(folder), load_roidb(roidb)
    if (folder / "train.pkl").exists():
        raise InputError(f"{folder}: already holds a train.pkl; give another folder")
    left, records = megabytes * 2**20, []
    for number in np.random.default_rng(0).permutation(len(source.records)):
        record = source.records[number]
        image = read_image(record.path)
        if (factor := SIDE / max(image.shape[:2])) < 1:
            record, image = scaled(record, image, factor)
        done, jpeg = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if not done or len(jpeg) > left:
            break
        name = f"{number:05}.jpg"
        write_whole(folder / "images" / name, jpeg.tobytes())
        records.append(replace(record, root="images", image=name))
        left -= len(jpeg)
    if not records:
        raise InputError(f"--megabytes {megabytes:g}: not even one image of {roidb} fits")
    save_roidb(Roidb(records, {}, source.source), folder / "train.pkl")
    return f"{folder}: {len(records):,} of {len(source.records):,} images, {megabytes - left / 2**20:.1f} MB"
