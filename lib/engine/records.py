"""The records of a training or of its selection."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from easydict import EasyDict

from ..datasets.roidb import Record, load_sources
from ..errors import InputError


def config_records(cfg: EasyDict, sources: str, weights: Iterable[float] = ()) -> tuple[list[Record], list[float]]:
    """Load records and how often an epoch shows each.

    TRAIN.MAX_FACES leaves out crowded images and prints how many. TRAIN.CROWDS raises the weights of images with many
    faces. Ignored faces are not counted. TRAIN.EVENTS raises the weights of images from rare events. It keeps the sum
    of the weights, so an epoch stays as long.

    Args:
        cfg: the whole config.
        sources: names of roidbs in DATA_DIR/pickles, joined by +.
        weights: how often an epoch shows the images of each source; empty: once.

    Raises:
        InputError: no image is left, or none has a face that counts.
    """
    records, weights = load_sources(sources, list(weights), Path(cfg.DATA_DIR) / "pickles")
    most, faces = cfg.TRAIN.MAX_FACES, [int((~record.ignore).sum()) for record in records]
    if not any(faces):
        keys = {"TRAIN.DATASETS": cfg.TRAIN.DATASETS, "TRAIN.SELECT": cfg.TRAIN.SELECT,
                "MTCNN.LANDMARKS": cfg.MTCNN.LANDMARKS, "MTCNN.SELECT_LANDMARKS": cfg.MTCNN.SELECT_LANDMARKS}
        key = next((f"{key} " for key, value in keys.items() if sources in (value, *value.split("+"))), "")
        raise InputError(f"{key}{sources!r}: none of {len(records):,} images has a face that counts; the table of "
                         "`manyfaces data build` says why faces are dropped or ignored")
    if cfg.TRAIN.CROWDS:
        weights = [w * max(1, count) ** cfg.TRAIN.CROWDS for w, count in zip(weights, faces, strict=True)]
    if cfg.TRAIN.EVENTS:
        weights = _by_event(records, weights, cfg.TRAIN.EVENTS)
    if not most:
        return records, weights
    kept = [n for n, count in enumerate(faces) if count <= most]
    print(f"{sources}: {len(records) - len(kept)} of {len(records)} images have more than {most} faces and are left "
          f"out (TRAIN.MAX_FACES)", flush=True)
    if not kept:
        raise InputError(f"{sources}: every image has more than {most} faces; raise TRAIN.MAX_FACES (0: no limit)")
    return [records[n] for n in kept], [weights[n] for n in kept]


def _by_event(records: list[Record], weights: list[float], power: float) -> list[float]:
    """Divide each weight by the `power` of the number of images in its event, and keep the sum of all weights."""
    events = [(record.root, record.image.rpartition("/")[0]) for record in records]
    counts = Counter(events)
    rare = [w * counts[event] ** -power for w, event in zip(weights, events, strict=True)]
    factor = sum(weights) / sum(rare)
    return [w * factor for w in rare]
