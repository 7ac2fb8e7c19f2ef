"""Minibatch assembly."""

import numpy as np


def assemble(samples):
    """List of (image (S, S, 3) uint8, targets dict of arrays, path) -> dict of batched arrays, and `names`."""
    images, targets, names = zip(*samples, strict=True)
    batch = {name: np.stack([t[name] for t in targets]) for name in targets[0]}
    return {"images": np.stack(images), "names": list(names), **batch}
