"""Export: weights of any family as ONNX, OpenVINO IR, LiteRT or SavedModel, with a sidecar, checked against Keras.

The file appears only after it has given the same as Keras on real images. A family joins by its `build`
and `decode`; nothing here names one.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..cascade.stages import is_cascade
from ..errors import InputError
from ..runtimes.files import size_of
from ..runtimes.sidecar import check_free, licence_of, sidecar_path, write_sidecar
from .cascade import export_cascade
from .check import HALF_LIMIT, LIMIT, check_images, compare_faces, compare_maps
from .files import move, workplace
from .formats import Job, check_cascade_options, check_options, format_of, run_exported
from .nms import anchor_facts
from .onnx import INPUT, require

if TYPE_CHECKING:
    from easydict import EasyDict


def export(cfg: EasyDict, weights: str | os.PathLike | None, path: str | os.PathLike, format: str | None = None,
           nms: bool = False, int8: bool = False, calibrate: str | os.PathLike | None = None,
           images: str | os.PathLike | None = None, licence: str | None = None, threads: int | None = None,
           half: bool = False) -> dict[str, Any]:
    """Write the model of a config with its weights to `path`, and its sidecar.

    Args:
        weights: a .weights.h5, or the folder of a cascade; None: those that ship.
        path: file to write, or a folder for a SavedModel and for a cascade.
        format: a key of formats.FORMATS; None: by the ending of `path`; of a cascade onnx.
        nms: decoding and NMS inside the model.
        int8: 8-bit arithmetic, calibrated on the images below the folder `calibrate`.
        images: folder of images for the comparison with Keras; None: two portraits and a crowd made of them.
        licence: that of the training data; None: from TRAIN.DATASETS.
        threads: of the runtimes in the comparison.
        half: store the weights as float16, half the size.

    Returns:
        path, sidecar, format, precision, bytes, seconds, licence, images (their number), and checks: per installed
        runtime that reads the file what compare_maps or compare_faces gives: differences (output -> largest difference
        from Keras), error and so on.

    Raises:
        InputError: wrong arguments, a missing package, another process that is exporting to `path`, or float maps
            whose error is more than LIMIT (with half: HALF_LIMIT). Then no file is left, and what was there before
            stays.
    """
    path, cascade = Path(path), is_cascade(cfg)
    kind = format_of(path, format, cascade)
    check_options(kind, nms, int8, half, calibrate)
    if not cascade:
        check_free(path)
    for package in kind.packages + (kind.int8_packages if int8 else ()):
        require(package, "export")
    pictures = check_images(images)  # before the seconds that loading Keras takes
    if cascade:
        check_cascade_options(path, kind, nms, int8, half)
        return export_cascade(cfg, weights, path, kind, pictures, licence, threads)
    from ..inference.models import load_model

    family, model, run = load_model(cfg, weights)
    model = _sized(model, family.input_size)
    began = time.perf_counter()
    with workplace(path) as folder:
        made = folder / path.name
        facts = _facts(cfg, family, model, kind, nms, int8, licence)
        kind.write(Job(family, model, cfg, facts, calibrate, half), made)
        checks, limit = {}, HALF_LIMIT if half else LIMIT
        for name, session in run_exported(kind, made, facts, threads):
            compare = compare_faces if nms else compare_maps
            check = checks[name] = compare(family, run, session, cfg, pictures)
            if not int8 and not check["error"] <= limit:
                worst = check["worst"]
                raise InputError(f"{path}: with {name} {worst} differs from Keras by "
                                 f"{check['differences'][worst]:.3g}, {check['error']:.3g} of its values and over "
                                 f"{limit:g}; not written. Another version of the converter or runtime may do better")
        if not nms:
            facts["outputs"] = _outputs(model, family, check["shapes"])
        move(made, path)
        facts = write_sidecar(path, facts)
    return {"path": str(path), "sidecar": str(sidecar_path(path)), "format": kind.name,
            "precision": facts["precision"], "bytes": size_of(path), "seconds": time.perf_counter() - began,
            "images": len(pictures), "licence": facts["licence"], "checks": checks}


def _sized(model, size):
    """The model with an input of `size` (width, height) px instead of a free one, where size is not None.

    A net that has a meaning at one size only says so this way, and runtimes plan for it. The layers are the same.
    """
    if size is None:
        return model
    import keras

    images = keras.Input((size[1], size[0], 3), name=INPUT)
    return keras.models.clone_model(model, input_tensors=images, clone_function=lambda layer: layer)


def _facts(cfg, family, model, format, nms, int8, licence):
    """The sidecar before the file is known."""
    test, (height, width) = cfg.TEST, model.inputs[0].shape[1:3]
    return {
        "made_by": f"manyfaces {__version__}", "family": cfg.FAMILY, "name": cfg.NAME,
        "content": "faces" if nms else "maps", "precision": "int8" if int8 else "float32",
        "input": {"name": INPUT, "type": "uint8", "layout": "NHWC", "colour": "RGB", "range": [0, 255],
                  "height": height, "width": width, "squeeze": list(test.SIZE) or None,
                  "multiple": 1 if format.pads_inside or height else family.multiple},
        "outputs": [{"name": name} for name in model.output], "anchors": anchor_facts(family, cfg),
        "thresholds": {"score": test.SCORE, "nms": test.NMS, "top": test.TOP, "keep": test.KEEP,
                       "shown": test.DEMO_SCORE},
        "licence": licence or licence_of(cfg.TRAIN.DATASETS), "config": json.loads(json.dumps(cfg)),
    }


def _outputs(model, family, shapes):
    """Name, stride in px (that of the module it belongs to) and shape of each map; shapes: dict by the maps' names."""
    result = []
    for name in shapes:
        stride = next((module.stride for module in family.modules if name.startswith(f"{module.name}_")), None)
        result.append({"name": name, "stride": stride,
                       "shape": [None, *(int(side) if side else None for side in model.output[name].shape[1:])]})
    return result
