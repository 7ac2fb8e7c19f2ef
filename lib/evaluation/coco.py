"""COCO's average precision, computed by faster-coco-eval, with the limits that faces need.

The library keeps 1,000 detections per image here instead of 100: more than a tenth of WIDER's faces are beyond the
hundredth of their image, and with 100 detections those can never be found. Its own summary is made for 100, so the
figures are taken from its precision and recall arrays. An area is an area in COCO's three sizes; for bins of height the
library is given heights instead of areas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, Range, check_whole
from .by_height import COARSE_EDGES, height_bins
from .files.readings import reading_warnings

if TYPE_CHECKING:
    from faster_coco_eval.core.faster_eval_api import COCOeval_faster

    from ..datasets.coco_json import CocoFile

MAX_DETECTIONS = 1000
USUAL_DETECTIONS = 100
"""COCO's own limit, whose cost is reported beside."""
SIZES = {"small": (0, 32 ** 2), "medium": (32 ** 2, 96 ** 2), "large": (96 ** 2, 1e10)}


def evaluate_coco(truth: CocoFile, rows: Sequence[np.ndarray | None], max_detections: int = MAX_DETECTIONS) -> dict:
    """COCO's figures of one detector.

    Args:
        truth: the annotation.
        rows: for each of truth.images (N, 5) float64 x y w h score in px, or None to leave the image out.
        max_detections: detections that are kept per image, those of the highest scores.

    Returns:
        The counts `images`, `faces` (without crowds), `detections`; `limits`: one dict for max_detections and one for
        100, with `max_detections`, `AP`, `AP50`, `AP75`, `AP_small`, `AP_medium`, `AP_large`, `AR` and `AR50` (recall
        of all detections that are kept), `beyond` (detections that are cut off) and `unreachable` (faces beyond that
        number in their image, which cannot be found); `heights`: one dict per bin with `low`, `high`, `faces`, `AP`,
        `AP50`, `AR` of the faces of low <= height < high at max_detections; `warnings`: list of str, of
        reading_warnings. A figure is None without faces for it.

    Raises:
        InputError: max_detections is below 1, or faster-coco-eval is not installed.
    """
    check_whole(max_detections, "max_detections", Range(least=1))
    kept = [image for image, rows_of_image in zip(truth.images, rows, strict=True) if rows_of_image is not None]
    detections = [rows_of_image for rows_of_image in rows if rows_of_image is not None]
    faces = [truth.faces[image["id"]] for image in kept]
    per_image = np.array([sum(not face["iscrowd"] for face in some) for some in faces], np.intp)
    limits = sorted({int(max_detections), USUAL_DETECTIONS}, key=lambda limit: limit != max_detections)

    boxes = [np.array([face["bbox"] for face in some]).reshape(-1, 4) for some in faces]
    warnings = reading_warnings(detections, boxes, [(image["width"], image["height"]) for image in kept])
    areas = {"all": (0, 1e10)} | SIZES
    ran = run_library(faces, detections, areas, limits)
    of_limit = []
    for limit in limits:
        figures = {"max_detections": limit, "AP": _mean(ran, "precision", "all", limit),
                   "AP50": _mean(ran, "precision", "all", limit, 0.5),
                   "AP75": _mean(ran, "precision", "all", limit, 0.75)}
        figures |= {f"AP_{size}": _mean(ran, "precision", size, limit) for size in SIZES}
        figures |= {"AR": _mean(ran, "recall", "all", limit), "AR50": _mean(ran, "recall", "all", limit, 0.5)}
        figures |= {"beyond": int(sum(max(len(rows_of_image) - limit, 0) for rows_of_image in detections)),
                    "unreachable": int(np.maximum(per_image - limit, 0).sum())}
        of_limit.append(figures)
    return {"images": len(kept), "faces": int(per_image.sum()), "detections": sum(map(len, detections)),
            "limits": of_limit, "heights": _by_height(faces, detections, max_detections), "warnings": warnings}


def _by_height(faces, rows, limit):
    bins = height_bins(COARSE_EDGES)
    # The library's ranges include both their ends; a face of 16 px belongs to the upper bin only.
    ranges = {i: (low, np.nextafter(min(high, 1e10), 0)) for i, (low, high) in enumerate(bins)}
    ran = run_library(faces, rows, ranges, [limit], measure=lambda box, area: box[3])
    heights = np.array([face["bbox"][3] for some in faces for face in some if not face["iscrowd"]])
    return [{"low": low, "high": high if np.isfinite(high) else None,
             "faces": int(((heights >= low) & (heights < high)).sum()), "AP": _mean(ran, "precision", i, limit),
             "AP50": _mean(ran, "precision", i, limit, 0.5), "AR": _mean(ran, "recall", i, limit)}
            for i, (low, high) in enumerate(bins)]


def run_library(faces: Sequence[Sequence[dict]], rows: Sequence[np.ndarray],
                ranges: Mapping[Any, tuple[float, float]], limits: Sequence[int],
                measure: Callable = lambda box, area: area) -> COCOeval_faster:
    """Run faster-coco-eval's evaluator.

    Args:
        faces: per image the annotations of a CocoFile.
        rows: per image (N, 5) float64 x y w h score in px.
        ranges: name -> (low, high), both included, of what `measure` gives for faces and detections.
        limits: numbers of detections that are kept per image.
        measure: from a box x y w h and its area in px^2, the value that ranges are about.

    Returns:
        The evaluator, with its arrays in `eval`.

    Raises:
        InputError: faster-coco-eval is not installed.
    """
    try:
        from faster_coco_eval.core.coco import COCO
        from faster_coco_eval.core.faster_eval_api import COCOeval_faster
    except ImportError as error:
        raise InputError(f"COCO's figures need faster-coco-eval ({error}): pip install 'faster-coco-eval>=1.8'"
                         ) from None

    images = [{"id": i, "width": 0, "height": 0} for i in range(1, len(faces) + 1)]
    categories = [{"id": 1, "name": "face"}]
    # Numbered again from 1: to the library the number 0 means that a detection has no match.
    annotations = [{"image_id": i, "category_id": 1, "bbox": face["bbox"], "iscrowd": face["iscrowd"],
                    "area": measure(face["bbox"], face["area"])} for i, some in enumerate(faces, 1) for face in some]
    results = [{"image_id": i, "category_id": 1, "bbox": [x, y, w, h], "score": score, "iscrowd": 0,
                "area": measure((x, y, w, h), w * h)}
               for i, rows_of_image in enumerate(rows, 1) for x, y, w, h, score in rows_of_image.tolist()]
    sets = []
    for entries in (annotations, results):
        for number, entry in enumerate(entries, 1):
            entry["id"] = number
        sets.append(COCO({"images": images, "categories": categories, "annotations": entries}))
    evaluator = COCOeval_faster(*sets, "bbox")
    evaluator.params.areaRngLbl, evaluator.params.areaRng = list(ranges), [list(r) for r in ranges.values()]
    evaluator.params.maxDets = sorted(limits)
    evaluator.evaluate()
    evaluator.accumulate()
    return evaluator


def _mean(evaluator, array, name, limit, iou=None):
    """Mean of precision (T, R, K, A, M) or recall (T, K, A, M) at one range and limit, over all IoUs or at one."""
    params = evaluator.params
    values = np.asarray(evaluator.eval[array])
    values = values[..., params.areaRngLbl.index(name), params.maxDets.index(limit)]
    if iou is not None:
        values = values[np.isclose(params.iouThrs, iou)]
    return float(values.mean()) if (values > -1).all() else None  # -1: there is no face
