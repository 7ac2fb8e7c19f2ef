"""Precision-recall curves of matched predictions, and the area under them.

Pascal VOC (2010 and later) and WIDER FACE define the area in the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np

from ..datasets.roidb import Record
from .files.ground_truth import GroundTruth

THRESHOLDS = 1000
_Image = TypeVar("_Image", GroundTruth, Record)


@dataclass
class Matches(Generic[_Image]):
    """A set of predictions matched with its boxes: P predictions, G boxes, S settings.

    Attributes:
        images: the images that are evaluated.
        rows: (P, 5) float64, x y w h score in px, image by image, in falling score (equal ones in the file's order).
        image: (P,) intp, the number of each prediction's image.
        boxes: (G, 4) float64, x y w h in px, image by image.
        owner: (G,) intp, the number of each box's image.
        counted: (G, S) bool, the faces that count in each setting.
        faces: setting -> number of faces that count.
        best: (P,) intp, the box that each prediction belongs to; -1: none.
        first: (P,) bool, the prediction is the first of its image to reach its box.
        stretched: (P,) float64, the scores, mapped so that those of the whole set fill 0..1.
        every_score: (Q,) float64, all scores of the set, also of images without any box, where the protocol ignores
            the predictions.
    """

    images: list[_Image]
    rows: np.ndarray
    image: np.ndarray
    boxes: np.ndarray
    owner: np.ndarray
    counted: np.ndarray
    faces: dict[str, int]
    best: np.ndarray
    first: np.ndarray
    stretched: np.ndarray
    every_score: np.ndarray

    @cached_property
    def falling(self) -> tuple[np.ndarray, np.ndarray]:
        """(P,) indices of the predictions by falling score over all images; how many each distinct score lets in."""
        negative = -self.rows[:, 4]
        order = np.argsort(negative)
        return order, 1 + np.flatnonzero(np.diff(negative[order], append=np.nan))

    @cached_property
    def let_in(self) -> np.ndarray:
        """(1000,) how many predictions each threshold lets in."""
        thresholds = 1 - np.arange(1, THRESHOLDS + 1) / THRESHOLDS
        return np.searchsorted(-self.stretched[self.falling[0]], -thresholds, side="right")


def area_under_curve(recall: np.ndarray, precision: np.ndarray) -> float:
    """Average precision at all points: the area under the monotone envelope of a curve.

    Args:
        recall: (N,) float64, 0..1, at falling thresholds; it does not fall.
        precision: (N,) float64, 0..1, at the same thresholds.

    Returns:
        The area, 0..1; 0 for N = 0.

    Source: The Pascal Visual Object Classes Challenge 2010 development kit, average precision.
    """
    recall = np.concatenate([[0.0], recall, [1.0]])
    precision = np.concatenate([[0.0], precision, [0.0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope[1:]))


@dataclass
class Curve:
    """A precision-recall curve and its area.

    Attributes:
        recall: (1000,) float64, 0..1, at falling thresholds.
        precision: (1000,) float64, 0..1, at the same thresholds; 0 where no prediction has been let in.
        ap: the area under them, as the protocol computes it.
        exact: the area with every distinct score as a threshold; NaN where it was left out.
        faces: number of faces that count.
    """

    recall: np.ndarray
    precision: np.ndarray
    ap: float
    exact: float
    faces: int


def curve_of(matches: Matches, counted: np.ndarray, looked_at: np.ndarray | None = None, exact: bool = True) -> Curve:
    """The curve for any choice of counted faces. Predictions on other faces are left out.

    Args:
        matches: of match_wider; P predictions, G faces.
        counted: (G,) bool, the faces that count.
        looked_at: (P,) bool, the predictions without a face that are false positives, such as those of some heights or
            of some images; None: all.
        exact: False leaves the area over all scores out, which takes more time than the rest.
    """
    counted, (order, levels) = np.asarray(counted, bool), matches.falling
    matched = np.flatnonzero(matches.best >= 0)
    proposal = np.ones(len(matches.best), bool) if looked_at is None else np.array(looked_at, bool)
    proposal[matched] = counted[matches.best[matched]]
    # Running sums along falling scores, from 0 predictions on, replace 1,000 cuts of every image.
    proposals, recalled = (np.concatenate([[0], np.cumsum(flags[order])])
                           for flags in (proposal, proposal & matches.first))
    faces = int(counted.sum())

    def at(cuts):
        return recalled[cuts] / max(faces, 1), recalled[cuts] / np.maximum(proposals[cuts], 1)

    recall, precision = at(matches.let_in)
    return Curve(recall, precision, area_under_curve(recall, precision),
                 area_under_curve(*at(levels)) if exact else math.nan, faces)
