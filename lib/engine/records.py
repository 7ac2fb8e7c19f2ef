"""The records of a training or its selection: the sources of a config, without crowded images where wanted."""

from pathlib import Path

from ..datasets.roidb import load_sources
from ..errors import InputError


def config_records(cfg, sources, weights=()):
    """(records, weights) of the sources joined by +, as load_sources gives them; TRAIN.MAX_FACES is applied and said.

    A face counts unless it is ignored. Raises InputError when no image is left.
    """
    records, weights = load_sources(sources, list(weights), Path(cfg.DATA_DIR) / "pickles")
    most = cfg.TRAIN.MAX_FACES
    if not most:
        return records, weights
    kept = [n for n, record in enumerate(records) if (~record.ignore).sum() <= most]
    print(f"{sources}: {len(records) - len(kept)} of {len(records)} images have more than {most} faces and are left "
          f"out (TRAIN.MAX_FACES)", flush=True)
    if not kept:
        raise InputError(f"{sources}: every image has more than {most} faces; raise TRAIN.MAX_FACES (0: no limit)")
    return [records[n] for n in kept], [weights[n] for n in kept]
