"""Templates from a data set's faces: weighted k-medoids under 1 - IoU of sizes (Finding Tiny Faces, section 3.2).

The distance of two sizes is 1 minus the IoU of boxes of these sizes that share a centre. Sizes are first put into the
cells of a logarithmic grid: 150,000 faces become some thousand sizes with weights, whose distances fit a table. Each
swap of a medoid is then compared exactly over all of them (FasterPAM, arXiv 2008.05171, algorithm 3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError

STEP = 1 / 16  # octaves: side of a cell of the grid, 4 %
RESTARTS = 3
BLOCK = 1 << 16  # sizes compared at once


def size_overlaps(sizes: ArrayLike, others: ArrayLike) -> np.ndarray:
    """IoU of boxes that share a centre.

    Args:
        sizes: (N, 2) width and height > 0.
        others: (M, 2), the same.

    Returns:
        (N, M) float64.

    Examples:
        >>> size_overlaps([(2, 4)], [(2, 4), (4, 4), (2, 1)]).tolist()
        [[1.0, 0.5, 0.25]]
    """
    sizes, others = (np.asarray(each, np.float64).reshape(-1, 2) for each in (sizes, others))
    common = np.minimum(sizes[:, None, 0], others[None, :, 0]) * np.minimum(sizes[:, None, 1], others[None, :, 1])
    return common / (sizes.prod(axis=1)[:, None] + others.prod(axis=1)[None] - common)


def best_overlaps(sizes: ArrayLike, templates: ArrayLike) -> np.ndarray:
    """(N,) IoU of each size with the template that fits it best."""
    sizes = np.asarray(sizes, np.float64).reshape(-1, 2)
    return np.concatenate([size_overlaps(sizes[start : start + BLOCK], templates).max(axis=1)
                           for start in range(0, len(sizes), BLOCK)] or [np.zeros(0)])


def cluster_sizes(sizes: ArrayLike, count: int, seed: int = 0, restarts: int = RESTARTS,
                  step: float = STEP) -> np.ndarray:
    """Templates that cover the sizes well.

    Args:
        sizes: (N, 2) width and height of the faces.
        count: number of templates.
        seed: the same seed gives the same templates.
        restarts: searches from different first medoids, of which the best result is kept.
        step: side of a cell of the grid, octaves.

    Returns:
        (count, 2) float64, the largest area first.

    Raises:
        InputError: there are fewer different sizes than templates.
    """
    cells, weights = grid_cells(sizes, step)
    if not 1 <= count <= len(cells):
        raise InputError(f"{count} templates: expected 1 to {len(cells)}, the number of different sizes of faces")
    distances = 1 - size_overlaps(cells, cells)
    results = [k_medoids(distances, weights, count, np.random.default_rng([seed, i])) for i in range(restarts)]
    medoids, _ = min(results, key=lambda result: result[1])
    return cells[sorted(medoids, key=lambda cell: -cells[cell].prod())]


def grid_cells(sizes: ArrayLike, step: float = STEP) -> tuple[np.ndarray, np.ndarray]:
    """(M, 2) sizes and (M,) weights: the mean (of logarithms) and the number of the sizes in each cell of the grid."""
    logs = np.log2(np.asarray(sizes, np.float64).reshape(-1, 2))
    _, cell = np.unique(np.floor(logs / step).astype(np.int64), axis=0, return_inverse=True)
    weights = np.bincount(cell.ravel()).astype(np.float64)
    means = np.stack([np.bincount(cell.ravel(), logs[:, axis]) for axis in (0, 1)], axis=1) / weights[:, None]
    return np.exp2(means), weights


def k_medoids(distances: np.ndarray, weights: np.ndarray, count: int,
              rng: np.random.Generator) -> tuple[list[int], float]:
    """Rows of the table that no single swap improves.

    Args:
        distances: (M, M), symmetric.
        weights: (M,).
        count: number of medoids.
        rng: draws the first medoids.

    Returns:
        The medoids, and their cost: the weighted sum of distances to the nearest medoid.
    """
    medoids = _first_medoids(distances, weights, count, rng)
    nearest, owner, second = _two_nearest(distances, medoids)
    least = 1e-9 * float(weights @ nearest)  # a smaller gain is rounding, and swaps for it need not end
    candidate, unchanged = 0, 0
    while unchanged < len(weights):
        to = distances[candidate]
        gain = weights @ np.maximum(nearest - to, 0)
        # What each medoid's own points lose when it goes and the candidate is there.
        loss = np.bincount(owner, weights * (np.minimum(second, to) - np.minimum(nearest, to)), count)
        leaving = int(loss.argmin())
        unchanged += 1
        if gain - loss[leaving] > least:
            medoids[leaving] = candidate
            nearest, owner, second = _two_nearest(distances, medoids)
            unchanged = 0
        candidate = (candidate + 1) % len(weights)
    return medoids, float(weights @ nearest)


def _first_medoids(distances, weights, count, rng):
    """Drawn one by one, each with a probability that grows with its distance to those drawn (k-means++)."""
    medoids = [int(rng.choice(len(weights), p=weights / weights.sum()))]
    for _ in range(count - 1):
        probability = weights * distances[:, medoids].min(axis=1)
        probability[medoids] = 0
        medoids.append(int(rng.choice(len(weights), p=probability / probability.sum())))
    return medoids


def _two_nearest(distances, medoids):
    """Distance to the nearest medoid, which one that is, and distance to the second, inf where there is only one."""
    to = distances[:, medoids]
    owner = to.argmin(axis=1)
    rows = np.arange(len(to))
    nearest = to[rows, owner]
    to[rows, owner] = np.inf
    return nearest, owner, to.min(axis=1)
