"""Two thousand hard cases of hard NMS: any other implementation must do in each what the one for the CPU does.

    from benchmarks.nms_cases import differing
    list(differing(lambda *case: nms(*case, device="cuda")))  # is empty

The tests run them on an emulated GPU. `tools/benchmark.py nms --device cuda` runs them on a GPU before it measures.
"""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from manyfaces.errors import InputError
from manyfaces.nms import cpu_nms

from .candidates import crowd_candidates

COUNT = 2_000
SIZES = (1, 2, 3, 10, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 200, 257, 300)
LARGE = (700, 1_000, 2_000)
THRESHOLDS = (0, 0.05, 0.3, 0.3, 1 / 3, 0.4, 0.5, 0.6, 0.7, 0.999999, 1)


class Case(NamedTuple):
    """The arguments of `nms`."""

    boxes: np.ndarray
    scores: np.ndarray
    threshold: float
    limit: int | None


def cases(count: int = COUNT) -> Iterator[tuple[str, Case]]:
    """Yield (name, Case) of `count` cases, always the same; the kinds take turns."""
    for number in range(count):
        kind = list(KINDS)[number % len(KINDS)]
        rng = np.random.default_rng(number)
        size = int(rng.choice(LARGE if rng.random() < 0.03 else SIZES))
        boxes, scores = KINDS[kind](size, rng)
        boxes, scores = np.asarray(boxes, np.float32), np.asarray(scores, np.float32)
        threshold = float(rng.choice(THRESHOLDS)) if kind not in EXACT else of_a_pair(boxes, scores, rng)
        limit = None if rng.random() < 0.7 else int(rng.integers(0, len(boxes) + 2))
        yield f"case {number}, {kind}, {len(boxes)} boxes, threshold {threshold!r}, limit {limit}", Case(
            boxes, scores, threshold, limit)


def outcome(function: Callable[..., np.ndarray], case: Case) -> list[int] | str:
    """The indices that a function of nms's first four arguments keeps, or the message of its InputError."""
    try:
        return np.asarray(function(*case)).tolist()
    except InputError as error:
        return str(error)


def differing(function: Callable[..., np.ndarray], count: int = COUNT, every: int = 1) -> Iterator[str]:
    """Yield the name of each case in which a function does not do what `cpu_nms` does.

    Args:
        function: takes a Case's values: boxes, scores, threshold, limit.
        count: cases.
        every: run only every n-th of them, n = `every`.
    """
    for name, case, expected in _expected(count)[::every]:
        if outcome(function, case) != expected:
            yield name


@functools.lru_cache(maxsize=1)
def _expected(count):
    return [(name, case, outcome(cpu_nms, case)) for name, case in cases(count)]


# --------------------------------------------------------------------------- kinds: boxes and scores of `size` boxes


def around(centres, sides):
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)


def usual(size, rng):
    return around(rng.uniform(0, 200, (size, 2)), rng.uniform(5, 60, (size, 2))), rng.random(size)


def crowd(size, rng):
    return crowd_candidates(size, rng, size=(300, 200))


def whole_numbers(size, rng):
    """Many an IoU is the same fraction, such as 1/3."""
    boxes = around(rng.integers(0, 40, (size, 2)) * 4, rng.integers(1, 8, (size, 2)) * 8)
    return boxes, np.round(rng.random(size) * 40) / 40


def equal_scores(size, rng):
    scores = rng.integers(-2, 3, size) / 4
    return usual(size, rng)[0], np.where(rng.random(size) < 0.3, -0.0, scores)


def copies(size, rng):
    boxes = around(rng.integers(0, 5, (size, 2)) * 16, np.full((size, 2), 32.0))
    return boxes, np.round(rng.random(size) * 4) / 4


def chain(size, rng):
    """Each box overlaps the next ones only, so each verdict depends on the one before."""
    boxes = around(np.stack([np.arange(size) * rng.uniform(1, 9), np.zeros(size)], axis=1), np.full((size, 2), 10.0))
    scores, order = np.linspace(1, 0.1, size), rng.permutation(size) if rng.random() < 0.5 else np.arange(size)
    return boxes[order], scores[order]


def pile(size, rng):
    return around(rng.normal(100, 4, (size, 2)), 40 * np.exp(rng.normal(0, 0.2, (size, 2)))), rng.random(size)


def giants(size, rng):
    """Sides of all orders of magnitude, among small boxes."""
    boxes, scores = usual(size, rng)
    chosen = rng.random(size) < 0.3
    boxes[chosen] = around(rng.uniform(0, 200, (chosen.sum(), 2)), 10.0 ** rng.uniform(-20, 18, (chosen.sum(), 1))
                           * np.exp(rng.normal(0, 0.3, (chosen.sum(), 2))))
    return boxes, scores


def ends(size, rng):
    """Narrow boxes at an end of wide ones, with an IoU just above or below 0.3 or 0.6: no search may reach less far."""
    half, threshold = (size + 1) // 2, rng.choice([0.3, 0.6])
    start, wide = rng.uniform(0, 60 * size ** 0.5, (half, 2)), np.exp(rng.uniform(2, 4, (half, 1)))
    shape = np.array([[1.0, 0.25]])
    narrow = wide * threshold * np.exp(rng.uniform(-1e-3, 4e-3, (half, 1)))
    shift = np.where(rng.random((half, 1)) < 0.5, wide - narrow, 0) * [1, 0]
    outer = np.concatenate([start, start + wide * shape], axis=1)
    end = start + shift + np.concatenate([narrow, wide * shape[:, 1:]], axis=1)
    inner = np.concatenate([start + shift, end], axis=1)
    boxes = np.concatenate([outer, inner])[rng.permutation(2 * half)[:size]]
    return boxes if rng.random() < 0.5 else boxes[:, [1, 0, 3, 2]], rng.random(size)


def scaled(size, rng):
    """Areas at both ends of float32."""
    boxes, scores = usual(size, rng)
    return boxes * 10.0 ** (rng.uniform(-24, -20) if rng.random() < 0.5 else rng.uniform(16, 18)), scores


def far_away(size, rng):
    boxes, scores = usual(size, rng)
    return boxes * 10.0 ** rng.uniform(0, 6) + 10.0 ** rng.uniform(4, 8), scores


def extreme(size, rng):
    corners = rng.uniform(-1, 1, (size, 2, 2)) * 10.0 ** rng.uniform(-40, 38.4, (size, 1, 1))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1), rng.normal(size=size)


def without_area(size, rng):
    boxes, scores = whole_numbers(size, rng)
    flat, turned = rng.random(size) < 0.3, rng.random(size) < 0.1
    boxes[flat, 2 + rng.integers(0, 2)] = boxes[flat, rng.integers(0, 2)]
    boxes[turned] = boxes[turned][:, [2, 3, 0, 1]]
    return boxes, scores


def infinite_scores(size, rng):
    boxes, scores = usual(size, rng)
    return boxes, np.where(rng.random(size) < 0.2, np.inf, np.where(rng.random(size) < 0.2, -np.inf, scores))


def fine_grained(size, rng):
    """Few boxes whose areas need more digits than float64 has: the order of its operations shows."""
    size = min(size, 4)
    near, far = rng.uniform(0.01, 1, (size, 2)) ** 3, rng.uniform(900, 1100, (size, 2))
    return np.concatenate([near, far], axis=1), rng.random(size)


def pair(size, rng):
    return fine_grained(2, rng) if rng.random() < 0.5 else pile(2, rng)


def not_finite(size, rng):
    """Must be refused, with the message that names the first of them."""
    boxes, scores = usual(size, rng)
    if rng.random() < 0.5:
        boxes[rng.integers(0, size, 2), rng.integers(0, 4)] = rng.choice([np.nan, np.inf, -np.inf])
    if rng.random() < 0.6:
        scores[rng.integers(0, size)] = np.nan
    return boxes, scores


def one_or_none(size, rng):
    return usual(int(rng.integers(0, 2)), rng)


def exact(size, rng):
    return pile(size, rng) if rng.random() < 0.5 else crowd(size, rng)


def exact_of_whole_numbers(size, rng):
    return whole_numbers(size, rng)


KINDS = {kind.__name__.replace("_", " "): kind for kind in (
    usual, crowd, whole_numbers, equal_scores, copies, chain, pile, giants, ends, far_away, scaled, extreme,
    without_area, infinite_scores, not_finite, exact, exact_of_whole_numbers, fine_grained, pair, one_or_none)}
EXACT = ("exact", "exact of whole numbers", "fine grained", "pair")


def of_a_pair(boxes, scores, rng):
    """The IoU of the best box and one that overlaps it, or the number next to it; else 0.5. In float64, as the twin."""
    best, boxes = int(np.argmax(scores)), boxes.astype(np.float64)
    sides = np.minimum(boxes[best, 2:], boxes[:, 2:]) - np.maximum(boxes[best, :2], boxes[:, :2])
    common = np.prod(np.maximum(0, sides), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    overlaps = common / (areas[best] + areas - common)
    overlaps = overlaps[(overlaps > 0) & (overlaps < 1)]
    if not len(overlaps):
        return 0.5
    overlap = rng.choice(overlaps)
    return float(rng.choice([overlap, overlap, np.nextafter(overlap, 0), np.nextafter(overlap, 1)]))
