"""The sound files that are damaged: small, and made here."""

import io
import json
import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from manyfaces.config import load_config
from manyfaces.datasets import Record, Roidb, save_roidb
from manyfaces.detections import Detections
from manyfaces.evaluation import SETTINGS
from manyfaces.pretrained import FOLDER as SHIPPED

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ("0--Parade/a.png", "0--Parade/b.png")
WIDE, HIGH = 64, 48

TEXTS = {
    "wider": ("labels.txt", b"0--Parade/a.png\n2\n10 12 30 20 0 0 0 0 0 0\n40 20 8.5 9 1 0 0 1 2 0\n"
                            b"0--Parade/b.png\n0\n0 0 0 0 0 0 0 0 0 0\n"),
    "retinaface": ("labels.txt", b"# 0--Parade/a.png\n10 12 30 20 15 20 0.0 35 20 0.0 25 30 0.0 17 31 0.0 33 31 0.0 1\n"
                                 b"# 0--Parade/b.png\n4 5 9 9" + b" -1" * 15 + b" 0.2\n"),
    "ssh": ("labels.txt", b"0--Parade/a 4.0 3.0 57.0 47.0 10 10 20 20\n0--Parade/b 1 2 30 40\n"),
    "landmarks": ("labels.txt", b"0--Parade\\a.png 10 40 12 44 15 20 35 20 25 30 17 38 33 38\n"
                                b"0--Parade\\b.png 1 20 2 24 5 9 15 9 10 14 7 20 13 20\n"),
    "fddb": ("FDDB-fold-01-ellipseList.txt", b"0--Parade/a\n2\n12.5 8.5 1.26 30.6 21.7  1\n6 4 -0.2 9 9 1\n"
                                             b"0--Parade/b\n1\n10 7 0 20 20 1\n"),
}
VOC = b"""<?xml version="1.0"?>
<annotation>
  <folder>0--Parade</folder><filename>a.png</filename>
  <size><width>64</width><height>48</height><depth>3</depth></size>
  <object><name>face</name><difficult>0</difficult>
    <bndbox><xmin>10</xmin><ymin>12</ymin><xmax>40</xmax><ymax>32</ymax></bndbox></object>
  <object><name>face</name><difficult>1</difficult>
    <bndbox><xmin>1.5</xmin><ymin>2</ymin><xmax>9</xmax><ymax>12</ymax></bndbox></object>
</annotation>
"""
COCO = {"images": [{"id": n, "file_name": name, "width": WIDE, "height": HIGH} for n, name in enumerate(IMAGES, 1)],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 12, 30, 20], "iscrowd": 0, "area": 600,
                         "keypoints": [15, 20, 2, 35, 20, 2, 25, 25, 2, 17, 30, 1, 0, 0, 0], "num_keypoints": 4},
                        {"id": 2, "image_id": 2, "category_id": 1, "bbox": [1.5, 2, 9, 9], "iscrowd": 1, "area": 81}],
        "categories": [{"id": 1, "name": "face", "keypoints": ["le", "re", "n", "lm", "rm"]}]}
RESULTS = [{"image_id": 1 + n % 2, "category_id": 1, "bbox": [n, 2, 9.5, 9], "score": 0.9 - n / 100} for n in range(9)]
PREDICTIONS = b"0--Parade/a.jpg\n3\n10.5 12 30 20 0.99\n40 20 8.5 9 0.5\n1e1 2.0 3 4 -0.25\n"
DETECTIONS = b"0--Parade/a\n2\n10.5 12 30 20 0.99\n40 20 8.5 9 0.5\n0--Parade/b\n1\n10 7 20 20 0.7\n"
CONFIG = b"""# a comment
FAMILY: ssh
NAME: mine
NET: {BACKBONE: mobilenet_v1, ALPHA: 0.25, WIDTHS: [64, 64, 64]}
ANCHORS:
  STRIDES: [8, 16, 32]
TEST: {SCALES: [0.5, 1.0], SCORE: 0.02, NMS: 0.4, FLIP: False}
TRAIN: {STEPS: 1000, BATCH: 8, DATASETS: wider_train+facemask_train, RATE: 1e-3}
AUGMENT: {COLOUR: 0.5, SIZES: [320]}
"""


def picture(seed=0):
    """(48, 64, 3) uint8 with shapes and noise."""
    image = np.random.default_rng(seed).integers(0, 40, (HIGH, WIDE, 3)).astype(np.uint8)
    cv2.circle(image, (24, 20), 12, (200, 150, 90), -1)
    return image


def encoded(form, mode="RGB", **options):
    """A picture as the bytes of a file."""
    buffer = io.BytesIO()
    Image.fromarray(picture()).convert(mode).save(buffer, form, **options)
    return buffer.getvalue()


def images():
    """Name -> bytes of the images that annotations name."""
    return {f"images/{name}": cv2.imencode(".png", picture(n))[1].tobytes() for n, name in enumerate(IMAGES)}


def image_files():
    """Name -> bytes: every format that OpenCV reads, with and without turns."""
    turned = Image.Exif()
    turned[0x0112] = 6
    files = {"a.jpg": encoded("JPEG", quality=90, exif=turned), "progressive.jpg": encoded("JPEG", progressive=True),
             "a.png": encoded("PNG"), "palette.png": encoded("PNG", mode="P"),
             "a.gif": encoded("GIF"), "a.bmp": encoded("BMP"), "a.webp": encoded("WEBP"),
             "lossless.webp": encoded("WEBP", lossless=True), "a.tif": encoded("TIFF"), "a.ppm": encoded("PPM"),
             "packed.tif": encoded("TIFF", compression="tiff_lzw", exif=turned),
             "a.jp2": cv2.imencode(".jp2", picture())[1].tobytes()}
    with_avif = cv2.imencode(".avif", picture()) if cv2.haveImageWriter(".avif") else (False, None)
    return files | ({"a.avif": with_avif[1].tobytes()} if with_avif[0] else {})


def written(write):
    """name -> bytes of the files that write(folder) makes."""
    with tempfile.TemporaryDirectory(prefix="manyfaces_fuzz_") as folder:
        write(Path(folder))
        return {path.relative_to(folder).as_posix(): path.read_bytes()
                for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def roidb_file():
    """a.pkl."""
    def record(image, count):
        return Record("images", image, WIDE, HIGH, np.float32([[1, 2, 30, 40]] * count),
                      np.full((count, 5, 2), np.nan, np.float32), np.zeros(count, bool), {"blur": np.zeros(count, int)})

    return written(lambda folder: save_roidb(Roidb([record(IMAGES[0], 2), record(IMAGES[1], 0)], {"no area": 1}, "x"),
                                             folder / "a.pkl"))


def _cells(values):
    cells = np.empty((len(values), 1), object)
    for number, value in enumerate(values):
        cells[number, 0] = value
    return cells


def mat_files():
    """The four files of WIDER's ground truth; wider_face_val.mat is an annotation, too."""
    from scipy.io import savemat

    def write(folder):
        boxes = [np.int32([[10, 12, 30, 20], [40, 20, 8, 9]]), np.int32([[0, 0, 0, 0]])]
        lists = {"event_list": _cells(["0--Parade"]), "file_list": _cells([_cells(["a", "b"])]),
                 "face_bbx_list": _cells([_cells(boxes)])}
        for name in ("blur", "expression", "illumination", "invalid", "occlusion", "pose"):
            lists[f"{name}_label_list"] = _cells([_cells([np.zeros((len(b), 1), np.uint8) for b in boxes])])
        savemat(folder / "wider_face_val.mat", lists, do_compression=True)
        for setting in SETTINGS:
            counted = {"gt_list": _cells([_cells([np.float64([[1], [2]]), np.zeros((0, 0))])])}
            savemat(folder / f"wider_{setting}_val.mat", lists | counted)

    return written(write)


def templates_mat():
    """RefBox.mat, not compressed."""
    from scipy.io import savemat

    return written(lambda folder: savemat(folder / "RefBox.mat", {"clusters": np.float64([[-5, -6, 5, 6, 1]] * 3)}))


def detections_json():
    """JSON of two faces."""
    points = np.float32([[[1, 2]] * 5, [[np.nan, np.nan]] * 5])
    return Detections([[1, 2, 30, 40.5], [5, 6, 7, 8]], [0.9, 0.25], points).to_json().encode()


def torch_file():
    """A state dict as torch.save writes it (zip), assembled by hand: two tensors of one storage."""
    import zipfile

    def text(value):
        return b"X" + len(value).to_bytes(4, "little") + value

    storage = b"(" + text(b"storage") + b"ctorch\nFloatStorage\n" + text(b"0") + text(b"cpu") + b"K\x0ctQ"

    def tensor(offset, *shape):
        sides, steps = (b"(" + b"".join(b"K%c" % n for n in values) + b"t" for values in (shape, (shape[-1], 1)))
        return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K%c" % offset + sides + steps + (
            b"\x89ccollections\nOrderedDict\n)RtR")

    pickled = (b"\x80\x02}(" + text(b"conv.weight") + tensor(0, 2, 3) + text(b"conv.other") + tensor(6, 3, 2) + b"u.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", np.arange(12, dtype="<f4").tobytes())
    return buffer.getvalue()


def checkpoint_file():
    """state.npz of a training."""
    from manyfaces.engine.checkpoint import save_state, state_arrays

    class Variable:
        def __init__(self, value):
            self.value = value

        def numpy(self):
            return self.value

    groups = {"net": [Variable(np.float32([[1, 2], [3, 4]])), Variable(np.float32([5, 6]))], "optimizer": [
        Variable(np.int64(7))]}
    return written(lambda folder: save_state(folder / "state.npz", state_arrays(groups), step=7, best=0.5))


def samples_file():
    """positive.tfrecord with five crops of 12 px."""
    from manyfaces.data_layer.mtcnn.tfrecords import SampleWriter

    def write(folder):
        rng = np.random.default_rng(0)
        with SampleWriter(folder / "positive.tfrecord", "positive", 12) as writer:
            writer.write(rng.integers(0, 256, (5, 12, 12, 3), np.uint8), rng.random((5, 4)), rng.random((5, 10)))

    return written(write)


def pnet_config():
    """The config of P-Net, the smallest net."""
    return load_config(ROOT / "cfgs" / "mtcnn_pnet.yml")


def pnet_weights():
    """pnet.weights.h5 with random weights. Needs Keras."""
    from manyfaces.nets import backend, family
    from manyfaces.weights.files import save_weights

    backend.prepare(seed=0)
    cfg = pnet_config()
    return written(lambda folder: save_weights(family(cfg).build(), folder / "pnet.weights.h5", cfg))


def exported_model(checksum=True):
    """A small exported net, P-Net with the config of an SSH, and its sidecar; without checksum as in old sidecars."""
    from manyfaces.runtimes.sidecar import CHECKSUM, write_sidecar

    def write(folder):
        (folder / "model.onnx").write_bytes((SHIPPED / "mtcnn" / "pnet.onnx").read_bytes())
        facts = json.loads((SHIPPED / "ssh_mobilenet_v1_025.json").read_text())
        facts.pop(CHECKSUM, None)
        facts["outputs"] = [{"name": "boxes"}, {"name": "scores"}]  # those of P-Net
        write_sidecar(folder / "model.onnx", facts)
        if not checksum:
            (folder / "model.json").write_bytes(_without((folder / "model.json").read_bytes(), CHECKSUM))

    return written(write)


def cascade(checksum=True):
    """The shipped cascade.json and its three nets."""
    from manyfaces.runtimes.sidecar import CHECKSUM

    files = {name: (SHIPPED / "mtcnn" / name).read_bytes()
             for name in ("cascade.json", "pnet.onnx", "rnet.onnx", "onet.onnx")}
    return files if checksum else files | {"cascade.json": _without(files["cascade.json"], CHECKSUM)}


def _without(data, key):
    return json.dumps({name: value for name, value in json.loads(data).items() if name != key}).encode()


def video():
    """A film of five frames of MJPEG."""
    def write(folder):
        writer = cv2.VideoWriter(os.fspath(folder / "a.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (WIDE, HIGH))
        for seed in range(5):
            writer.write(picture(seed))
        writer.release()

    return written(write)
