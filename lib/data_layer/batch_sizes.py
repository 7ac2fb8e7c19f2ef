"""How many samples each step takes, and whether several devices can share them equally."""

from ..errors import InputError


def turns(cfg, batch):
    """[(side in px, samples)] of the steps, which take turns; `batch` samples are of the first side.

    A larger side takes fewer samples: the pixels of a step, and so its time and memory, stay about the same.
    """
    sizes = cfg.AUGMENT.SIZES or [cfg.AUGMENT.SIZE]
    return [(size, max(1, round(batch * (sizes[0] / size) ** 2))) for size in sizes]


def check_batch(cfg, count, together=1):
    """InputError unless each step's samples divide by `count` devices; names the nearest batch sizes that do.

    together: samples whose losses depend on one another (MTCNN mines in groups), which stay on one device.
    """
    if count < 1:
        raise InputError(f"--devices is {count}, expected 1 or more")

    def fits(batch):
        return count == 1 or all(samples % (count * together) == 0 for _, samples in turns(cfg, batch))

    batch = cfg.TRAIN.BATCH
    if fits(batch):
        return
    below, above = range(batch - 1, 0, -1), range(batch + 1, 64 * (batch + count * together))
    near = [str(other) for part in (below, above) for other in [next(filter(fits, part), None)] if other]
    parts = " and ".join(f"{samples} of {size} px" for size, samples in turns(cfg, batch))
    steps = f" (steps of {parts})" if cfg.AUGMENT.SIZES else ""
    groups = f" in groups of {together}" if together > 1 else ""
    raise InputError(f"TRAIN.BATCH is {batch}{steps}, which {count} devices together cannot share equally{groups}; "
                     f"expected a batch that they can, the nearest: {' and '.join(near) or 'none'}")
