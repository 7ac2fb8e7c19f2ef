"""The page's decoding, suppression and shrinking give what the package's Python code gives, for the same numbers."""

import json

import cv2
import numpy as np
import pytest

from manyfaces import Detector, pretrained
from manyfaces.data_layer import shrink
from manyfaces.inference.base import scaled_size
from manyfaces.nms import reference
from manyfaces.runtimes.sidecar import sidecar_path
from manyfaces.web.site import shipped

pytest_plugins = ["web_fixtures"]
DETECT = """
import { decode, nms, scaled } from "./faces.js";
import { inputSize } from "./pixels.js";
const { facts, width, height, scale } = job, size = inputSize(facts, width, height);
const maps = Object.fromEntries(Object.keys(job.kinds).map(name => [name, array(name)]));
const faces = scaled(decode(maps, facts, size, scale), width / size[0], height / size[1]);
answer({ size, faces: nms(faces, facts.thresholds.nms, facts.thresholds.keep) });
"""


def facts_of(name):
    path = pretrained.model_file(name)
    return json.loads(sidecar_path(path).read_text())


@pytest.mark.parametrize("name", shipped())
def test_faces_of_saved_maps_equal_the_detectors(node, group, name):
    image, detector = group[1], Detector.load(name, overrides=["TEST.SCALES", [1.0]])
    saved = {}
    net = detector.run

    def run(images):
        saved.update({key: np.asarray(values, np.float32) for key, values in net(images).items()})
        return net(images)

    detector.run = run
    expected = detector.detect(image, threshold=0)
    height, width = image.shape[:2]
    found = node(DETECT, {"facts": facts_of(name), "width": width, "height": height, "scale": 1}, saved)
    assert len(expected) > 2 and len(found["faces"]) == len(expected)
    assert np.abs(np.array([face["box"] for face in found["faces"]]) - expected.boxes).max() < 1e-3
    assert np.abs(np.array([face["score"] for face in found["faces"]]) - expected.scores).max() < 1e-5
    if expected.landmarks is None:
        assert "landmarks" not in found["faces"][0]
    else:
        assert np.abs(np.array([face["landmarks"] for face in found["faces"]]) - expected.landmarks).max() < 1e-3


DECODE = """
import { decode, nms } from "./faces.js";
const maps = Object.fromEntries(Object.keys(job.kinds).map(name => [name, array(name)]));
const faces = decode(maps, job.facts, [job.width, job.height], job.scale, job.least);
answer([faces, nms(faces, job.facts.thresholds.nms, job.facts.thresholds.keep)]);
"""


def made_up(rng, facts, width, height):
    """Maps with many candidates, equal scores, boxes beside the image, offsets that exp cannot take, and no face."""
    maps = {}
    for level in facts["anchors"]:
        cells = -(-height // 32) * 32 // level["stride"], -(-width // 32) * 32 // level["stride"]
        kinds = len(level["sides"])
        logits = rng.choice(np.linspace(-6, 3, 12), (1, *cells, kinds)).astype(np.float32)
        offsets = rng.normal(0, 3, (1, *cells, kinds, 4)).astype(np.float32)
        offsets[rng.random(offsets.shape) < 0.01] = 500
        maps[f"{level['module']}_scores"] = logits
        maps[f"{level['module']}_boxes"] = offsets.reshape(1, *cells, 4 * kinds)
        if any(output["name"].endswith("_landmarks") for output in facts["outputs"]):
            maps[f"{level['module']}_landmarks"] = rng.normal(0, 3, (1, *cells, 10 * kinds)).astype(np.float32)
    return maps


@pytest.mark.parametrize("name, keep", [("ssh_mobilenet_v1_025", 750), ("ssh_mobilenet_v1_025", 7),
                                        ("tiny_mobilenet_v1_025", 750)])
def test_made_up_maps_are_decoded_and_suppressed_by_the_same_rules(node, name, keep):
    """Equal scores keep their order, a box without area is left out, and an IoU at the threshold suppresses nothing."""
    facts, (width, height) = facts_of(name), (150, 97)
    facts["thresholds"] |= {"keep": keep, "score": 0.3, "top": 10**6}
    detector = Detector.load(name, overrides=["TEST.SCORE", 0.3, "TEST.TOP", 10**6])
    maps = made_up(np.random.default_rng(5), facts, width, height)
    expected = detector.family.decode({key: values[0] for key, values in maps.items()}, (width, height))
    kept = reference.nms(expected.boxes, expected.scores, facts["thresholds"]["nms"], keep)
    job = {"facts": facts, "width": width, "height": height, "scale": 1}
    faces, best = node(DECODE, job, maps)
    high = [face for face in best if face["score"] >= 0.6]
    assert node(DECODE, {**job, "least": 0.6}, maps)[1] == high and (keep == 7 or 7 < len(high) < len(best))
    assert np.allclose([face["box"] for face in faces], expected.boxes, rtol=1e-6, atol=1e-4)
    assert np.allclose([face["score"] for face in faces], expected.scores, rtol=1e-6)
    assert len(kept) == keep == 7 or 7 < len(kept) < keep
    assert np.allclose([face["box"] for face in best], expected.boxes[kept], rtol=1e-6, atol=1e-4)


def test_only_the_highest_scores_of_a_map_count_and_only_templates_of_the_scale(node):
    name, (width, height) = "tiny_mobilenet_v1_025", (64, 64)
    facts = facts_of(name)
    facts["thresholds"]["top"] = 40
    facts["config"]["TEST"]["TEMPLATES"] = [[0, 1, 3, 0.5], [0.5, 2, 12]]
    detector = Detector.load(name, overrides=["TEST.TOP", 40, "TEST.TEMPLATES", [[0, 1, 3, 0.5], [0.5, 2, 12]]])
    maps = made_up(np.random.default_rng(6), facts, width, height)
    maps["templates_scores"] = np.random.default_rng(7).normal(-2, 2, maps["templates_scores"].shape).astype(np.float32)
    for scale in (0.5, 1.0):
        one = detector.family.at_scale({key: values[0] for key, values in maps.items()}, scale)
        expected = detector.family.decode(one, (width, height))
        faces, _ = node(DECODE, {"facts": facts, "width": width, "height": height, "scale": scale}, maps)
        assert 5 < len(faces) == len(expected) <= 40
        assert np.allclose([face["box"] for face in faces], expected.boxes, rtol=1e-6, atol=1e-4)


RESIZE = """
import { inputSize, resized } from "./pixels.js";
const { dims: [height, width], data } = array("rgba");
answer(job.sizes.map(([w, h]) => [...resized(data, width, height, w, h)]));
"""


def test_a_picture_is_made_smaller_as_by_shrink(node):
    image = np.random.default_rng(8).integers(0, 256, (97, 131, 3), np.uint8)
    rgba = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    sizes = [(131, 97), (130, 97), (100, 50), (65, 48), (7, 97), (3, 1)]
    found = node(RESIZE, {"sizes": sizes}, {"rgba": rgba})
    for size, values in zip(sizes, found, strict=True):
        assert np.array_equal(np.reshape(values, (size[1], size[0], 3)), shrink(image, size))


def test_a_small_picture_grows_as_by_linear_interpolation(node):
    image = np.random.default_rng(9).integers(0, 256, (5, 4, 3), np.uint8)
    rgba = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    [found] = node(RESIZE, {"sizes": [(30, 20)]}, {"rgba": rgba})
    expected = cv2.resize(image, (30, 20), interpolation=cv2.INTER_LINEAR).astype(int)
    assert np.abs(np.reshape(found, expected.shape) - expected).max() <= 1


def test_the_size_of_the_nets_input_follows_the_sidecar(node):
    source = 'import { inputSize } from "./pixels.js"; answer(job.cases.map(words => inputSize(job.facts, ...words)));'
    cases = [[1280, 960, 640], [300, 4000, 640], [640, 480, 1280], [5000, 1, 640]]
    assert node(source, {"facts": facts_of("ssh_mobilenet_v1_025"), "cases": cases}, {}) == [
        list(scaled_size(width, height, 1, max_side=side)) for width, height, side in cases]
    if "ssd_mobilenet_v2_075" in shipped():
        assert node(source, {"facts": facts_of("ssd_mobilenet_v2_075"), "cases": cases}, {}) == [[300, 300]] * 4


def test_failures_of_a_net_are_said_in_words(node):
    source = ('import { ofNet } from "./words.js";'
              "answer(job.cases.map(words => ofNet(new Error(words[0]), words[1]).message));")
    small, close = "Choose less detail.", "Close other pages"
    cases = {("failed to allocate a buffer of size 9", None): small, ("std::bad_alloc", None): small,
             ("memory access out of bounds", None): small, ("Array buffer allocation failed", "SSH"): close,
             ("Failed to fetch", "SSH"): "SSH cannot be loaded: the server does not answer",
             ("Aborted(both async and sync fetching of the wasm failed)", "SSH"): "the server does not answer",
             ("strange", None): "The detector failed: strange."}
    found = node(source, {"cases": [list(case) for case in cases]}, {})
    assert all(words in message for words, message in zip(cases.values(), found, strict=True)), found
