"""MTCNN's three nets as Keras models, and their export as three files with one sidecar."""

import json
import tempfile
import time
from pathlib import Path

import numpy as np

from .. import __version__, pretrained
from ..cascade import resample
from ..cascade.cascade import SIDES
from ..errors import InputError
from ..inference.detector import Detector
from ..runtimes.cascade import open_cascade, write_cascade
from ..runtimes.files import STAGES, stage_file, stage_files
from ..runtimes.sidecar import licence_of, sidecar_path
from .files import move, run_exported, size_of, write_openvino

CROPS = 16  # of each picture, for the comparison with Keras


def export_cascade(cfg, weights, path, format, pictures, licence=None, threads=None):
    """Write the three nets beside `path` and their sidecar; the facts are those of export.export.

    P-Net's and R-Net's landmarks, which the cascade does not look at, are left out. Without CASCADE.ROUND the nets take
    float32. Raises InputError where a net differs from Keras by more than LIMIT: then no file is left.
    """
    from ..inference.models import load_model
    from .check import LIMIT, agreement

    weights = weights or pretrained.weights_file(cfg.NAME)

    family, models, nets = load_model(cfg, weights)
    began, facts = time.perf_counter(), {}
    checks = {}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        made = Path(folder) / path.name
        for stage in STAGES:
            facts[stage] = own = write_stage(cfg, stage, models[stage], format, stage_file(made, stage))
            for name, session in run_exported(format, stage_file(made, stage), own, threads):
                found = _differences(nets[stage], session, _inputs(stage, pictures))
                part = checks.setdefault(name, {"differences": {}})
                part["differences"] |= {f"{stage} {output}": value for output, value in found.items()}
        for name, part in checks.items():
            part["worst"] = worst = max(part["differences"], key=part["differences"].get)
            part["difference"] = part["error"] = part["differences"][worst]
            if not part["error"] <= LIMIT:
                raise InputError(f"{path}: with {name} {worst} differs from Keras by {part['error']:.3g}, over "
                                 f"{LIMIT:g}; not written")
        learnt = "+".join(filter(None, (cfg.TRAIN.DATASETS, cfg.MTCNN.LANDMARKS)))
        whole = {"name": cfg.NAME, "precision": "float32", "licence": licence or licence_of(learnt),
                 "config": json.loads(json.dumps(cfg))}
        write_cascade(made, whole, facts)
        for name, part in checks.items():
            _, sessions, _ = open_cascade(made, name, threads)
            part |= agreement(Detector(family, nets, cfg), Detector(family, sessions, cfg), pictures)
        sidecar_path(made).unlink()
        move(made, path)
    write_cascade(path, whole, facts)
    return {"path": ", ".join(str(file) for file in stage_files(path)), "sidecar": str(sidecar_path(path)),
            "format": format, "precision": "float32", "bytes": sum(size_of(file) for file in stage_files(path)),
            "seconds": time.perf_counter() - began, "images": len(pictures), "licence": whole["licence"],
            "checks": checks}


def write_stage(cfg, stage, model, format, path):
    """Write one net as onnx or openvino; its facts for the sidecar."""
    import keras
    from onnx import TensorProto, save

    from .onnx import INPUT, to_onnx

    outputs = {name: value for name, value in model.output.items() if stage == "onet" or name != "landmarks"}
    graph = to_onnx(keras.Model(model.input, outputs, name=model.name))
    graph.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8 if cfg.CASCADE.ROUND else TensorProto.FLOAT
    if format == "onnx":
        save(graph, str(path))
    else:
        write_openvino(graph, path)
    side = SIDES.get(stage)
    shapes = {name: [None, *(int(part) if part else None for part in value.shape[1:])]
              for name, value in outputs.items()}
    return {"made_by": f"manyfaces {__version__}", "content": "maps", "precision": "float32",
            "input": {"name": INPUT, "type": "uint8" if cfg.CASCADE.ROUND else "float32", "layout": "NHWC",
                      "colour": "RGB", "range": [0, 255], "height": side, "width": side, "multiple": 1},
            "outputs": [{"name": name, "shape": shape} for name, shape in shapes.items()]}


def _inputs(stage, pictures):
    """List of batches that a net may meet: the pictures for P-Net, crops of them for the others."""
    if stage == "pnet":
        return [picture[None] for picture in pictures]
    rng, side, batches = np.random.default_rng(0), SIDES[stage], []
    for picture in pictures:
        corner = rng.integers(0, np.maximum(1, np.array(picture.shape[1::-1]) - 20), (CROPS, 2))
        squares = np.concatenate([corner, corner + rng.integers(12, 200, (CROPS, 1))], axis=1)
        batches.append(resample(picture, squares, (side, side)))
    return batches


def _differences(run, session, batches):
    """Dict output -> largest difference."""
    worst = {}
    for batch in batches:
        expected, found = run(batch), session(batch)
        for name, values in found.items():
            difference = float(np.abs(values - expected[name]).max(initial=0))
            worst[name] = max(worst.get(name, 0.0), difference if np.isfinite(difference) else np.inf)
    return worst
