"""How many samples each step takes, and whether several devices can share them equally."""

from easydict import EasyDict

from ..errors import InputError, Range, check_whole


def turns(cfg: EasyDict, batch: int) -> list[tuple[int, int]]:
    """List the image sizes that steps take in turn.

    A larger size takes fewer samples: the pixels of a step, and so its time and memory, stay about the same.

    Args:
        cfg: the whole config; AUGMENT.SIZES is used, or AUGMENT.SIZE if it is empty.
        batch: number of samples of the first size.

    Returns:
        (side in px, number of samples) per turn.
    """
    sizes = cfg.AUGMENT.SIZES or [cfg.AUGMENT.SIZE]
    return [(size, max(1, round(batch * (sizes[0] / size) ** 2))) for size in sizes]


def check_batch(cfg: EasyDict, count: int, together: int = 1) -> None:
    """Check that devices can share the samples of each step equally.

    Args:
        cfg: the whole config.
        count: number of devices.
        together: number of samples whose losses depend on each other (MTCNN mines in groups). They stay on one device.

    Raises:
        InputError: names the nearest batch sizes that can be shared.
    """
    check_whole(count, "--devices", Range(least=1))

    def fits(batch):
        return count == 1 or all(samples % (count * together) == 0 for _, samples in turns(cfg, batch))

    batch = cfg.TRAIN.BATCH
    if fits(batch):
        return
    below, above = range(batch - 1, 0, -1), range(batch + 1, 64 * (batch + count * together))
    near = [str(other) for sizes in (below, above) for other in [next(filter(fits, sizes), None)] if other]
    samples_of_sizes = " and ".join(f"{samples} of {size} px" for size, samples in turns(cfg, batch))
    steps = f" (steps of {samples_of_sizes})" if cfg.AUGMENT.SIZES else ""
    groups = f" in groups of {together}" if together > 1 else ""
    raise InputError(f"TRAIN.BATCH is {batch}{steps}, which {count} devices together cannot share equally{groups}; "
                     f"expected a batch that they can, the nearest: {' and '.join(near) or 'none'}")
