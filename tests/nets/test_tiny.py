"""Tiny Faces: its published size, the sum of the maps, targets by IoU, and which templates are used at which scale."""

import functools
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from tiny_training import three_convolutions

from manyfaces.boxes import anchor_grid, overlaps
from manyfaces.config import load_config
from manyfaces.data_layer.augment import augment
from manyfaces.datasets.roidb import Record
from manyfaces.errors import InputError
from manyfaces.inference.detector import Detector
from manyfaces.nets import backend, family, losses
from manyfaces.nets.backbones import BACKBONES
from manyfaces.nets.flops import layer_costs, totals
from manyfaces.templates.sets import read_templates

CFGS = Path(__file__).resolve().parents[2] / "cfgs"
CFG = CFGS / "tiny_resnet101.yml"
SIDES = [(64, 80), (32, 40), (16, 20)]
SMALL = ["NET.BACKBONE", "three", "NET.WEIGHTS", "", "ANCHORS.WIDTHS", "[64, 32, 16]",
         "ANCHORS.HEIGHTS", "[80, 40, 20]", "TEST.TEMPLATES", "[[0, 1, 2], [1, 3, 3]]", "TEST.MAX_SIDE", "0"]
FACES = np.float32([[10, 12, 76, 92], [100, 30, 130, 70], [60, 100, 75, 120.5], [140, 2, 143, 6]])


@pytest.fixture(autouse=True, scope="module")
def backbone_of_three_convolutions():
    BACKBONES.setdefault("three", three_convolutions())
    yield
    BACKBONES.pop("three", None)


def tiny(*overrides):
    return family(load_config(CFG, [*SMALL, *overrides]))


@functools.cache
def built():
    keras.utils.set_random_seed(0)
    return tiny().build()


def sample(boxes=FACES, size=(160, 128), **more):
    count = len(boxes)
    return {"image": np.zeros((size[1], size[0], 3), np.uint8), "boxes": np.float32(boxes).reshape(count, 4),
            "ignore": np.zeros(count, bool), "landmarks": np.full((count, 5, 2), np.nan, np.float32), **more}


def grid(size=(160, 128)):
    """(A, 4) anchors, from their description: three about the centre of each 8 px cell."""
    return anchor_grid(-(-size[1] // 8), -(-size[0] // 8), 8, SIDES)


# ---------------------------------------------------------------------- net


def test_hr_has_the_published_parameters_and_products():
    """27.8 M and 42.3 GMAC at 640 x 480."""
    model = family(load_config(CFG, ["NET.WEIGHTS", ""])).build()
    total = totals(layer_costs(model, (640, 480)), model)
    assert total["parameters"] == pytest.approx(27.8e6, rel=0.005)
    assert total["macs"] == pytest.approx(42.3e9, rel=0.005)


def test_the_templates_are_those_of_the_authors(shared_dir):
    sizes = read_templates(shared_dir / "data" / "tiny" / "RefBox_N25_scaled.mat")
    np.testing.assert_allclose(family(load_config(CFG)).modules[0].sizes, sizes, rtol=1e-4)


@pytest.mark.parametrize("path", sorted(CFGS.glob("tiny_*.yml")), ids=lambda path: path.stem)
def test_every_config_is_one_of_the_family(path):
    net = family(load_config(path))
    assert net.modules[0].anchors == len(net.cfg.ANCHORS.WIDTHS) and net.templates_at(1).any()


@pytest.mark.parametrize("height, width", [(128, 160), (127, 161), (16, 16), (1, 40)])
@pytest.mark.parametrize("overrides", [(), ("NET.TOP_DOWN", "True", "NET.WIDTHS", "[8]", "ANCHORS.STRIDES",
                                            "[8, 16, 32]"),
                                       ("NET.TOP_DOWN", "True", "NET.WIDTHS", "[8]", "NET.SEPARABLE", "m1+m2",
                                        "ANCHORS.STRIDES", "[8, 16, 32]")],
                         ids=["scores added", "top-down", "separable"])
def test_maps_fit_the_anchors_whatever_the_size(height, width, overrides):
    net = tiny(*overrides)
    outputs = net.build().compute_output_spec(keras.KerasTensor((2, height, width, 3)))
    rows, columns = (-(-side // net.multiple) * net.multiple // 8 for side in (height, width))
    assert {name: output.shape for name, output in outputs.items()} == {
        "templates_scores": (2, rows, columns, 3), "templates_boxes": (2, rows, columns, 12)}
    assert net.encode(sample(np.zeros((0, 4)), (width, height)))["templates_labels"].shape == (rows * columns * 3,)


def test_deeper_maps_are_upsampled_as_by_a_bilinear_transposed_convolution_and_added():
    model = built()
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3)).astype(np.float32)
    for kind in ("scores", "boxes"):
        maps = keras.Model(model.input, [model.get_layer(f"stride{s}_{kind}").output for s in (8, 16)])(images)
        shallow, deep = (ops.convert_to_numpy(values)[0] for values in maps)
        rows, columns, channels = deep.shape
        up = np.zeros((2 * rows + 2, 2 * columns + 2, channels))
        kernel = np.outer([0.25, 0.75, 0.75, 0.25], [0.25, 0.75, 0.75, 0.25])[..., None]
        for row in range(rows):
            for column in range(columns):
                up[2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += kernel * deep[row, column]
        actual = ops.convert_to_numpy(model(images)[f"templates_{kind}"])[0]
        np.testing.assert_allclose(actual, shallow + up[1:-1, 1:-1], atol=1e-5)
    assert not model.get_layer("stride8_scores_up_smooth").trainable


def test_scores_start_at_one_percent():
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.float32)
    assert 0.005 < np.mean(1 / (1 + np.exp(-ops.convert_to_numpy(built()(images)["templates_scores"])))) < 0.02


def test_configs_that_do_not_fit_are_errors():
    for key, value, message in (
            ("ANCHORS.STRIDES", "[8, 32]", r"\[8, 32\], expected the strides .* each twice the one before"),
            ("ANCHORS.STRIDES", "[]", r"ANCHORS.STRIDES is \[\]"),
            ("ANCHORS.WIDTHS", "[9.4]", "hold 1 and 3 entries"),
            ("TEST.TEMPLATES", "[[0, 1]]", r"TEST.TEMPLATES holds \[0, 1\]"),
            ("TEST.TEMPLATES", "[[0, 1, 2, 1, 1]]", r"TEST.TEMPLATES holds \[0, 1, 2, 1, 1\]"),
            ("TEST.TEMPLATES", "[[0, 2, 4]]", "two of the 3 templates"),
            ("TEST.TEMPLATES", "[0, 2, 4]", "TEST.TEMPLATES holds 0, expected lists of numbers, each at least 0")):
        with pytest.raises(InputError, match=message):
            tiny(key, value)
    with pytest.raises(InputError, match=r"STRIDES is \[4, 8\], but three with NET.LAST_STRIDE True has only"):
        tiny("ANCHORS.STRIDES", "[4, 8]").build()


# -------------------------------------------------------- targets and losses


def test_labels_follow_from_the_ious():
    """A face from IoU 0.7 on, background below 0.3; each face has its best template if their IoU is 0.3."""
    labels = tiny().encode(sample())["templates_labels"]
    table = overlaps(grid(), FACES)
    expected = np.where(table.max(axis=1) >= 0.7, 1, np.where(table.max(axis=1) < 0.3, 0, -1))
    best = table.argmax(axis=0)
    reached = table.max(axis=0) >= 0.3
    assert reached.tolist() == [True, True, True, False], "the last face is too small for any template"
    expected[best[reached]] = 1
    np.testing.assert_array_equal(labels, expected)


def test_templates_that_reach_into_the_grey_are_not_background():
    """The picture fills x 24..160 and y 0..100 of the crop: grey at the left and below, not above and at the right."""
    masked, plain = (tiny("TARGETS.MASK_PADDING", value).encode(sample(picture=np.float32([24, 0, 160, 100])))
                     for value in ("True", "False"))
    anchors, before = grid(), plain["templates_labels"]
    grey = (anchors[:, 0] < 24) | (anchors[:, 3] > 100)
    np.testing.assert_array_equal(masked["templates_labels"], np.where(grey & (before == 0), -1, before))
    assert (before[grey] == 1).any() and (before[grey] == 0).any(), "faces there are still learnt"


def test_augmentation_reports_where_the_picture_is():
    """A white picture of 60 x 40 px at scale 0.5 in a crop of 50 px: `picture` is the area that is not grey."""
    record = Record("", "x.png", 60, 40, FACES[:0], np.zeros((0, 5, 2), np.float32), np.zeros(0, bool))
    cfg = load_config(overrides=["AUGMENT.SIZE", "50", "AUGMENT.SCALE_CHOICES", "[0.5, 2]", "AUGMENT.COLOUR", "0",
                                 "AUGMENT.ZOOM_OUT", "9"]).AUGMENT
    scales = set()
    for seed in range(8):
        sample = augment(record, lambda *_: np.full((40, 60, 3), 255, np.uint8), np.random.default_rng(seed), cfg)
        rows, columns = np.nonzero((sample["image"] == 255).all(axis=2))
        assert sample["picture"].tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        scales.add(int(sample["picture"][2] - sample["picture"][0]))
    assert scales == {30, 50}, "half of 60 px, or 50 of 120"


def test_faces_and_backgrounds_are_balanced():
    labels = np.array([[1] * 6 + [0] * 30 + [-1] * 4])
    logits = np.random.default_rng(0).normal(size=labels.shape).astype(np.float32)
    for faces, fill, expected in ((6, True, (6, 10)), (6, False, (6, 8)), (0, False, (0, 8))):
        here = np.where((labels == 1) & (np.cumsum(labels == 1, axis=1) > faces), -1, labels)
        mask = ops.convert_to_numpy(losses.mine_hard_examples(logits, here, 16, 0.5, fill))
        assert (mask[here == 1].sum(), mask[here == 0].sum()) == expected
        chosen = np.sort(logits[(here == 0) & (mask == 1)])[::-1]
        np.testing.assert_array_equal(chosen, np.sort(logits[here == 0])[::-1][: len(chosen)])


def test_a_small_net_overfits_one_image():
    """After more than a hundred steps on one picture, exactly its face is detected, in the right place."""
    keras.utils.set_random_seed(1)
    net = tiny("LOSS.CLASS", "focal", "LOSS.BOX", "diou", "TEST.TEMPLATES", "[]", "TARGETS.POSITIVE", "0.5",
               "TEST.SCALES", "[1]", "TEST.SCORE", "0.3")
    picture = np.random.default_rng(0).integers(0, 100, (64, 80, 3)).astype(np.uint8)
    face = np.float32([[20, 12, 54, 50]])
    picture[12:50, 20:54] = 230
    model = net.build()
    targets = {name: values[None] for name, values in net.encode(sample(face, (80, 64)) | {"image": picture}).items()}

    def objectives(outputs, targets, *_):
        terms = net.losses(targets, outputs)
        return [sum(ops.mean(term) for term in terms.values())], terms

    step = backend.train_step(model, None, keras.optimizers.Adam(0.02), objectives, 10.0)
    for _ in range(150):
        step(picture[None], targets, np.ones(1, np.float32), np.float32(0))
    detections = Detector(net, backend.runner(model), net.cfg).detect(picture, threshold=0)
    assert len(detections) == 1 and overlaps(face, detections.boxes)[0, 0] > 0.7


# ------------------------------------------------------------------ pyramid


def outputs_of(net, size):
    """Outputs with a face in each template: one of each kind, far from the others."""
    rows, columns = (-(-side // 16) * 2 for side in size[::-1])
    scores = np.full((1, rows, columns, 3), -9, np.float32)
    for kind in range(3):
        scores[0, 3, 2 + kind * 4, kind] = 3
    return {"templates_scores": scores, "templates_boxes": np.zeros((1, rows, columns, 12), np.float32)}


def test_the_authors_rule():
    net = family(load_config(CFG))
    for scale, expected in ((0.25, range(5, 13)), (1, range(5, 13)), (2, [*range(5, 13), *range(19, 26)])):
        assert (np.flatnonzero(net.templates_at(scale)) + 1).tolist() == list(expected)


def test_a_rule_may_end_at_a_scale():
    net = tiny("TEST.TEMPLATES", "[[0, 1, 1, 1], [0.5, 2, 3], [1, 3, 3, 2]]")  # 1: not enlarged; 2 and 3: from over 0.5
    for scale, expected in ((0.5, [1]), (0.75, [1, 2, 3]), (1, [1, 2, 3]), (1.01, [2, 3]), (3, [2, 3])):
        assert (np.flatnonzero(net.templates_at(scale)) + 1).tolist() == expected


@pytest.mark.parametrize("overrides, scales, sides", [
    ((), [1], {64, 32}),
    ((), [2], {32, 16, 8}),  # in px of the image
    ((), [0.5, 1], {128, 64, 32}),
    ((), [400], {32, 16, 8}),  # the shorter side is enlarged from 200 to 400 px
    (("TEST.MAX_SIDE", "240"), [2], {64, 32}),  # no larger than the image, so only templates 1 and 2
    (("TEST.TEMPLATES", "[]"), [1], {64, 32, 16}),
])
def test_the_scale_decides_which_templates_are_used(overrides, scales, sides):
    net = tiny("TEST.NMS", "0.99", *overrides)
    detector = Detector(net, lambda images: outputs_of(net, images.shape[2:0:-1]), net.cfg)
    detections = detector.detect(np.zeros((200, 240, 3), np.uint8), scales=scales, threshold=0)
    widths = detections.boxes[:, 2] - detections.boxes[:, 0]
    inside = detections.boxes[:, 0] > 0  # clipped boxes are narrower
    assert set(np.round(widths[inside]).astype(int)) <= sides
    assert len(detections) == len(scales) * (3 if sides >= {8} or "TEST.TEMPLATES" in overrides else 2)


def test_it_exports_with_free_height_and_width():
    onnxruntime = pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx", reason="the exporter needs it")
    from manyfaces.export.onnx import to_onnx

    model = built()
    graph = to_onnx(model)
    onnx.checker.check_model(graph)
    assert not any(node.op_type == "Loop" for node in graph.graph.node)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    for height, width in ((64, 96), (131, 77)):
        images = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
        actual = dict(zip(names, session.run(None, {"images": images}), strict=True))
        for name, expected in model(images.astype(np.float32)).items():
            np.testing.assert_allclose(actual[name], ops.convert_to_numpy(expected), atol=1e-4)


def test_nms_in_the_graph_needs_templates_that_do_not_follow_the_scale():
    from manyfaces.export.nms import faces_in_graph

    net = tiny()
    with pytest.raises(InputError, match=r"TEST.TEMPLATES .* --set TEST.TEMPLATES"):
        faces_in_graph(net, net.cfg)
    assert callable(faces_in_graph(net, tiny("TEST.TEMPLATES", "[]").cfg))
