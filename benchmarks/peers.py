"""Common alternatives to our detectors, each as a function image -> Detections.

YuNet runs in OpenCV (`cv2.FaceDetectorYN`), Ultra-Light RFB-640 in ONNX Runtime. The caller gives their ONNX files. The
score threshold is 0.02 and NMS is at 0.3. YuNet receives the original size or a given one, Ultra-Light its own 640x480.
Images are resized by OpenCV's resize with default options.
"""

from pathlib import Path

import cv2
import numpy as np

from manyfaces.detections import Detections
from manyfaces.errors import InputError
from manyfaces.nms import nms

SCORE, NMS = 0.02, 0.3
FILES = {"yunet": "yunet/yunet_n_dynamic.onnx", "ultralight": "ultralight/version-RFB-640.onnx"}  # below --peers


def yunet(path, size=None):
    """YuNet (75,856 parameters) from its ONNX file; size: (width, height) px to resize images to, None: their own."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file, expected YuNet's ONNX model")
    net = cv2.FaceDetectorYN.create(str(path), "", (320, 320), SCORE, NMS, 5000)

    def detect(image):
        height, width = image.shape[:2]
        resized = image if size is None else cv2.resize(image, tuple(size))
        net.setInputSize((resized.shape[1], resized.shape[0]))
        _, rows = net.detect(np.ascontiguousarray(resized[:, :, ::-1]))
        rows = np.zeros((0, 15), np.float32) if rows is None else rows
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        return Detections(boxes, rows[:, 14]).scaled(width / resized.shape[1], height / resized.shape[0])

    return detect


def ultralight(path):
    """Ultra-Light-Fast-Generic RFB at 640x480 from its ONNX file."""
    try:
        import onnxruntime
    except ImportError:
        raise InputError("onnxruntime is not installed: pip install 'manyfaces[onnx]'") from None
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file, expected the RFB-640 ONNX model")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    net = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = net.get_inputs()[0].name

    def detect(image):
        batch = (cv2.resize(image, (640, 480)).astype(np.float32) - 127) / 128
        scores, boxes = net.run(None, {name: batch.transpose(2, 0, 1)[None]})
        scores, boxes = scores[0, :, 1], boxes[0] * np.float32([image.shape[1], image.shape[0]] * 2)
        kept = scores > SCORE
        boxes, scores = boxes[kept], scores[kept]
        index = nms(boxes, scores, NMS)
        return Detections(boxes[index], scores[index])

    return detect
