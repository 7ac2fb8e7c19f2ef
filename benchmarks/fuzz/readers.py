"""The readers of files, each with its sound files."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np

from manyfaces.config import load_config, override
from manyfaces.data_layer.mtcnn.folder import SampleFolder
from manyfaces.data_layer.mtcnn.tfrecords import open_samples
from manyfaces.datasets import READERS, image_size, load_roidb, read_image
from manyfaces.datasets.coco_json import load_coco
from manyfaces.datasets.folders import find_images, listed_images
from manyfaces.detections import Detections
from manyfaces.evaluation import Skipped, matching, read_ground_truth, read_predictions, reference
from manyfaces.evaluation.coco_results import read_coco_results
from manyfaces.evaluation.fddb import read_detections
from manyfaces.inference.demo.journal import Journal
from manyfaces.inference.demo.sources import Source
from manyfaces.inference.video.address import Address
from manyfaces.inference.video.reader import FileFrames
from manyfaces.templates.sets import read_templates

from . import inputs
from .mutations import mutate_bytes, mutate_checked_json, mutate_json, mutate_npz, mutate_pickle, mutate_text, pick
from .target import Target, not_finite, same

GROUND_TRUTH = ("wider_easy_val.mat", "wider_medium_val.mat", "wider_hard_val.mat")


def targets() -> list[Target]:
    """All of them."""
    return [*_annotations(), *_images(), *_evaluation(), *_settings(), *_records(), *_weights(), *_models()]


# -------------------------------------------------------------- annotations


def _annotations():
    for name, (file, text) in inputs.TEXTS.items():
        labels = "" if name == "fddb" else file
        yield Target(f"{name} labels", "annotations", 8, lambda file=file, text=text: {file: text} | inputs.images(),
                     _reader(name, labels), mutate_text, keep=("images/",), check=_records_wrong)
    yield Target("voc labels", "annotations", 10, lambda: {"labels/0--Parade/a.xml": inputs.VOC} | inputs.images(),
                 _reader("voc", "labels"), mutate_text, keep=("images/",), check=_records_wrong)
    yield Target("yolo labels", "annotations", 8, lambda: {
        "labels/0--Parade/a.txt": b"0 0.5 0.5 0.25 0.25\n0 0.25 0.25 0.1 0.1\n", "labels/0--Parade/b.txt": b"",
        } | inputs.images(), _reader("yolo", "labels"), mutate_text, keep=("images/",), check=_records_wrong)
    yield Target("coco labels", "annotations", 10, lambda: {"a.json": json.dumps(inputs.COCO).encode()}
                 | inputs.images(), _reader("coco", "a.json"), mutate_json, keep=("images/",), check=_records_wrong)
    yield Target("wider .mat labels", "annotations", 10, lambda: {
        "a.mat": inputs.mat_files()["wider_face_val.mat"]}, _reader("wider", "a.mat", images=None), head=200,
        check=_records_wrong)
    yield Target("images of labels", "annotations", 4, lambda: {
        "labels/0--Parade/a.xml": inputs.VOC} | inputs.images(), _reader("voc", "labels"), mutate_bytes, 40,
        keep=("labels/",), check=_records_wrong)
    yield Target("roidb", "annotations", 14, inputs.roidb_file, lambda folder: load_roidb(folder / "a.pkl"),
                 mutate_pickle, check=_records_wrong)
    yield Target("image list", "annotations", 3, lambda: {"list.txt": b"0--Parade/a.png\n0--Parade/b\n"}
                 | inputs.images(), lambda folder: listed_images(folder / "list.txt", find_images(folder / "images")),
                 mutate_text, keep=("images/",))


def _reader(name, labels, images="images"):
    return lambda folder: READERS[name](folder / labels, folder / images if images else None)


def _records_wrong(roidb):
    for record in roidb.records:
        count = len(record.boxes)
        if [array.shape for array in (record.boxes, record.landmarks, record.ignore)] != [(count, 4), (count, 5, 2),
                                                                                           (count,)]:
            return f"{record.image}: arrays of another length"
        if not np.isfinite(record.boxes).all() or np.isinf(record.landmarks).any():
            return f"{record.image}: a number is not finite"
        if not isinstance(record.image, str) or not isinstance(record.root, str):
            return f"{record.image!r}: a name is not a text"
        if record.width < 0 or record.height < 0:
            return f"{record.image}: {record.width} x {record.height} px"
        sides = record.boxes[:, 2:] - record.boxes[:, :2]
        if not (sides[~record.ignore] > 0).all():
            return f"{record.image}: a face has no area"
        if any(len(values) != count for values in record.attributes.values()):
            return f"{record.image}: attributes of another length"
    return None


# ------------------------------------------------------------------- images


def _images():
    for name, data in inputs.image_files().items():
        yield Target(f"image {name}", "images", 8, lambda name=name, data=data: {name: data}, _read_image(name),
                     head=64, check=_image_wrong, exact=name.endswith(".png"))  # PNG has checksums
    yield Target("video", "images", 4, inputs.video, lambda folder: [frame.image.shape for frame in itertools.islice(
        FileFrames(Address("video", str(folder / "a.avi"), "a.avi")), 20)], head=400)


def _read_image(name):
    def read(folder):
        size = image_size(folder / name)
        return size, read_image(folder / name), read_image(folder / name, reduce=2)
    return read


def _image_wrong(found):
    (width, height), image, half = found
    if image.shape != (height, width, 3) or image.dtype != np.uint8:
        return f"decoded {image.shape}, the header says {width} x {height}"
    # Decoders that reduce round up or down.
    if not all(side // 2 <= other <= -(-side // 2) for side, other in zip(image.shape[:2], half.shape, strict=False)):
        return f"reduced {half.shape} of {image.shape}"
    return None


# --------------------------------------------------------------- evaluation


def _evaluation():
    predictions = {"0--Parade/a.txt": inputs.PREDICTIONS, "0--Parade/b.txt": b"0--Parade/b.jpg\n0\n"}
    yield Target("prediction files", "evaluation", 10, lambda: dict(predictions), read_predictions, mutate_text)
    yield Target("prediction files, lenient", "evaluation", 6, lambda: dict(predictions),
                 lambda folder: read_predictions(folder, Skipped()), mutate_text)
    yield Target("prediction text, twice", "evaluation", 10, lambda: {"a.txt": inputs.PREDICTIONS}, _parsed_twice,
                 mutate_text, check=lambda found: None if same(*found) else "compiled and twin differ")
    yield Target("WIDER ground truth", "evaluation", 12, inputs.mat_files, read_ground_truth, head=200,
                 check=_truth_wrong)
    yield Target("COCO results", "evaluation", 8, lambda: {
        "results.json": json.dumps(inputs.RESULTS).encode(), "truth.json": json.dumps(inputs.COCO).encode()},
        lambda folder: read_coco_results(folder / "results.json", load_coco(folder / "truth.json")), mutate_json,
        keep=("truth",))
    yield Target("FDDB detections", "evaluation", 6, lambda: {"fddb.txt": inputs.DETECTIONS},
                 lambda folder: read_detections(folder / "fddb.txt"), mutate_text)
    yield Target("detections as JSON", "evaluation", 8, lambda: {"a.json": inputs.detections_json()},
                 lambda folder: Detections.from_json(_bytes(folder / "a.json")), mutate_json,
                 check=lambda found: not_finite([found.boxes, found.scores, float(found.threshold)]))
    line = json.loads(inputs.detections_json()) | {"source": "a.png", "width": 64, "height": 48, "ms": 1.5,
                                                   "by": "x", "threshold": 0.5}
    journal = "".join(json.dumps(line | {"source": f"{n}.png"}) + "\n" for n in range(3)).encode()
    yield Target("journal of the demo", "evaluation", 4, lambda: {"a.jsonl": journal}, _journal, mutate_text)


def _bytes(path):
    """What a caller has read: of a file that is missing, nothing."""
    return path.read_bytes() if path.exists() else b""


def _parsed_twice(folder):
    data = _bytes(folder / "a.txt")
    return matching.parse_faces(data), reference.parse_faces(data)


def _truth_wrong(truth):
    for image in truth:
        count = len(image.boxes)
        if image.boxes.shape != (count, 4) or not np.isfinite(image.boxes).all():
            return f"{image.name}: boxes of shape {image.boxes.shape}, or not finite"
        if any(flags.shape != (count,) for flags in (*image.counted.values(), *image.attributes.values())):
            return f"{image.name}: flags of another length"
    return None


def _journal(folder):
    journal = Journal(folder / "a.jsonl", "x", 0.5)
    return [source.name for source in journal.start([Source("image", "1.png", "1")], None)], journal.close()


# ----------------------------------------------------------------- settings


def _settings():
    yield Target("config", "configs", 24, lambda: {"a.yml": inputs.CONFIG}, lambda folder: load_config(
        folder / "a.yml"), mutate_text)
    yield Target("config with a base", "configs", 6, lambda: {"a.yml": b"BASE: b.yml\nTEST: {NMS: 0.3}\n",
                                                              "b.yml": inputs.CONFIG}, lambda folder: load_config(
        folder / "a.yml"), mutate_text)
    overrides = b"TRAIN.STEPS\n100\nTEST.SCALES\n[0.5, 1]\nTEST.SCORE\n0.1\nNET.ALPHA\n.5\nTRAIN.DATASETS\na+b\n"
    yield Target("--set", "configs", 10, lambda: {"words.txt": overrides}, _overridden, mutate_text)
    yield Target("templates .mat", "configs", 6, inputs.templates_mat, lambda folder: read_templates(
        folder / "RefBox.mat"), head=200)
    yield Target("templates .yml", "configs", 2, lambda: {
        "a.yml": b"ANCHORS: {WIDTHS: [9.4, 25, 14], HEIGHTS: [15, 39, 25]}\n"}, lambda folder: read_templates(
        folder / "a.yml"), mutate_text)


def _overridden(folder):
    cfg = load_config()
    override(cfg, _bytes(folder / "words.txt").decode("utf-8", "replace").split("\n")[:-1])
    return cfg


# ------------------------------------------------------------------ records


def _records():
    yield Target("TFRecord of samples", "weights and records", 12, inputs.samples_file, _samples, exact=True,
                 check=lambda rows: None)
    journal = json.dumps({"settings": {"side": 12, "shards": {"train": 1, "select": 0}}}).encode() + b"\n" + json.dumps(
        {"part": "train", "shard": 0, "records": {"positive": 5}}).encode() + b"\n"
    yield Target("journal of samples", "weights and records", 4, lambda: {"journal.jsonl": journal}
                 | {"train/positive-00000.tfrecord": inputs.samples_file()["positive.tfrecord"]}, lambda folder: {
        split: SampleFolder(folder).open(split) for split in ("train", "select")}, mutate_text, keep=("tfrecord",),
        check=lambda rows: None)


def _samples(folder):
    rows = open_samples(folder / "positive.tfrecord", "positive", 12)
    return {name: np.array(rows[name]) for name in rows.dtype.names}


# ------------------------------------------------------------------ weights


def _weights():
    yield Target("weights .h5", "weights and records", 14, inputs.pnet_weights, _load_weights, head=2000, exact=True,
                 mutate=_mutate_h5)
    yield Target("layers of an .h5", "weights and records", 10, inputs.pnet_weights, _read_layers, head=2000,
                 exact=True, mutate=_mutate_h5)
    yield Target("PyTorch weights", "weights and records", 12, lambda: {"a.pth": inputs.torch_file()}, _state_dict,
                 exact=True)
    yield Target("checkpoint", "weights and records", 8, inputs.checkpoint_file, _facts, exact=True)
    yield Target("checkpoint, other values", "weights and records", 6, inputs.checkpoint_file, _facts, mutate_npz,
                 check=lambda facts: None if isinstance(facts, dict) else f"found {facts!r}")
    yield Target("reference outputs", "weights and records", 4, lambda: {"a.npz": _npz()}, _reference, mutate_npz)


def _mutate_h5(rng, data, head):
    """Damage the bytes, or change one number of one array and nothing else."""
    if rng.random() < 0.6:
        return mutate_bytes(rng, data, head)
    import io

    import h5py

    buffer, items = io.BytesIO(data), []
    with h5py.File(buffer, "r+") as file:
        file.visititems(lambda name, item: items.append(item))
        array = pick(rng, [item for item in items if isinstance(item, h5py.Dataset) and item.size])
        values = array[...]
        values.reshape(-1)[int(rng.integers(values.size))] = rng.choice([np.nan, np.inf, 1e30, 0.5])
        array[...] = values
    return buffer.getvalue()


_MODEL = []


def _load_weights(folder):
    from manyfaces.nets import backend, family
    from manyfaces.weights.files import load_weights

    if not _MODEL:
        backend.prepare(seed=0)
        _MODEL.append(family(inputs.pnet_config()).build())
    load_weights(_MODEL[0], folder / "pnet.weights.h5", inputs.pnet_config())
    return _MODEL[0].get_weights()


def _read_layers(folder):
    from manyfaces.weights.backbones import read_layers

    return read_layers(folder / "pnet.weights.h5")


def _state_dict(folder):
    from manyfaces.weights.torch import read_state_dict

    return read_state_dict(folder / "a.pth")


def _facts(folder):
    from manyfaces.engine.checkpoint import load_state

    class Kept:
        def __init__(self, shape):
            self.shape, self.path, self.value = shape, "x", None

        def assign(self, value):
            self.value = np.array(value)

    net = [Kept((2, 2)), Kept((2,))]
    facts = load_state(folder / "state.npz", {"net": net})
    return facts | {"net": [variable.value for variable in net]}


def _npz():
    import io

    buffer = io.BytesIO()
    np.savez(buffer, image=inputs.picture(), boxes=np.zeros((3, 4), np.float32))
    return buffer.getvalue()


def _reference(folder):
    from manyfaces.weights.files import read_reference

    found = read_reference(folder / "a.npz", ("image", "boxes"))
    return list(found)


# ------------------------------------------------------------------- models


def _models():
    yield Target("exported model", "exported models", 10, inputs.exported_model, _open_model, mutate_bytes, 200,
                 exact=True)
    yield Target("sidecar", "exported models", 8, inputs.exported_model, _open_model, mutate_checked_json,
                 keep=("onnx",), exact=True)
    yield Target("sidecar without checksum", "exported models", 10, lambda: inputs.exported_model(False), _open_model,
                 mutate_json, keep=("onnx",), check=lambda found: None)
    yield Target("cascade", "exported models", 6, inputs.cascade, _read_cascade, mutate_bytes, exact=True)
    yield Target("cascade without checksum", "exported models", 6, lambda: inputs.cascade(False), _read_cascade,
                 mutate_json, keep=("onnx",), check=lambda found: None)
    yield Target("ONNX without sidecar", "exported models", 6, lambda: {
        "model.onnx": inputs.exported_model()["model.onnx"]}, _open_foreign, head=200,
        check=lambda found: None)


def _open_model(folder):
    from manyfaces.runtimes.models import open_model
    from manyfaces.runtimes.sidecar import config_of, read_sidecar

    facts = read_sidecar(folder / "model.onnx")
    cfg = config_of(folder / "model.onnx", facts)
    open_model(folder / "model.onnx", threads=1)
    return facts, cfg


def _read_cascade(folder):
    from manyfaces.runtimes.cascade import read_cascade
    from manyfaces.runtimes.sidecar import config_of

    facts = read_cascade(folder)
    return facts, config_of(folder / "cascade.json", facts)


def _open_foreign(folder: Path):
    from manyfaces.errors import InputError
    from manyfaces.runtimes.models import open_model

    try:
        open_model(folder / "model.onnx", threads=1)
    except InputError as error:
        if "Without it only these files open" not in str(error):
            raise
    return "read"  # P-Net is none of the known nets: ONNX Runtime has read it, which is what is tried here
