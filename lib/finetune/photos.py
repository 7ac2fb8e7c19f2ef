"""The photographs: what is in them, whether they can train a net, and which are held out. No Keras."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..datasets.roidb import Record, Roidb, load_roidb, save_roidb, split
from ..datasets.statistics import statistics_table
from ..errors import InputError, printable

SMALLEST = 6
"""px: no shipped net finds lower faces."""
TRAIN, HELD = "train", "select"
"""Names of the two sets, below pickles/ of the training's folder."""


def divide(roidb: Roidb, fraction: float, folder: str | os.PathLike) -> tuple[Roidb, Roidb]:
    """Check that photographs can train a net, divide them, and store both sets below `folder`.

    Args:
        roidb: what a reader returned.
        fraction: of the images that are trained on.
        folder: of the training.

    Returns:
        The set to train on and the set that is held out.

    Raises:
        InputError: fewer than two images have a face, or all faces are too small.
    """
    train, held = split(roidb, fraction)
    if (largest := heights(roidb.records).max()) < SMALLEST:
        raise InputError(f"{roidb.source}: the highest of {len(heights(roidb.records)):,} faces has {largest:.1f} px, "
                         f"expected some of {SMALLEST} px or more: are the coordinates those of these images?")
    for name, part in ((TRAIN, train), (HELD, held)):
        save_roidb(part, pickle_of(folder, name))
    return train, held


def stored(folder: str | os.PathLike) -> tuple[Roidb, Roidb]:
    """The two sets that `divide` stored below `folder`."""
    train, held = (load_roidb(pickle_of(folder, name)) for name in (TRAIN, HELD))
    return train, held


def pickle_of(folder: str | os.PathLike, name: str) -> Path:
    """Path of a stored set."""
    return Path(folder) / "pickles" / f"{name}.pkl"


def heights(records: Sequence[Record]) -> np.ndarray:
    """(F,) px: the heights of all faces that count."""
    return np.concatenate([np.zeros(0), *((r.boxes[:, 3] - r.boxes[:, 1])[~r.ignore] for r in records)])


def table(roidb: Roidb, train: Roidb, held: Roidb) -> str:
    """What is in the photographs, as lines to print."""
    tall = heights(roidb.records)
    small = int((tall < SMALLEST).sum())
    quantiles = ", ".join(f"{name} {value:.0f}" for name, value in
                          zip(("5 %", "25 %", "50 %", "75 %", "95 %"), np.percentile(tall, (5, 25, 50, 75, 95)),
                              strict=True))
    lines = [statistics_table(roidb), f"quantiles of the height: {quantiles} px"]
    if small:
        lines.append(f"{small:,} faces are under {SMALLEST} px: they are not learnt, and no shipped net finds them")
    lines.append(f"{in_words(train)} to train; {in_words(held)} held out, chosen by a hash of the image's name")
    return "\n".join(lines)


def in_words(roidb: Roidb) -> str:
    """`91 images with 410 faces`."""
    images, faces = len(roidb.records), len(heights(roidb.records))
    return f"{images:,} image{'s' * (images != 1)} with {faces:,} face{'s' * (faces != 1)}"


def check_same(folder: str | os.PathLike, source: str) -> None:
    """InputError where the photographs stored below `folder` come from another annotation than `source`."""
    train, _ = stored(folder)
    if os.path.abspath(train.source) != os.path.abspath(source):
        raise InputError(f"{printable(str(folder))}: the training there is of {train.source}, found {source}; resume "
                         "it with the same annotations, or give another --out")
