"""Section `detectors` of the benchmark, and the table of tools/compare.py: our detectors and common alternatives.

The whole call is timed, from the decoded image to the boxes, all with score threshold 0.02, in two ways: each detector
in a process of its own (alone.py), and all in turns in one process (in_turns.py). AP is measured too. What is missing
(data, peers, packages, weights) is left out and named.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from manyfaces.datasets.roidb import load_roidb
from manyfaces.evaluation.voc import ap50

from .alone import alone
from .entry import Entry, given, open_all
from .in_turns import SETS, TIMED, TRUTH, images_of, in_turns, on_wider, write_found
from .peers import FILES
from .timing import Table

ORIGINAL, SMALL = "Detectors at original size", "Detectors at 300 x 300"
OURS = {  # table -> name of a row -> shipped model
    ORIGINAL: {"SSH MobileNetV1 x0.25": "ssh_mobilenet_v1_025",
               "Tiny Faces MobileNetV1 x0.25, its pyramid": "tiny_mobilenet_v1_025",
               "MTCNN, its own thresholds": "mtcnn"},
    SMALL: {"SSD MobileNetV2 x0.75": "ssd_mobilenet_v2_075"},
}
KINDS = {"ONNX Runtime, float32": ("onnxruntime", "float32"), "OpenVINO, float32": ("openvino", "float32"),
         "OpenVINO, bf16": ("openvino", "bf16"), "Keras": ("keras", "float32")}
YUNET, ULTRALIGHT = "YuNet-n (OpenCV)", "Ultra-Light RFB-640, at 640 x 480 (ONNX Runtime)"
IN_TURNS, ALONE = "times as fast as YuNet (in turns)", "times as fast as YuNet (alone)"
COLUMNS = ("detector", *SETS, "ms", "ms p90", "processor ms", "ms alone", IN_TURNS, ALONE)
COMPARED = ("detector", *SETS, "facemask AP50", "AP50 < 20 px", "ms", "ms p90")


def run(data: str = "../shared/data", peers: str = "../shared/peers", limit: int = 0,
        also: Sequence[str] = ()) -> list[Table]:
    """Measure all detectors at original size and at 300 x 300.

    Args:
        data: folder with SETS and their ground truth.
        peers: folder with the peers' ONNX files.
        limit: only this many images of each set; 0: all.
        also: NAME=FILE[@RUNTIME] of further detectors at original size, such as public weights.

    Returns:
        Two Tables, or none where there are no images.
    """
    missing = [str(Path(data) / folder) for folder in (*SETS.values(), TRUTH) if not (Path(data) / folder).is_dir()]
    if missing:
        print(f"detectors: left out, there is no {', '.join(missing)}: give --data DIR")
        return []
    groups = groups_of(peers, also)
    entries = {(title, name): entry for title, group in groups.items() for name, entry in group.items()}
    own, reasons = alone(entries, images_of(data, TIMED, limit))  # first, while no detector is loaded here
    detectors, later = open_all({key: entries[key] for key in own})
    aps, seconds, processor = on_wider(detectors, data, limit)
    notes = [f"One scale, but for the pyramid. ms: whole call, decoded image in, boxes out; median and 90th percentile "
             f"over {TIMED}, in turns with the others in one process; processor ms: of all threads together, the "
             "median; ms alone: in a process of its own, the median.",
             "times as fast: YuNet's time by this one's, the median over the images and in brackets the quartiles.",
             *(f"Left out: {name}: {reason}" for (_, name), reason in (reasons | later).items())]
    tables = []
    for title, group in groups.items():
        rows = [[name, *aps[title, name], *times(title, name, seconds, processor, own)]
                for name in group if (title, name) in detectors]
        if rows:
            tables.append(Table(f"{title}, no flip, score >= 0.02 (easy medium hard AP)", COLUMNS, rows,
                                "\n".join(notes), {name: entry.packages for name, entry in group.items()}))
    return tables


def times(title, name, seconds, processor, own):
    """The cells about time of a row; all by (title, name), in seconds per image."""
    ms = seconds[title, name] * 1e3
    ratios = []
    for way in (seconds, own):
        yunet = way.get((title, YUNET))
        ratios.append("-" if yunet is None else quartiles(yunet / way[title, name]))
    return [f"{np.median(ms):.1f}", f"{np.percentile(ms, 90):.1f}", f"{np.median(processor[title, name]) * 1e3:.1f}",
            f"{np.median(own[title, name]) * 1e3:.1f}", *ratios]


def quartiles(values):
    """"2.00 (1.90 to 2.10)": the median and the quartiles."""
    low, middle, high = np.percentile(values, (25, 50, 75))
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def groups_of(folder, also=()):
    """Every detector of the benchmark.

    Args:
        folder: holds the peers' ONNX files.
        also: as in run.

    Returns:
        Dict title -> dict name -> Entry.
    """
    groups = {title: {f"{name} ({kind})": Entry("ours", (model, runtime, precision), runtime)
                      for name, model in models.items() for kind, (runtime, precision) in KINDS.items()}
              for title, models in OURS.items()}
    yunet, ultralight = (str(Path(folder) / FILES[name]) for name in ("yunet", "ultralight"))
    groups[ORIGINAL] |= {YUNET: Entry("yunet", (yunet,)),
                         ULTRALIGHT: Entry("ultralight", (ultralight,), "onnxruntime"), **given(also)}
    groups[SMALL][YUNET] = Entry("yunet", (yunet, (300, 300)))
    return groups


def compare(detectors, data, pickles, limit=0, pred=None, packages=()):
    """Measure detectors on each of SETS and on facemask val.

    The measures are official easy / medium / hard AP over the images that are there, AP at IoU 0.5 on facemask val (all
    faces, and those under 20 px), and median and 90th percentile of ms over TIMED.

    Args:
        detectors: dict name -> function image -> Detections.
        data: folder of the data sets.
        pickles: folder that holds facemask_val.pkl.
        limit: only this many images of each set; 0: all.
        pred: folder for the detections (see write_found); None: they are not kept.
        packages: of the Table.

    Returns:
        A Table with one row per detector.
    """
    records = load_roidb(Path(pickles) / "facemask_val.pkl").records[: limit or None]
    columns, seconds, _ = on_wider(detectors, data, limit, pred)
    detections, _, _ = in_turns(detectors, [record.path for record in records], "facemask val")
    if pred is not None:
        write_found(pred, "facemask val", detections, [record.name for record in records])
    rows = []
    for name in detectors:
        aps = [ap50(detections[name], records, heights)["ap"] for heights in ((0, np.inf), (0, 20))]
        ms = seconds[name] * 1e3
        rows.append([name, *columns[name], *(f"{ap:.3f}" for ap in aps),
                     f"{np.median(ms):.1f}", f"{np.percentile(ms, 90):.1f}"])
    return Table("Detectors, no flip, score >= 0.02 (wider: easy medium hard AP)", COMPARED, rows,
                 f"ms: whole call, decoded image in, boxes out; median and 90th percentile over {TIMED}.", packages)
