"""Decoding and NMS as ONNX nodes, for families whose modules have anchors (nets.anchored.Module) or cells.

A module with anchors gives the maps NAME_scores (logits), NAME_boxes (offsets as in encode_boxes) and, as an option,
NAME_landmarks. Cells (nets.grid.Cells) give NAME_cells. The graph does what `decode` and Detector do at one scale. It
takes the TEST.TOP best logits of each module with anchors, and all cells; turns them into boxes; clips these to the
input; and applies greedy NMS, which leaves at most TEST.KEEP faces above TEST.SCORE per image. Boxes are in px of the
input: a caller who squeezes an image to TEST.SIZE has to stretch the boxes afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..boxes import MAX_LOG_SCALE, anchor_sides
from ..errors import InputError
from ..nets.anchored import Module
from ..nets.grid import Cells
from .onnx import channels_last

if TYPE_CHECKING:
    from easydict import EasyDict

    from ..nets.family import Family
    from .graph import Graph, Value


def has_anchors(family: Family) -> bool:
    """Whether the family has modules with anchors."""
    return bool(family.modules) and all(isinstance(module, Module) for module in family.modules)


def has_cells(family: Family) -> bool:
    """Whether the family has modules of coarse cells."""
    return bool(family.modules) and all(isinstance(module, Cells) for module in family.modules)


def anchor_facts(family: Family, cfg: EasyDict) -> list[dict[str, Any]]:
    """For the sidecar: module, stride px, sides [[width, height], ...] px and variances, per module."""
    if not has_anchors(family):
        return []
    return [{"module": module.name, "stride": module.stride, "variances": list(cfg.TARGETS.VARIANCES),
             "sides": anchor_sides(module.sizes, module.ratios).tolist()} for module in family.modules
            if isinstance(module, Module)]


def faces_outputs(cfg: EasyDict) -> list[dict[str, Any]]:
    """For the sidecar: the outputs of a model that gives faces. N is their number in all images of the batch."""
    outputs: list[dict[str, Any]]
    outputs = [{"name": "boxes", "shape": ["N", 4]}, {"name": "scores", "shape": ["N"]},
               {"name": "image", "shape": ["N"]}]
    return outputs + ([{"name": "landmarks", "shape": ["N", 5, 2]}] if cfg.NET.LANDMARKS else [])


def faces_in_graph(family: Family, cfg: EasyDict) -> Callable[[Graph, dict[str, Value]], None]:
    """Function for to_onnx that appends decoding and NMS and declares the outputs.

    Raises:
        InputError: a family of another kind, soft NMS, or templates that are chosen by scale.
    """
    decode = _module if has_anchors(family) else _cells if has_cells(family) else None
    if decode is None:
        raise InputError(f"--nms: FAMILY {cfg.FAMILY} has neither anchor grids nor cells to decode in the graph; "
                         f"export its maps")
    if cfg.TEST.NMS_METHOD != "hard":
        raise InputError(f"--nms: TEST.NMS_METHOD is {cfg.TEST.NMS_METHOD!r}, a graph can have only 'hard'")
    if cfg.TEST.TEMPLATES:
        raise InputError("--nms: TEST.TEMPLATES chooses by the scale of the image, which a graph does not know; export "
                         "maps, or all templates with --set TEST.TEMPLATES []")

    def finish(graph, maps):
        parts = [decode(graph, module, maps, cfg) for module in family.modules]
        logits, boxes, *landmarks = (graph.node("Concat", part, f"all_{kind}", axis=1) for kind, part in zip(
            ("logits", "boxes", "landmarks"), zip(*parts, strict=True), strict=False))
        _suppress(graph, cfg, logits, _clipped(graph, boxes), *landmarks)
    return finish


def _ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


class _Writer:
    """Short names for the nodes of one module: op("Add", a, b) gives the name of a + b. Numbers become constants."""

    def __init__(self, graph, prefix):
        self.graph, self.prefix, self.count = graph, prefix, 0

    def __call__(self, kind, *inputs, **attributes):
        self.count += 1
        name = f"{self.prefix}_{kind.lower()}{self.count}"
        return self.graph.node(kind, [self.name(value) for value in inputs], name, **attributes)

    def name(self, value):
        if isinstance(value, str):
            return value
        self.count += 1
        return self.graph.constant(f"{self.prefix}_constant{self.count}", value)


def _module(graph, module, maps, cfg):
    """Names of logits (B, k), boxes (B, k, 4) and landmarks (B, k, 5, 2) of the best k anchors of a module."""
    op, (near, log) = _Writer(graph, f"{module.name}_decode"), cfg.TARGETS.VARIANCES
    sides = anchor_sides(module.sizes, module.ratios).astype(np.float32)  # (A, 2)
    scores = maps[f"{module.name}_scores"]
    all_logits = op("Reshape", channels_last(graph, scores, f"{module.name}_logits"), _ints(0, -1))
    count = op("Shape", all_logits, start=1, end=2)
    index = f"{module.name}_index"
    logits = graph.node("TopK", [all_logits, op("Min", count, _ints(cfg.TEST.TOP))], None,
                        [f"{module.name}_best", index], axis=1)
    rows = op("Unsqueeze", index, _ints(2))  # (B, k, 1)

    cell = op("Div", rows, np.int64(len(sides)))
    columns = op("Shape", scores.name, start=3, end=4)
    place = op("Concat", op("Mod", cell, columns), op("Div", cell, columns), axis=2)  # (B, k, 2) x y
    centre = op("Mul", op("Add", op("Cast", place, to=1), np.float32(0.5)), np.float32(module.stride))
    side = op("Gather", sides, op("Mod", index, np.int64(len(sides))), axis=0)  # (B, k, 2)

    def best(kind, width):
        every = op("Reshape", channels_last(graph, maps[f"{module.name}_{kind}"], f"{module.name}_{kind}_map"),
                   _ints(0, -1, width))
        return op("GatherND", every, rows, batch_dims=1)

    shift, scale = (op("Slice", offsets, _ints(start), _ints(start + 2), _ints(2))
                    for offsets in [best("boxes", 4)] for start in (0, 2))
    middle = op("Add", centre, op("Mul", op("Mul", shift, np.float32(near)), side))
    grown = op("Exp", op("Min", op("Mul", scale, np.float32(log)), np.float32(MAX_LOG_SCALE)))
    half = op("Mul", op("Mul", grown, side), np.float32(0.5))
    found = [logits, op("Concat", op("Sub", middle, half), op("Add", middle, half), axis=2)]
    if cfg.NET.LANDMARKS:
        points = op("Reshape", best("landmarks", 10), _ints(0, -1, 5, 2))
        centre, side = (op("Unsqueeze", value, _ints(2)) for value in (centre, side))
        found.append(op("Add", centre, op("Mul", op("Mul", points, np.float32(near)), side)))
    return found


def _cells(graph, module, maps, cfg):
    """Names of logits (B, k) and boxes (B, k, 4) of all k cells of a module; the graph has the size of cfg.GRID."""
    op, side = _Writer(graph, f"{module.name}_decode"), cfg.GRID.INPUT // module.stride
    parts = op("Reshape", channels_last(graph, maps[f"{module.name}_cells"], f"{module.name}_logits"),
               _ints(0, side * side, 5))

    def part(start, end, value=parts):
        return op("Slice", value, _ints(start), _ints(end), _ints(2))

    logits = op("Reshape", part(4, 5), _ints(0, -1))
    unit = op("Gather", op("Sigmoid", part(0, 4)), _ints(1, 0, 3, 2), axis=2)  # width, height, x, y
    rows, columns = np.divmod(np.arange(side * side), side)
    corner = np.stack([columns, rows], axis=1).astype(np.float32)  # (k, 2)
    centre = op("Div", op("Add", part(2, 4, unit), corner), np.float32(side))
    half = op("Mul", part(0, 2, unit), np.float32(0.5))
    boxes = op("Concat", op("Sub", centre, half), op("Add", centre, half), axis=2)
    return [logits, op("Mul", boxes, np.float32(cfg.GRID.INPUT))]


def _clipped(graph, boxes):
    """Boxes (B, K, 4) cut at the borders of the input image."""
    op = _Writer(graph, "clip")
    size = op("Cast", op("Shape", graph.inputs[0].name, start=1, end=3), to=1)  # height, width
    limit = op("Gather", size, _ints(1, 0, 1, 0), axis=0)
    return op("Max", op("Min", boxes, limit), np.float32(0))


def _suppress(graph, cfg, logits, boxes, landmarks=None):
    """NMS over each image, and the outputs."""
    from onnx import TensorProto, helper

    op, test = _Writer(graph, "nms"), cfg.TEST
    near, far = (op("Slice", boxes, _ints(start), _ints(start + 2), _ints(2)) for start in (0, 2))
    side = op("ReduceMin", op("Sub", far, near), axes=[2], keepdims=0)  # (B, K) px, 0 for what lay in the padding
    scores = op("Mul", op("Sigmoid", logits), op("Cast", op("Greater", side, np.float32(0)), to=1))
    kept = op("NonMaxSuppression", boxes, op("Unsqueeze", scores, _ints(1)), _ints(test.KEEP),
              np.array([test.NMS], np.float32), np.array([test.SCORE], np.float32))  # (N, 3): image, class, row
    at = op("Gather", kept, _ints(0, 2), axis=1)
    for name, values, shape in (("boxes", boxes, [4]), ("scores", scores, []), ("landmarks", landmarks, [5, 2])):
        if values is not None:
            graph.node("GatherND", [values, at], name, [name])
            graph.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["faces", *shape]))
    graph.node("Gather", [kept, op.name(np.int64(0))], "image", ["image"], axis=1)
    graph.outputs.append(helper.make_tensor_value_info("image", TensorProto.INT64, ["faces"]))
