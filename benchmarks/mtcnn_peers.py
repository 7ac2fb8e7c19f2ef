"""Other MTCNNs as functions image -> Detections: facenet-pytorch and the `mtcnn` package, with their own weights."""

import importlib.util
import sys
import types
from pathlib import Path

import numpy as np

from manyfaces.detections import Detections
from manyfaces.nms import nms

THRESHOLDS, MIN_FACE = (0.6, 0.7, 0.7), 20


def facenet_folder():
    """The folder of facenet-pytorch's .pt files; None if the package is not installed."""
    spec = importlib.util.find_spec("facenet_pytorch")
    return None if spec is None else Path(spec.submodule_search_locations[0]) / "data"


def facenet_pytorch():
    """facenet-pytorch's MTCNN on PyTorch; None if either is not installed."""
    if facenet_folder() is None or importlib.util.find_spec("torch") is None:
        return None
    if importlib.util.find_spec("torchvision") is None:
        _stand_in_for_torchvision()
    from facenet_pytorch import MTCNN

    net = MTCNN(keep_all=True, post_process=False, min_face_size=MIN_FACE, thresholds=list(THRESHOLDS), device="cpu")

    def detect(image):
        boxes, scores, points = net.detect(image, landmarks=True)
        if boxes is None:
            return Detections(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)))
        return Detections(boxes.astype(np.float32), scores.astype(np.float32), points.astype(np.float32))

    return detect


def _stand_in_for_torchvision():
    """Replace what facenet-pytorch imports of torchvision: an unused module, and NMS of several groups at once.

    torchvision has no build for PyTorch without CUDA of that version. Our NMS keeps the same boxes as its compiled one.
    """
    import torch

    def batched_nms(boxes, scores, groups, threshold):
        if not len(boxes):
            return torch.zeros(0, dtype=torch.int64)
        apart = boxes + groups.to(boxes)[:, None] * (boxes.max() + 1)
        return torch.from_numpy(nms(apart.numpy(), scores.numpy(), threshold).astype(np.int64))

    names = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.ops",
             "torchvision.ops.boxes")
    modules = {name: types.ModuleType(name) for name in names}
    for name, module in modules.items():
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(modules[parent], own, module)
    modules["torchvision.ops.boxes"].batched_nms = batched_nms
    sys.modules.update(modules)


def mtcnn_package():
    """The `mtcnn` package on TensorFlow; None if it is not installed (it needs joblib and lz4, too)."""
    if any(importlib.util.find_spec(name) is None for name in ("mtcnn", "joblib", "lz4", "tensorflow")):
        return None
    from manyfaces.nets.backend import prepare

    prepare()
    from mtcnn import MTCNN

    net = MTCNN()

    def detect(image):
        rows = net.detect_faces(image, box_format="xyxy", output_type="numpy", fit_to_image=False,
                                min_face_size=MIN_FACE, threshold_pnet=THRESHOLDS[0], threshold_rnet=THRESHOLDS[1],
                                threshold_onet=THRESHOLDS[2])
        rows = np.asarray(rows, np.float32).reshape(-1, 16)
        return Detections(rows[:, 1:5], rows[:, 5], rows[:, 6:].reshape(-1, 2, 5).transpose(0, 2, 1))

    return detect
