"""Public ONNX files without a sidecar: recognised by their outputs, and decoded as the authors' own programs do."""

import cv2
import numpy as np
import pytest
from conftest import ROOT

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from stand_in import save  # noqa: E402

from manyfaces import Detector  # noqa: E402
from manyfaces.datasets.pixels import rgb_image  # noqa: E402
from manyfaces.datasets.toy.portraits import portraits  # noqa: E402
from manyfaces.errors import InputError  # noqa: E402
from manyfaces.nms import nms  # noqa: E402
from manyfaces.runtimes.foreign import FORMATS, recognise  # noqa: E402

STRIDES = (8, 16, 32)
YUNET = [(f"{kind}_{stride}", stride, columns) for kind, columns in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
         for stride in STRIDES]
SCRFD = [(str(400 + 3 * stride + columns), stride, columns) for columns in (1, 4, 10) for stride in STRIDES]
FREE = ("batch", 3, "height", "width")


def write(path, outputs, size=FREE, anchors=1, rank=3, scale=1.0):
    """An ONNX file whose outputs (name, stride, columns) are one convolution each, with random weights."""
    rng, nodes, weights, results = np.random.default_rng(3), [], [], []
    for name, stride, columns in outputs:
        spread = (4 if columns == 1 else 0.4) / stride * scale  # boxes of some cells, scores of all sizes
        kernel = rng.normal(0, spread, (anchors * columns, 3, stride, stride)) / 255
        bias = rng.normal(0, 0.3, anchors * columns) + (0 if columns == 1 else 1)
        weights += [numpy_helper.from_array(kernel.astype(np.float32), f"{name}_kernel"),
                    numpy_helper.from_array(bias.astype(np.float32), f"{name}_bias"),
                    numpy_helper.from_array(np.int64([0, -1, columns][3 - rank :]), f"{name}_shape")]
        nodes += [helper.make_node("Conv", ["images", f"{name}_kernel", f"{name}_bias"], [f"{name}_map"],
                                   kernel_shape=[stride, stride], strides=[stride, stride]),
                  helper.make_node("Sigmoid" if columns == 1 else "Identity", [f"{name}_map"], [f"{name}_value"]),
                  helper.make_node("Transpose", [f"{name}_value"], [f"{name}_last"], perm=[0, 2, 3, 1]),
                  helper.make_node("Reshape", [f"{name}_last", f"{name}_shape"], [name])]
        results.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", "n", columns][3 - rank :]))
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, size)
    graph = helper.make_graph(nodes, "made_up", [images], results, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8), str(path))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("foreign")


@pytest.fixture(scope="module")
def yunet(folder):
    return write(folder / "y.onnx", YUNET)


@pytest.fixture(scope="module")
def scrfd(folder):
    return write(folder / "s.onnx", SCRFD, (1, 3, "?", "?"), anchors=2, rank=2, scale=40)


def by_opencv(path, image, score, overlap):
    """Boxes, scores and landmarks of cv2.FaceDetectorYN."""
    net = cv2.FaceDetectorYN.create(str(path), "", image.shape[1::-1], score, overlap, 100_000)
    rows = net.detect(np.ascontiguousarray(image[..., ::-1]))[1]
    rows = np.zeros((0, 15), np.float32) if rows is None else rows
    return np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], 1), rows[:, 14], rows[:, 4:14].reshape(-1, 5, 2)


def check_same(faces, boxes, scores, landmarks):
    """The same faces; equal scores may come in another order."""
    assert len(faces) == len(boxes)
    rows = [np.column_stack([boxes, scores * 100, landmarks.reshape(-1, 10)]) for boxes, scores, landmarks in
            ((faces.boxes, faces.scores, faces.landmarks), (boxes, scores, landmarks))]  # 1e-4 of a score is .01
    free = np.ones(len(boxes), bool)
    for row in rows[0]:
        near = np.abs(rows[1] - row).max(axis=1)
        near[~free] = np.inf
        nearest = near.argmin()
        assert near[nearest] < 0.01
        free[nearest] = False


@pytest.mark.parametrize("number", [0, 1])
def test_a_net_of_yunets_layout_gives_the_faces_of_opencv(yunet, number):
    """The sides are no multiples of 32, so that the black padding counts."""
    detector, image = Detector.load(yunet), portraits()[number].image[:301, :429]
    faces = detector.detect(image, threshold=0)
    assert len(faces) > 100 and (faces.boxes[:, 2:] > image.shape[1::-1]).any()
    check_same(faces, *by_opencv(yunet, image, 0.02, 0.3))
    cut = Detector.load(yunet, overrides=["TEST.SCORE", 0.6, "TEST.NMS", 0.1]).detect(image, threshold=0)
    assert 0 < len(cut) < len(faces)
    check_same(cut, *by_opencv(yunet, image, 0.6, 0.1))


def test_yunet_gives_the_faces_of_opencv(shared_dir):
    path = shared_dir / "peers/yunet/yunet_n_dynamic.onnx"
    files = sorted((shared_dir / "data/wider/WIDER_val/images").glob("*/*.jpg"))[::10][:20]
    if not path.is_file() or len(files) < 20:
        pytest.skip("YuNet or wider val is missing in the folder ../shared")
    detector = Detector.load(path)
    for image in [portrait.image for portrait in portraits()] + [rgb_image(file) for file in files]:
        check_same(detector.detect(image, threshold=0), *by_opencv(path, image, 0.02, 0.3))
    for portrait in portraits():
        face = detector.detect(portrait.image).above()[0]
        assert np.abs(face.landmarks - portrait.landmarks).max() < 0.1 * (portrait.box[2] - portrait.box[0])


def by_loops(path, image, points=True):
    """Rows x1 y1 x2 y2 score and five points of a net of SCRFD's layout, one anchor after the other."""
    padded = np.zeros((image.shape[0] + -image.shape[0] % 32, image.shape[1] + -image.shape[1] % 32, 3), np.float32)
    padded[: image.shape[0], : image.shape[1]] = image
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    values = session.run(None, {"images": ((padded - 127.5) / 128).transpose(2, 0, 1)[None]})
    rows = []
    for level, stride in enumerate(STRIDES):
        number = 0
        for y in range(0, padded.shape[0], stride):
            for x in range(0, padded.shape[1], stride):
                for _ in range(2):
                    score, sides = values[level][number, 0], values[level + 3][number] * stride
                    shifts = values[level + 6][number] * stride if points else np.zeros(10)
                    rows.append([x - sides[0], y - sides[1], x + sides[2], y + sides[3], score,
                                 *(np.tile([x, y], 5) + shifts)])
                    number += 1
    rows = np.float32(rows)
    rows = rows[rows[:, 4] >= 0.02]
    return rows[nms(rows[:, :4], rows[:, 4], 0.4)]


def test_a_net_of_scrfds_layout_gives_the_faces_of_its_definition(scrfd):
    image = portraits()[0].image[:150, :205]
    rows, faces = by_loops(scrfd, image), Detector.load(scrfd).detect(image, threshold=0)
    assert len(faces) > 50
    check_same(faces, rows[:, :4], rows[:, 4], rows[:, 5:].reshape(-1, 5, 2))


def test_scrfd_without_landmarks(folder):
    path = write(folder / "six.onnx", SCRFD[:6], (1, 3, "?", "?"), anchors=2, rank=2, scale=40)
    image = portraits()[1].image[:96, :64]
    rows, faces = by_loops(path, image, points=False), Detector.load(path).detect(image, threshold=0)
    np.testing.assert_allclose(faces.boxes, rows[:, :4], atol=0.01)
    assert faces.landmarks is None and '"landmarks": false' in faces.to_json()


def test_outputs_in_the_order_of_the_strides(folder):
    """The same net, its outputs sorted by stride, then by kind."""
    arguments = {"size": (1, 3, "?", "?"), "anchors": 2, "rank": 2, "scale": 40}
    model = onnx.load(str(write(folder / "kinds.onnx", SCRFD, **arguments)))
    outputs = sorted(model.graph.output, key=lambda output: [int(stride) for name, stride, _ in SCRFD
                                                             if name == output.name])
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    onnx.save(model, str(folder / "strides.onnx"))
    image = portraits()[0].image[:96, :64]
    one, other = (Detector.load(folder / f"{name}.onnx").detect(image, threshold=0) for name in ("kinds", "strides"))
    np.testing.assert_array_equal(one.boxes, other.boxes)


def test_batches_and_tiles_change_nothing(yunet, scrfd):
    """SCRFD's rows have no batch axis, so its images go one by one. Tiles of these nets need no overlap."""
    images = [portrait.image[:200, :300] for portrait in portraits()]
    for path in (yunet, scrfd):
        alone = [Detector.load(path).detect(image, threshold=0) for image in images]
        batch = Detector.load(path, overrides=["TEST.BATCH", 2]).detect(images, threshold=0)
        tiles = Detector.load(path, overrides=["TEST.MAX_PIXELS", 40_000, "TEST.TILE_OVERLAP", 32])
        tiles = tiles.detect(images, threshold=0)
        for one, *others in zip(alone, batch, tiles, strict=True):
            for other in others:
                check_same(other, one.boxes, one.scores, one.landmarks)


def test_a_net_of_one_size_gets_the_image_scaled_down_and_padded(folder):
    path = write(folder / "fixed.onnx", YUNET, (1, 3, 160, 160))
    detector, image = Detector.load(path), portraits()[0].image[:320, :240]
    free = Detector.load(write(folder / "free.onnx", YUNET), overrides=["TEST.MAX_SIDE", 160])
    assert detector.cfg.TEST.MAX_SIDE == 160 and detector.multiple == 160
    one, other = (len(each.detect(image).above(0.6)) for each in (detector, free))
    assert one >= other > 0  # the padding of the one is wider
    with pytest.raises(InputError, match=r"fixed\.onnx: images have 320 x 320 px, the net takes 160 x 160 px only"):
        Detector.load(path, overrides=["TEST.MAX_SIDE", 0]).detect(image)
    with pytest.raises(InputError, match=r"wide\.onnx: YuNet takes images of 320 x 160 px only, expected a file"):
        Detector.load(write(folder / "wide.onnx", YUNET, (1, 3, 160, 320)))


def test_the_config_says_what_it_is(yunet, scrfd):
    for path, name, overlap, shown in ((yunet, "yunet", 0.3, 0.9), (scrfd, "scrfd", 0.4, 0.5)):
        cfg = Detector.load(path).cfg
        assert (cfg.NAME, cfg.FAMILY, cfg.TEST.SCORE, cfg.TEST.NMS, cfg.TEST.DEMO_SCORE) == (
            name, name, 0.02, overlap, shown)
        assert cfg.NET.LANDMARKS


def test_one_session_is_made(yunet, monkeypatch):
    made, session = [], onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *values, **options: made.append(values) or session(
        *values, **options))
    Detector.load(yunet, threads=1)
    assert len(made) == 1


def test_other_graphs_are_not_recognised():
    image, free = {"images": [1, 3, "h", "w"]}, {name: ["b", "n", columns] for name, _, columns in SCRFD}
    assert recognise(image, free)[0] == "scrfd"
    assert recognise(image, {name: [1, "n", columns] for name, _, columns in YUNET})[0] == "yunet"
    assert recognise({"images": [1, "h", "w", 3]}, free) is None
    assert recognise(image | {"sizes": [1, 2]}, free) is None
    assert recognise(image, free | {"more": ["b", "n", 2]}) is None
    assert recognise(image, dict(list(free.items())[:-1])) is None
    assert recognise(image, {"boxes": [1, 17640, 4], "scores": [1, 17640, 2]}) is None


def test_errors_name_the_known_formats(folder, yunet):
    path = write(folder / "other.onnx", [("boxes", 8, 4), ("scores", 8, 2)])
    with pytest.raises(InputError, match=r"other\.json: no such file; it says what other\.onnx is and comes with it "
                                         r"from `manyfaces export`\. .*YuNet .*SCRFD .*outputs boxes \['b', 'n', 4\]"):
        Detector.load(path)
    with pytest.raises(InputError, match=r"y\.json: no such file.*only runtime onnxruntime opens a file: YuNet"):
        Detector.load(yunet, runtime="openvino")
    with pytest.raises(InputError, match="precision 'bf16'"):
        Detector.load(yunet, precision="bf16")
    (folder / "broken.onnx").write_bytes(b"abc")
    with pytest.raises(InputError, match=r"broken\.onnx: ONNX Runtime cannot read it"):
        Detector.load(folder / "broken.onnx")
    wrong = write(folder / "wrong.onnx", [(name, 8, columns) for name, _, columns in YUNET])
    with pytest.raises(InputError, match=r"wrong\.onnx: output cls_16 has the shape \(1, 64, 1\), expected 16 rows"):
        Detector.load(wrong).detect(np.zeros((64, 64, 3), np.uint8))


def test_the_command_lines_take_it(yunet, tool, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    save(tmp_path / "in" / "a.png", portraits()[0].image[:128, :160])
    tool("test").main(["--weights", str(yunet), "--images", str(tmp_path / "in"), "--out", str(tmp_path / "out"),
                       "--set", "TEST.SCORE", "0.5"])
    assert len((tmp_path / "out" / "a.txt").read_text().splitlines()) > 3
    tool("demo").main(["--weights", str(yunet), str(tmp_path / "in"), "--out", str(tmp_path / "drawn")])
    assert list((tmp_path / "drawn").iterdir())


def test_the_page_names_every_format():
    page = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    assert all(record.title in page for record in FORMATS.values())
