"""The compiled functions, with sound arguments and with wrong ones. The twin must give the same, or refuse as well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from manyfaces import boxes, cascade, data_layer, nms
from manyfaces.boxes import reference as boxes_twin
from manyfaces.boxes.reference_targets import anchor_targets as targets_twin
from manyfaces.cascade import reference as cascade_twin
from manyfaces.data_layer import reference as data_twin
from manyfaces.evaluation import matching
from manyfaces.evaluation import reference as matching_twin
from manyfaces.nms import reference as nms_twin

from .mutations import mutate_value, odd_array, pick, some
from .target import same

REFUSALS = (TypeError, ValueError, OverflowError)  # InputError is a ValueError


@dataclass
class Call:
    """A function that is called; it has the methods of Target.

    Attributes:
        name: of the function.
        compiled: the function.
        twin: its NumPy twin.
        arguments: (rng) -> sound keyword arguments.
        share: as in Target.
    """

    name: str
    compiled: Callable
    twin: Callable
    arguments: Callable[[np.random.Generator], dict[str, Any]]
    share: float = 14
    kind = "compiled functions"
    refusals = REFUSALS
    make = dict

    def damaged(self, rng: np.random.Generator, sound: dict) -> dict[str, Any]:
        """Arguments, mostly with one or two of them wrong."""
        arguments = self.arguments(rng)
        for _ in range(some(rng, 2)) if rng.random() < 0.8 else ():
            name = pick(rng, list(arguments))
            value = arguments[name]
            arguments[name] = odd_array(rng, value) if isinstance(value, np.ndarray) and rng.random() < 0.9 else (
                mutate_value(rng, value))
        return arguments

    def read(self, arguments: dict[str, Any]) -> tuple:
        """(the array that the call writes into, result) of the compiled function."""
        copied = _copied(arguments)
        return copied.get("target"), self.compiled(**copied)

    def wrong(self, value: tuple, arguments: dict[str, Any]) -> str | None:
        """What the twin does else."""
        copied = _copied(arguments)
        try:
            with np.errstate(all="ignore"):
                result = self.twin(**copied)
        except REFUSALS as error:
            return f"the twin refuses it: {type(error).__name__}: {error}"
        return None if same(value, (copied.get("target"), result)) else "the twin gives another result"


def _copied(arguments):
    """The arguments, with a copy of the array that a function writes into."""
    target = arguments.get("target")
    return arguments | ({"target": target.copy(order="K")} if isinstance(target, np.ndarray) else {})


def targets() -> list[Call]:
    """All of them."""
    return [
        Call("overlaps", boxes.overlaps, boxes_twin.overlaps, lambda rng: {
            "boxes": _boxes(rng), "others": _boxes(rng)}),
        Call("anchor_grid", boxes.anchor_grid, boxes_twin.anchor_grid, lambda rng: {
            "height": int(rng.integers(1, 9)), "width": int(rng.integers(1, 9)), "stride": 8,
            "sizes": pick(rng, [[16, 32], [[9.5, 15], [25, 39]]]), "ratios": (1.0, 1.5)}),
        Call("anchor_targets", boxes.anchor_targets, targets_twin, _targets, 24),
        Call("encode_boxes", boxes.encode_boxes, boxes_twin.encode_boxes, lambda rng: {
            "boxes": _boxes(rng, 9), "anchors": _boxes(rng, 9), "variances": (0.1, 0.2)}),
        Call("decode_boxes", boxes.decode_boxes, boxes_twin.decode_boxes, lambda rng: {
            "deltas": rng.normal(0, 2, (9, 4)).astype(np.float32), "anchors": _boxes(rng, 9), "variances": (0.1, 0.2)}),
        Call("encode_landmarks", boxes.encode_landmarks, boxes_twin.encode_landmarks, lambda rng: {
            "landmarks": rng.normal(0, 20, (9, 5, 2)).astype(np.float32), "anchors": _boxes(rng, 9), "variance": 0.1}),
        Call("decode_landmarks", boxes.decode_landmarks, boxes_twin.decode_landmarks, lambda rng: {
            "deltas": rng.normal(0, 2, (9, 10)).astype(np.float32), "anchors": _boxes(rng, 9), "variance": 0.1}),
        Call("nms", nms.nms, nms_twin.nms, lambda rng: {
            "boxes": _boxes(rng, 40), "scores": _scores(rng, 40), "threshold": 0.3,
            "limit": pick(rng, [None, 10])}, 20),
        Call("min_nms", nms.min_nms, nms_twin.min_nms, lambda rng: {
            "boxes": _boxes(rng, 40), "scores": _scores(rng, 40), "threshold": 0.7}),
        Call("soft_nms", nms.soft_nms, nms_twin.soft_nms, lambda rng: {
            "boxes": _boxes(rng, 20), "scores": _scores(rng, 20), "method": pick(rng, ["linear", "gaussian"]),
            "threshold": 0.3, "sigma": 0.5, "min_score": 0.01}),
        Call("shrink", data_layer.shrink, data_twin.shrink, lambda rng: {
            "image": _image(rng), "size": (int(rng.integers(1, 20)), int(rng.integers(1, 20)))}),
        Call("visible_faces", data_layer.visible_faces, data_twin.visible_faces, lambda rng: {
            "boxes": _boxes(rng, 6), "ignore": rng.random(6) < 0.3,
            "landmarks": rng.uniform(0, 60, (6, 5, 2)).astype(np.float32), "scale": (0.5, 0.7), "shift": (3.0, -4.0),
            "size": (40, 30), "min_face": 3.0, "min_visible": 0.4}),
        Call("resample", cascade.resample, cascade_twin.resample, lambda rng: {
            "image": _image(rng), "windows": np.array([[0, 0, 9, 9], [-3, 2, 20, 30]]), "size": (12, 12),
            "method": pick(rng, ["smooth", "mean"]), "fill": 114, "dtype": pick(rng, [np.uint8, np.float32])}),
        Call("resample_into", cascade.resample_into, cascade_twin.resample_into, lambda rng: {
            "image": _image(rng), "target": np.zeros((12, 16, 3), np.uint8), "method": pick(rng, ["smooth", "mean"])}),
        Call("best_boxes", matching.best_boxes, matching_twin.best_boxes, lambda rng: _matching(rng) | {"iou": 0.5}),
        Call("official_boxes", matching.official_boxes, matching_twin.official_boxes, _matching)]


def _boxes(rng, count=None):
    count = int(rng.integers(0, 30)) if count is None else count
    corners, sides = rng.uniform(-5, 50, (count, 2)), np.exp(rng.uniform(0.5, 4, (count, 2)))
    return np.concatenate([corners, corners + sides], axis=1).astype(np.float32)


def _scores(rng, count):
    return rng.permutation(count).astype(np.float32) / count


def _image(rng):
    return rng.integers(0, 256, (int(rng.integers(20, 40)), int(rng.integers(20, 40)), 3), np.uint8)


def _targets(rng):
    return {"levels": [(6, 8, 8, [10, 16]), (3, 4, 16, [36.0, 56], (1.0, 1.5))], "boxes": _boxes(rng, 5),
            "ignore": rng.random(5) < 0.3, "image_size": (64, 48), "positive": 0.35, "negative": 0.3, "best": 0.2,
            "border": pick(rng, [None, 0]), "ignore_overlap": 0.5}


def _matching(rng):
    truth = np.round(np.column_stack([rng.uniform(0, 50, (8, 2)), rng.uniform(3, 20, (8, 2))]))
    near = truth[rng.integers(0, 8, 20)] + rng.normal(0, 2, (20, 4))
    return {"predictions": np.column_stack([near, rng.random(20)]), "images": rng.integers(0, 3, 20), "boxes": truth,
            "owners": rng.integers(0, 3, 8)}
