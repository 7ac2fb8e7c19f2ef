"""Export of families whose images are squeezed to one size, SSD and grid: small nets with random weights."""

import copy
import json

import numpy as np
import pytest
from exported import picture_folder, small, small_exported, without_keras

from manyfaces.boxes import overlaps
from manyfaces.datasets.toy.data_set import portrait_collage
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.errors import InputError
from manyfaces.export.export import LIMIT, export
from manyfaces.inference import models as testing
from manyfaces.inference.detector import Detector
from manyfaces.runtimes.models import open_model
from manyfaces.runtimes.sidecar import read_sidecar

pytestmark = pytest.mark.slow

FLOAT = ["onnx", "openvino", "litert"]
FAMILIES = ["ssd", "grid"]


def keras_detector(family, cfg=None):
    made_with, (net, _, run) = small(family)
    return Detector(type(net)(cfg or made_with), run, cfg or made_with)


def same_faces(found, expected):
    """The same number of faces, in pairs with IoU 1 to 1e-3."""
    assert len(found) == len(expected)
    if len(expected):
        meet = overlaps(expected.boxes, found.boxes)
        mate = meet.argmax(axis=1)
        assert len(set(mate)) == len(mate) and meet.max(axis=1).min() >= 1 - 1e-3
        np.testing.assert_allclose(found.scores[mate], expected.scores, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", [*FLOAT, "saved_model"])
def test_maps_and_faces_are_those_of_keras(family, kind):
    path, facts = small_exported(family, kind)
    for found in facts["checks"].values():
        assert found["error"] <= LIMIT and found["recall"] == 1 and found["faces"] > 0
    if kind != "saved_model":
        expected, found = (each.detect(portraits()[0].image, threshold=0)
                           for each in (keras_detector(family), Detector(*open_model(path, threads=1))))
        assert len(expected) > 0
        same_faces(found, expected)


@pytest.mark.parametrize("kind", FLOAT)
def test_ssd_takes_any_size_and_grid_its_own(kind):
    images = np.random.default_rng(6).integers(0, 256, (2, 77, 130, 3), dtype=np.uint8)
    path, _ = small_exported("ssd", kind)
    expected, found = small("ssd")[1][2](images), open_model(path, threads=1)[1](images)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-4)
    assert found["head_scores"].shape[1:3] == (4, 8)  # 77 and 130 px: a backbone without padding
    path, _ = small_exported("grid", kind)
    _, run, _ = open_model(path, threads=1)
    with pytest.raises(InputError, match=rf"images have the height 77, {path.name} takes 96 only"):
        run(images)


@pytest.mark.parametrize("family, sides, squeeze", [("ssd", (None, None), [100, 84]), ("grid", (96, 96), [96, 96])])
def test_the_sidecar_has_the_size_that_images_are_squeezed_to(family, sides, squeeze):
    facts = read_sidecar(small_exported(family, "onnx")[0])["input"]
    assert (facts["height"], facts["width"]) == sides and facts["squeeze"] == squeeze and facts["multiple"] == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_faces_from_the_graph_are_those_of_the_detector(family, tmp_path):
    """Raw boxes are in px of the squeezed input; an image without faces has no row."""
    import onnxruntime

    images = [portraits()[0].image, np.full((70, 90, 3), 90, np.uint8), portrait_collage(200, 150, seed=1)]
    cfg, keras = copy.deepcopy(small(family)[0]), small(family)[1]
    cfg.TEST.SCORE = 0.02
    best = sorted(detected.scores[0] for detected in keras_detector(family, cfg).detect(images, threshold=0))
    cfg.TEST.SCORE = float((best[0] + best[1]) / 2)  # so one of the three images has no face
    detector = keras_detector(family, cfg)
    expected = detector.detect(images, threshold=0)
    assert sorted(min(len(faces), 1) for faces in expected) == [0, 1, 1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(testing, "load_model", lambda *_: (detector.family, *keras[1:]))
        export(cfg, None, tmp_path / "faces.onnx", nms=True, images=picture_folder(), threads=1)
    exported = Detector(*open_model(tmp_path / "faces.onnx", "onnxruntime", threads=1))
    inputs = []
    for image, faces in zip(images, expected, strict=True):
        same_faces(exported.detect(image, threshold=0), faces)
        inputs.append(_squeezed(image, cfg.TEST.SIZE))
    session = onnxruntime.InferenceSession(str(tmp_path / "faces.onnx"), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    assert names == ["boxes", "scores", "image"]
    raw = dict(zip(names, session.run(None, {"images": np.stack(inputs)}), strict=True))
    assert raw["image"].tolist() == [number for number, faces in enumerate(expected) for _ in range(len(faces))]
    for number, (image, faces) in enumerate(zip(images, expected, strict=True)):
        factor = np.float32([image.shape[1] / cfg.TEST.SIZE[0], image.shape[0] / cfg.TEST.SIZE[1]] * 2)
        mine = raw["image"] == number
        if len(faces):
            assert overlaps(faces.boxes, raw["boxes"][mine] * factor).max(axis=1).min() >= 1 - 1e-3
        np.testing.assert_allclose(np.sort(raw["scores"][mine]), np.sort(faces.scores), atol=1e-5)


def _squeezed(image, size):
    import cv2

    shrinks = size[0] < image.shape[1]
    return cv2.resize(image, tuple(size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["int8", "int8_openvino", "int8_litert"])
def test_eight_bit_maps_follow_the_float_ones(family, kind):
    path, facts = small_exported(family, kind)
    assert facts["precision"] == read_sidecar(path)["precision"] == "int8"
    image = _squeezed(portraits()[1].image, small(family)[0].TEST.SIZE)[None]
    expected, found = small(family)[1][2](image), open_model(path, threads=1)[1](image)
    for name, values in expected.items():
        off = np.sqrt(np.mean((found[name] - values) ** 2))
        assert 0 < off < 0.06 * values.std()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tools_need_only_the_file_and_its_sidecar(family, tmp_path):
    path, _ = small_exported(family, "onnx")
    without_keras("demo", "--weights", path, picture_folder() / "a.png", "--json", tmp_path / "found.jsonl",
                  "--score", "0.5", "--no-pictures")
    row = json.loads((tmp_path / "found.jsonl").read_text())
    expected = keras_detector(family).detect(portraits()[0].image, threshold=0)
    assert len(row["faces"]) == len(expected) > 0
    np.testing.assert_allclose([face["box"] for face in row["faces"]][0], expected.boxes[0], atol=0.05)
    without_keras("test", "--weights", path, "--images", picture_folder(), "--out", tmp_path / "pred")
    assert len((tmp_path / "pred" / "a.txt").read_text().splitlines()) == 2 + len(expected)
