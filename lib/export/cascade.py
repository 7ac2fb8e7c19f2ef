"""MTCNN's three nets as Keras models, and their export as three files with one sidecar in one folder."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..cascade import resample
from ..cascade.cascade import SIDES
from ..errors import InputError
from ..inference.cascade_detector import CascadeDetector
from ..runtimes.cascade import check_cascade_free, open_cascade, write_cascade
from ..runtimes.files import CascadeFiles, size_of
from ..runtimes.sidecar import licence_of
from .check import LIMIT, agreement
from .files import move_files, workplace
from .formats import Format, run_exported
from .onnx import INPUT, to_onnx

if TYPE_CHECKING:
    import keras
    from easydict import EasyDict

CROPS = 16  # per picture, for the comparison with Keras


def export_cascade(cfg: EasyDict, weights: str | os.PathLike | None, folder: Path, format: Format,
                   pictures: list[np.ndarray], licence: str | None = None,
                   threads: int | None = None) -> dict[str, Any]:
    """Write the three nets and their sidecar into a folder; arguments, facts and errors are those of export.export.

    P-Net's and R-Net's landmarks, which the cascade does not use, are left out. Without CASCADE.ROUND the nets take
    float32. A net that differs from Keras by more than LIMIT is an InputError, and no file is left.
    """
    from ..inference.models import load_cascade

    files = CascadeFiles.named(folder, format.ending)
    check_cascade_free(files)
    models, nets = load_cascade(cfg, weights)
    began = time.perf_counter()
    facts: dict[str, Any] = {}
    checks: dict[str, Any] = {}
    with workplace(folder) as temporary:
        made = CascadeFiles.named(temporary, format.ending)
        for stage, file in made.items():
            facts[stage] = own = write_stage(cfg, stage, models[stage], format, file)
            for name, session in run_exported(format, file, own, threads):
                differences = _differences(nets[stage], session, _inputs(stage, pictures))
                check = checks.setdefault(name, {"differences": {}})
                check["differences"] |= {f"{stage} {output}": value for output, value in differences.items()}
        for name, check in checks.items():
            check["worst"] = worst = max(check["differences"], key=check["differences"].get)
            check["difference"] = check["error"] = check["differences"][worst]
            if not check["error"] <= LIMIT:
                raise InputError(f"{folder}: with {name} {worst} differs from Keras by {check['error']:.3g}, over "
                                 f"{LIMIT:g}; not written")
        learnt = "+".join(filter(None, (cfg.TRAIN.DATASETS, cfg.MTCNN.LANDMARKS)))
        whole = {"name": cfg.NAME, "precision": "float32", "licence": licence or licence_of(learnt),
                 "config": json.loads(json.dumps(cfg))}
        write_cascade(made, whole, facts)
        for name, check in checks.items():
            sessions, _ = open_cascade(temporary, name, threads)
            check |= agreement(CascadeDetector(nets, cfg), CascadeDetector(sessions, cfg), pictures)
        made.sidecar.unlink()
        folder.mkdir(exist_ok=True)
        move_files(temporary, folder)
        write_cascade(files, whole, facts)
    return {"path": str(folder), "sidecar": str(files.sidecar), "format": format.name, "precision": "float32",
            "bytes": sum(size_of(file) for file in files.files), "seconds": time.perf_counter() - began,
            "images": len(pictures), "licence": whole["licence"], "checks": checks}


def write_stage(cfg: EasyDict, stage: str, model: keras.Model, format: Format, path: Path) -> dict[str, Any]:
    """Write one net in a format that is made from an ONNX graph; returns its facts for the sidecar."""
    import keras
    from onnx import TensorProto

    outputs = {name: value for name, value in model.output.items() if stage == "onet" or name != "landmarks"}
    graph = to_onnx(keras.Model(model.input, outputs, name=model.name))
    graph.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8 if cfg.CASCADE.ROUND else TensorProto.FLOAT
    assert format.save is not None  # check_cascade_options
    format.save(graph, path)
    crop = SIDES.get(stage)
    shapes = {name: [None, *(int(side) if side else None for side in value.shape[1:])]
              for name, value in outputs.items()}
    return {"made_by": f"manyfaces {__version__}", "content": "maps", "precision": "float32",
            "input": {"name": INPUT, "type": "uint8" if cfg.CASCADE.ROUND else "float32", "layout": "NHWC",
                      "colour": "RGB", "range": [0, 255], "height": crop, "width": crop, "multiple": 1},
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
