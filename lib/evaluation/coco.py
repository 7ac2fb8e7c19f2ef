"""COCO's average precision, computed by faster-coco-eval, with the limits that faces need.

The library is told to keep 1,000 detections an image instead of 100: more than a tenth of WIDER's faces stand in
images with more than a hundred of them, and whatever lies beyond the hundredth can never be found. Its own summary is
made for 100, so the figures are taken from its precision and recall arrays. What it calls an area is an area in COCO's
three sizes; for bins of height the same library is given heights in place of areas.
"""

import numpy as np

from ..errors import InputError
from .by_height import COARSE_EDGES, height_bins

MAX_DETECTIONS = 1000
# COCO's own, whose cost is stated beside.
USUAL_DETECTIONS = 100
SIZES = {"small": (0, 32 ** 2), "medium": (32 ** 2, 96 ** 2), "large": (96 ** 2, 1e10)}


def evaluate_coco(truth, rows, max_detections=MAX_DETECTIONS):
    """COCO's figures of one detector.

    truth: a CocoFile; rows: for each of truth.images (N, 5) x y w h score, or None to leave the image out altogether.
    Returns a dict: images, faces (without crowds), detections, limits: a list of dicts for max_detections and for 100,
    each with max_detections, AP, AP50, AP75, AP_small, AP_medium, AP_large, AR and AR50 (recall of all detections that
    are kept), beyond (detections that are cut off) and unreachable (faces beyond that number in their image, which
    cannot be found); heights: a list of dicts with low, high, faces, AP, AP50, AR of the faces of low <= height < high
    at max_detections. A figure is None where there is no face for it.
    """
    kept = [image for image, found in zip(truth.images, rows, strict=True) if found is not None]
    found = [r for r in rows if r is not None]
    faces = [truth.faces[image["id"]] for image in kept]
    per_image = np.array([sum(not face["iscrowd"] for face in some) for some in faces], np.intp)
    limits = sorted({int(max_detections), USUAL_DETECTIONS}, key=lambda limit: limit != max_detections)

    areas = {"all": (0, 1e10)} | SIZES
    ran = run_library(faces, found, areas, limits)
    of_limit = []
    for limit in limits:
        figures = {"max_detections": limit, "AP": _mean(ran, "precision", "all", limit),
                   "AP50": _mean(ran, "precision", "all", limit, 0.5),
                   "AP75": _mean(ran, "precision", "all", limit, 0.75)}
        figures |= {f"AP_{size}": _mean(ran, "precision", size, limit) for size in SIZES}
        figures |= {"AR": _mean(ran, "recall", "all", limit), "AR50": _mean(ran, "recall", "all", limit, 0.5)}
        figures |= {"beyond": int(sum(max(len(r) - limit, 0) for r in found)),
                    "unreachable": int(np.maximum(per_image - limit, 0).sum())}
        of_limit.append(figures)
    return {"images": len(kept), "faces": int(per_image.sum()), "detections": sum(map(len, found)),
            "limits": of_limit, "heights": _by_height(faces, found, max_detections)}


def _by_height(faces, rows, limit):
    bins = height_bins(COARSE_EDGES)
    # The library's ranges hold both their ends; a face of 16 px belongs to the upper bin only.
    ranges = {i: (low, np.nextafter(min(high, 1e10), 0)) for i, (low, high) in enumerate(bins)}
    ran = run_library(faces, rows, ranges, [limit], measure=lambda box, area: box[3])
    heights = np.array([face["bbox"][3] for some in faces for face in some if not face["iscrowd"]])
    return [{"low": low, "high": high if np.isfinite(high) else None,
             "faces": int(((heights >= low) & (heights < high)).sum()), "AP": _mean(ran, "precision", i, limit),
             "AP50": _mean(ran, "precision", i, limit, 0.5), "AR": _mean(ran, "recall", i, limit)}
            for i, (low, high) in enumerate(bins)]


def run_library(faces, rows, ranges, limits, measure=lambda box, area: area):
    """faster-coco-eval's evaluator after it has run, with its arrays in `eval`.

    faces: for each image the annotations of a CocoFile; rows: its detections (N, 5) x y w h score. ranges: name ->
    (low, high), both included, for what `measure` makes of a box and its area, of faces and of detections alike.
    limits: numbers of detections that are kept of an image.
    """
    try:
        from faster_coco_eval.core.coco import COCO
        from faster_coco_eval.core.faster_eval_api import COCOeval_faster
    except ImportError as error:
        raise InputError(f"COCO's figures need faster-coco-eval ({error}): pip install 'faster-coco-eval>=1.8'"
                         ) from None

    images = [{"id": i, "width": 0, "height": 0} for i in range(1, len(faces) + 1)]
    categories = [{"id": 1, "name": "face"}]
    # Numbered anew from 1: to the library the number 0 means that a detection has no match.
    annotations = [{"image_id": i, "category_id": 1, "bbox": face["bbox"], "iscrowd": face["iscrowd"],
                    "area": measure(face["bbox"], face["area"])} for i, some in enumerate(faces, 1) for face in some]
    results = [{"image_id": i, "category_id": 1, "bbox": [x, y, w, h], "score": score, "iscrowd": 0,
                "area": measure((x, y, w, h), w * h)}
               for i, found in enumerate(rows, 1) for x, y, w, h, score in found.tolist()]
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


def _mean(evaluator, array, name, limit, overlap=None):
    """Mean of precision (T, R, K, A, M) or recall (T, K, A, M) at one range and limit, over all overlaps or at one."""
    params = evaluator.params
    values = np.asarray(evaluator.eval[array])
    values = values[..., params.areaRngLbl.index(name), params.maxDets.index(limit)]
    if overlap is not None:
        values = values[np.isclose(params.iouThrs, overlap)]
    return float(values.mean()) if (values > -1).all() else None  # -1 stands for "no face"
