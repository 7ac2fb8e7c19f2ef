"""Section `detectors` of the benchmark, and the table of tools/compare.py: our detectors and common alternatives.

The whole call is timed, from the decoded image to the boxes. The detectors take turns on the same images, all with
score threshold 0.02, and AP is measured too. What is missing (data, peers, packages, weights) is left out and named.
"""

import os
from pathlib import Path

import numpy as np

from manyfaces.datasets.roidb import load_roidb
from manyfaces.errors import InputError
from manyfaces.evaluation.voc import ap50

from . import peers as others
from .in_turns import SETS, TRUTH, in_turns, on_wider, write_found
from .timing import Table

SSH, TINY, SSD = "ssh_mobilenet_v1_025", "tiny_mobilenet_v1_025", "ssd_mobilenet_v2_075"
KINDS = {"ONNX Runtime, float32": ("onnxruntime", "float32"), "OpenVINO, float32": ("openvino", "float32"),
         "OpenVINO, bf16": ("openvino", "bf16"), "Keras": ("keras", "float32")}
FILES = {"yunet": "yunet/yunet_n_dynamic.onnx", "ultralight": "ultralight/version-RFB-640.onnx"}
COLUMNS = ("detector", *SETS, "ms", "ms p90", "processor ms", "times as fast as YuNet")
COMPARED = ("detector", *SETS, "facemask AP50", "AP50 < 20 px", "ms", "ms p90")


def run(data: str = "../shared/data", peers: str = "../shared/peers", limit: int = 0,
        ssd: str | None = None) -> list[Table]:
    """Measure all detectors at original size and at 300 x 300.

    Args:
        data: folder with wider, wider_crowd and wider_eval.
        peers: folder with the peers' ONNX files.
        limit: only this many images of each set; 0: all.
        ssd: an exported model instead of the shipped SSD.

    Returns:
        Two Tables, or none where there are no images.
    """
    missing = [str(Path(data) / folder) for folder in (*SETS.values(), TRUTH) if not (Path(data) / folder).is_dir()]
    if missing:
        print(f"detectors: left out, there is no {', '.join(missing)}: give --data DIR")
        return []
    groups, left_out = groups_of(peers, ssd)
    detectors = {(title, name): detect for title, group in groups.items() for name, detect in group.items()}
    aps, seconds, processor = on_wider(detectors, data, limit)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    notes = [f"{cores} cores. One scale, but for the pyramid. ms: whole call, decoded image in, boxes out; median and "
             "90th percentile over wider val; processor ms: of all threads together, the median.",
             "times as fast: median over the images of YuNet's time by this one's.", *left_out]
    return [_table(title, group, aps, seconds, processor, "\n".join(notes)) for title, group in groups.items() if group]


def _table(title, group, aps, seconds, processor, note):
    rows, yunet = [], next((name for name in group if name.startswith("YuNet")), None)
    for name in group:
        ms = seconds[title, name] * 1e3
        ratio = np.median(seconds[title, yunet] / seconds[title, name]) if yunet else np.nan
        rows.append([name, *aps[title, name], f"{np.median(ms):.1f}", f"{np.percentile(ms, 90):.1f}",
                     f"{np.median(processor[title, name]) * 1e3:.1f}", f"{ratio:.2f}"])
    return Table(f"{title}, no flip, score >= 0.02 (easy medium hard AP)", COLUMNS, rows, note)


def groups_of(folder, ssd=None):
    """Load every detector that can run here.

    Args:
        folder: holds the peers' ONNX files.
        ssd: an exported model instead of the shipped SSD.

    Returns:
        Dict title -> dict name -> function image -> Detections, and a list of lines that say what is left out and why.
    """
    folder, left_out = Path(folder), []

    def add(group, name, make):
        try:
            detect = make()
        except InputError as error:
            left_out.append(f"Left out: {name}: {error}")
            return
        if detect is None:
            left_out.append(f"Left out: {name}: its runtime is not installed")
        else:
            group[name] = detect

    original, small = {}, {}
    for group, title, model in ((original, "SSH MobileNetV1 x0.25", SSH),
                                (original, "Tiny Faces MobileNetV1 x0.25, its pyramid", TINY),
                                (small, "SSD MobileNetV2 x0.75", ssd or SSD)):
        for kind, (runtime, precision) in KINDS.items():
            if runtime != "keras" or not os.fspath(model).endswith(".onnx"):
                add(group, f"{title} ({kind})", lambda m=model, r=runtime, p=precision: _ours(m, r, p))
    add(original, "YuNet-n (OpenCV)", lambda: others.yunet(folder / FILES["yunet"]))
    add(original, "Ultra-Light RFB-640, at 640 x 480 (ONNX Runtime)",
        lambda: others.ultralight(folder / FILES["ultralight"]))
    add(small, "YuNet-n (OpenCV)", lambda: others.yunet(folder / FILES["yunet"], (300, 300)))
    return {"Detectors at original size": original, "Detectors at 300 x 300": small}, left_out


def _ours(model, runtime, precision):
    from manyfaces.inference.detector import Detector

    return Detector.load(model, runtime=runtime, precision=precision).detect


def compare(detectors, data, pickles, limit=0, pred=None):
    """Measure detectors on wider val, wider_crowd and facemask val.

    The measures are official easy / medium / hard AP over the images that are there, AP at IoU 0.5 on facemask val (all
    faces, and those under 20 px), and median and 90th percentile of ms over wider val.

    Args:
        detectors: dict name -> function image -> Detections.
        data: folder of the data sets.
        pickles: folder that holds facemask_val.pkl.
        limit: only this many images of each set; 0: all.
        pred: folder for the detections (see write_found); None: they are not kept.

    Returns:
        A Table with one row per detector.
    """
    columns, seconds, _ = on_wider(detectors, data, limit, pred)
    records = load_roidb(Path(pickles) / "facemask_val.pkl").records[: limit or None]
    detections, _, _ = in_turns(detectors, [record.path for record in records])
    if pred is not None:
        write_found(pred, "facemask val", detections, [record.name for record in records])
    rows = []
    for name in detectors:
        aps = [ap50(detections[name], records, heights)["ap"] for heights in ((0, np.inf), (0, 20))]
        ms = seconds[name] * 1e3
        rows.append([name, *columns[name], *(f"{ap:.3f}" for ap in aps),
                     f"{np.median(ms):.1f}", f"{np.percentile(ms, 90):.1f}"])
    return Table("Detectors, no flip, score >= 0.02 (wider: easy medium hard AP)", COMPARED, rows,
                 "ms: whole call, decoded image in, boxes out; median and 90th percentile over wider val.")
