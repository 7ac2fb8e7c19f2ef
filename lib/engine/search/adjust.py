"""Scores of small anchors, lowered after a training as far as the selection images say (logit adjustment by size).

With the same score, the box of a small face is right less often than that of a large face: it misses an IoU of 0.5 by
a pixel, or the face is one that nobody labelled. Where all faces count that hardly matters. Where only large faces are
judged, as in WIDER FACE's easy setting, every such box is a false positive that stands before large faces. So the
logits of an anchor of `size` px are lowered by slope * log2(knee / size) where it is smaller than the knee. The biases
of the layers that give the scores take this up: the net and all that runs it stay as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...boxes import anchor_sides
from ...detections import Detections
from ...errors import InputError
from ...evaluation.wider import average_precision
from ...inference.detector import Detector, Run
from ...nets.anchored import AnchorFamily, Module

if TYPE_CHECKING:
    import keras

    from ...nets.family import Family
    from ..select import Selection

KNEES = (20.0, 40.0, 80.0)  # px
SLOPES = (0.1, 0.2, 0.3, 0.4, 0.5)  # per halving of the size


class Adjustment(NamedTuple):
    """Anchors smaller than `knee` px have their logits lowered by `slope` for each halving of the size."""

    knee: float
    slope: float

    def of(self, module: Module) -> np.ndarray:
        """What is added to the logits of a module's anchors, (A,) float32.

        Examples:
            >>> Adjustment(40, 0.5).of(Module("m1", 8, (10, 20, 40, 80))).tolist()
            [-1.0, -0.5, 0.0, 0.0]
        """
        sides = anchor_sides(module.sizes, module.ratios)
        sizes = np.sqrt(sides[:, 0] * sides[:, 1])
        return (self.slope * np.log2(np.minimum(sizes / self.knee, 1))).astype(np.float32)


class Row(NamedTuple):
    """How a detector with an adjustment performs: `aps` has AP by set, then by height."""

    adjustment: Adjustment
    aps: dict[str, list[float]]

    @property
    def mean(self) -> float:
        """AP, the mean over all."""
        return float(np.mean(list(self.aps.values())))

    def by_height(self) -> list[float]:
        """AP per height, the mean over the sets."""
        return np.mean(list(self.aps.values()), axis=0).tolist()

    def by_set(self) -> dict[str, float]:
        """AP per set, the mean over the heights."""
        return {name: float(np.mean(values)) for name, values in self.aps.items()}


def try_adjustments(selection: Selection, heights: Sequence[float],
                    done: Callable[[], object] = lambda: None) -> list[Row]:
    """Measure a net without and with each adjustment, with the scales and thresholds of TEST, not mirrored.

    Args:
        selection: has the images, and the detector of the net. The net is computed once per image.
        heights: px, as for `average_precision`.
        done: called after each image.

    Returns:
        The table. Its first row is without an adjustment.

    Raises:
        InputError: the family has no anchors, or a set has no image that can be read.
    """
    family, cfg = selection.detector.family, selection.detector.cfg
    modules, net = modules_of(family), _Once(selection.detector.run)
    ways = [Adjustment(KNEES[0], 0.0), *itertools.starmap(Adjustment, itertools.product(KNEES, SLOPES))]
    runs = [_Adjusted(net, modules, way) for way in ways]
    detectors = [Detector(family, run, cfg) for run in runs]
    aps: list[dict[str, list[float]]] = [{} for _ in ways]
    for name in selection.sets:
        found: list[list[Detections]] = [[] for _ in ways]
        for _, image in selection.images(name):
            net.maps = []
            for detector, run, results in zip(detectors, runs, found, strict=True):
                run.calls = 0
                results.append(detector.detect(image, flip=False, threshold=0))
            done()
        for own, results in zip(aps, found, strict=True):
            own[name] = [average_precision(results, selection.sets[name], heights=[height]) for height in heights]
    return [Row(way, own) for way, own in zip(ways, aps, strict=True)]


def adjust(model: keras.Model, family: Family, adjustment: Adjustment) -> None:
    """Add the adjustment to the biases of the model's scores."""
    for module in modules_of(family):
        layer = model.get_layer(f"{module.name}_scores")
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel, bias + adjustment.of(module)])


def modules_of(family: Family) -> Sequence[Module]:
    """The modules of a family with anchors; InputError for another one."""
    if not isinstance(family, AnchorFamily):
        raise InputError(f"the detector is of the family {family.cfg.FAMILY}, which has no anchors; expected ssh, tiny "
                         f"or ssd")
    return family.modules


class _Once:
    """A net that computes the views of an image once: all adjustments are tried on the same maps."""

    def __init__(self, run: Run) -> None:
        self.run, self.maps = run, []

    def view(self, number, images):
        if number == len(self.maps):
            self.maps.append(self.run(images))
        return self.maps[number]


class _Adjusted:
    """The net with an adjustment; `calls` counts the views of the image, which are the same for every adjustment."""

    def __init__(self, net: _Once, modules: Sequence[Module], adjustment: Adjustment) -> None:
        self.net, self.calls = net, 0
        self.added = {f"{module.name}_scores": adjustment.of(module) for module in modules}

    def __call__(self, images):
        maps = self.net.view(self.calls, images)
        self.calls += 1
        return {name: values + self.added[name] if name in self.added else values for name, values in maps.items()}
