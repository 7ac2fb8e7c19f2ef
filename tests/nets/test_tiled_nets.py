"""Whole nets on images cut into tiles: the shipped SSH and Tiny Faces, and Tiny Faces with random weights."""

import functools
import importlib.util

import cv2
import numpy as np
import pytest
from conftest import ROOT

from benchmarks.memory import large_picture, peak
from manyfaces.boxes import overlaps
from manyfaces.config import load_config
from manyfaces.datasets.toy.data_set import portrait_collage
from manyfaces.inference.detector import Detector
from manyfaces.nets import family

SSH, TINY = "ssh_mobilenet_v1_025", "tiny_mobilenet_v1_025"


def same_faces(detections, expected):
    """Each face of one is in the other: IoU 0.99, score within 1e-4. They differ only by rounding."""
    assert len(detections) == len(expected) > 0
    meet = overlaps(expected.boxes, detections.boxes)
    mate = meet.argmax(axis=1)
    assert len(set(mate)) == len(mate) and meet.max(axis=1).min() >= 0.99
    np.testing.assert_allclose(detections.scores[mate], expected.scores, atol=1e-4)
    if expected.landmarks is not None:
        np.testing.assert_allclose(detections.landmarks[mate], expected.landmarks, atol=0.05)


def both(detector, image, most, **options):
    """(Detections in tiles of at most `most` pixels, Detections of the whole image, number of calls of each)."""
    run, calls, results = detector.run, [], []
    for limit in (most, 0):
        calls.append([])
        own = Detector(detector.family, lambda images, seen=calls[-1]: seen.append(images.shape) or run(images),
                       detector.cfg)
        detector.cfg.TEST.MAX_PIXELS = limit
        results.append(own.detect(image, **options, threshold=0))
        assert not limit or max(shape[1] * shape[2] for shape in calls[-1]) <= limit
    return *results, *map(len, calls)


@pytest.mark.parametrize("runtime", ["keras", "onnxruntime", "openvino"])
@pytest.mark.parametrize("name", [SSH, TINY])
def test_the_shipped_weights_detect_the_same_faces_in_tiles(name, runtime):
    if importlib.util.find_spec(runtime) is None:
        pytest.skip(f"{runtime} is not installed")
    detector = Detector.load(name, runtime=runtime, threads=None if runtime == "keras" else 1)
    image = portrait_collage(1237, 811, seed=0)  # faces of 10 to 250 px, everywhere and across each seam
    cut, whole, calls, once = both(detector, image, 605_000, scales=[1])
    assert (calls, once) == (4, 1) and len(whole) > 100
    same_faces(cut, whole)


def test_an_overlap_smaller_than_the_receptive_field_is_noticed():
    detector = Detector.load(SSH, runtime="onnxruntime", threads=1)
    detector.cfg.TEST.TILE_OVERLAP = 32
    cut, whole, *_ = both(detector, portrait_collage(1237, 811, seed=0), 300_000)
    with pytest.raises(AssertionError):
        same_faces(cut, whole)


@functools.cache
def tiny():
    """Tiny Faces as in cfgs/tiny_mobilenet_v1_025.yml, with random weights whose logits have a spread of 1."""
    from manyfaces.nets import backend

    cfg = load_config(ROOT / "cfgs" / "tiny_mobilenet_v1_025.yml", ["NET.WEIGHTS", "", "TEST.SCORE", 0.7])
    backend.prepare(seed=2)
    net, rng = family(cfg), np.random.default_rng(2)
    model = net.build()
    for variable in model.trainable_variables:
        if variable.path.endswith("kernel"):
            fan = 9 if "depthwise" in variable.path else np.prod(variable.shape[:-1])
            variable.assign(rng.normal(0, (2 / fan) ** 0.5, variable.shape))
    run = backend.runner(model)
    maps = run(portrait_collage(320, 256, seed=1)[None])
    for kind in ("scores", "boxes"):  # means of 0, spreads of 1
        head, values = model.get_layer(f"templates_{kind}"), maps[f"templates_{kind}"]
        head.kernel.assign(head.kernel / values.std())
        head.bias.assign((head.bias - values.mean((0, 1, 2))) / values.std())
    return Detector(net, run, cfg)


@pytest.mark.parametrize("size, options, calls", [
    ((901, 599), {"scales": [1]}, 2), ((530, 410), {"scales": [0.25, 0.5, 1, 2], "flip": True}, 14),
    ((3001, 50), {"scales": [2]}, 2)])
def test_tiny_faces_detects_the_same_faces_in_tiles(size, options, calls):
    cut, whole, often, once = both(tiny(), portrait_collage(*size, seed=3), 540_000, **options)
    assert often == calls > once and np.ptp(whole.scores) > 0.05
    same_faces(cut, whole)


def test_a_smaller_limit_takes_less_memory(tmp_path):
    """Memory of whole processes: 4 Mpx at once, and in tiles of 1 Mpx."""
    if importlib.util.find_spec("onnxruntime") is None:
        pytest.skip("onnxruntime is not installed")
    cv2.imwrite(str(tmp_path / "large.jpg"), large_picture(2400, 1700))
    whole, cut = (peak(tmp_path / "large.jpg", SSH, runtime="onnxruntime", overrides=["TEST.MAX_PIXELS", str(pixels)])
                  for pixels in (0, 1_000_000))
    assert cut["faces"] == whole["faces"] > 0
    assert cut["loaded"] < cut["peak"] < 0.75 * whole["peak"] and whole["peak"] < 1000  # MB
