"""Hard NMS of 1,000, 5,000 and 100,000 boxes: ours, its NumPy twin, OpenCV's and TensorFlow's; or all on a GPU.

The boxes are candidates of a crowd: faces of 8 to 60 px in 4000 x 3000 px. Each peer receives its input in the form
that it takes; the conversion is not timed. TensorFlow is called eagerly, and left out if it is not installed.
"""

from collections.abc import Sequence

import numpy as np

from manyfaces.boxes.checks import as_choice
from manyfaces.nms import COMPILED, nms, reference

from . import nms_cuda
from .candidates import crowd_candidates
from .nms_cuda import THRESHOLD
from .timing import Table, median_ms

COUNTS = (1_000, 5_000, 100_000)
LARGE = 20_000  # from here on a peer takes seconds and runs once; the tests compare the boxes


def run(counts: Sequence[int] | None = None, peers: Sequence[str] | None = None, device: str = "cpu") -> list[Table]:
    """Time each implementation, and compare it with ours.

    Args:
        counts: numbers of boxes; None: COUNTS of the device.
        peers: names of PEERS; None: all. For the CPU.
        device: "cpu"; or "cuda", which is nms_cuda.py.

    Returns:
        A list with one Table.

    Raises:
        InputError: the device is unknown or missing.
        RuntimeError: a peer keeps other boxes than ours.
    """
    if as_choice(device, "device", ("cpu", "cuda")) == "cuda":
        return nms_cuda.run(counts or nms_cuda.COUNTS)
    peers = list(PEERS) if peers is None else peers
    rows = []
    for count in counts or COUNTS:
        boxes, scores = crowd_candidates(count, np.random.default_rng(count))
        kept = nms(boxes, scores, THRESHOLD)
        ours = median_ms(lambda: nms(boxes, scores, THRESHOLD), 15)  # noqa: B023 (called at once)
        rows.append([f"{count:,}, {'manyfaces' if COMPILED else 'manyfaces, not compiled'}", f"{len(kept):,}",
                     f"{ours:.3f}", "1"])
        for peer in peers:
            call = PEERS[peer](boxes, scores)
            if call is None:
                continue
            if count < LARGE:
                # The boxes must be the same, except for a few whose IoU is rounded to the other side of the threshold.
                peer_kept = call()
                same = len(np.intersect1d(peer_kept, kept))
                if same < 0.99 * max(len(kept), len(peer_kept)):
                    raise RuntimeError(f"{peer} keeps other boxes than ours: it keeps {len(peer_kept)}, ours keeps "
                                       f"{len(kept)}, and {same} are the same")
            ms = median_ms(call, 7 if count < LARGE else 1, warm_up=count < LARGE)
            rows.append([f"{count:,}, {peer}", f"{len(peer_kept):,}" if count < LARGE else "", f"{ms:.3f}",
                         f"{ms / ours:.1f}"])
    return [Table("Non-maximum suppression, IoU > 0.3", ("boxes", "kept", "ms", "times ours"), rows,
                  f"Medians; from {LARGE:,} boxes on the peers run once. A peer that is not installed has no row.",
                  {row[0]: packages_of(row[0].partition(", ")[2]) for row in rows})]


def packages_of(peer):
    return ("numpy", *{"cv2.dnn.NMSBoxes": ["opencv"], "tf.image": ["tensorflow"]}.get(peer, []))


def numpy_twin(boxes, scores):
    return lambda: reference.nms(boxes, scores, THRESHOLD)


def opencv(boxes, scores):
    import cv2

    corner_and_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return lambda: np.asarray(cv2.dnn.NMSBoxes(corner_and_size, scores, 0.0, THRESHOLD)).ravel()


def tensorflow(boxes, scores):
    try:
        import tensorflow as tf
    except ImportError:
        return None
    rows_first, count = tf.constant(boxes[:, [1, 0, 3, 2]]), len(boxes)
    scores = tf.constant(scores)
    return lambda: tf.image.non_max_suppression(rows_first, scores, count, THRESHOLD).numpy()


PEERS = {"NumPy twin": numpy_twin, "cv2.dnn.NMSBoxes": opencv, "tf.image": tensorflow}
