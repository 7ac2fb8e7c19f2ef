"""The records of a training or its selection: the sources of a config, without crowded images where wanted."""

from pathlib import Path

from ..datasets.roidb import load_sources
from ..errors import InputError


def config_records(cfg, sources, weights=()):
    """(records, weights) of the sources joined by +, as load_sources gives them; TRAIN.MAX_FACES is applied and said.

    TRAIN.CROWDS raises the weights of images with many faces. A face counts unless it is ignored. Raises InputError
    when no image is left.
    """
    records, weights = load_sources(sources, list(weights), Path(cfg.DATA_DIR) / "pickles")
    most, faces = cfg.TRAIN.MAX_FACES, [int((~record.ignore).sum()) for record in records]
    if cfg.TRAIN.CROWDS:
        weights = [w * max(1, count) ** cfg.TRAIN.CROWDS for w, count in zip(weights, faces, strict=True)]
    if not most:
        return records, weights
    kept = [n for n, count in enumerate(faces) if count <= most]
    print(f"{sources}: {len(records) - len(kept)} of {len(records)} images have more than {most} faces and are left "
          f"out (TRAIN.MAX_FACES)", flush=True)
    if not kept:
        raise InputError(f"{sources}: every image has more than {most} faces; raise TRAIN.MAX_FACES (0: no limit)")
    return [records[n] for n in kept], [weights[n] for n in kept]
