"""Export: weights of any family as ONNX, OpenVINO IR, LiteRT or SavedModel, with a sidecar, checked beside Keras.

The file appears only after it has run beside Keras on real images and given the same. A family joins by its `build`
and `decode`; nothing here names one.
"""

import json
import tempfile
import time
from pathlib import Path

from .. import __version__
from ..errors import InputError
from ..inference.models import is_cascade_config
from ..runtimes.sidecar import check_free, licence_of, sidecar_path, write_sidecar
from .cascade import export_cascade
from .check import HALF_LIMIT, LIMIT, check_images, compare_faces, compare_maps
from .files import move, run_exported, size_of, write_openvino
from .half import halve_graph
from .onnx import INPUT, require, to_onnx

FORMATS = {"onnx": ".onnx", "openvino": ".xml", "litert": ".tflite", "saved_model": ""}
PACKAGES = {"onnx": ("onnx", "onnxruntime"), "openvino": ("onnx", "openvino"), "litert": ("ai_edge_litert",),
            "saved_model": ()}


def export(cfg, weights, path, format=None, nms=False, int8=False, calibrate=None, images=None, licence=None,
           threads=None, half=False):
    """Write the model of a config with its weights to `path`, and its sidecar; returns a dict of facts.

    weights: .weights.h5; None: those that ship. format: a key of FORMATS; None: by the ending of `path` (none:
    SavedModel). nms: decoding and NMS inside (ONNX). int8: 8-bit arithmetic, calibrated on the images below the folder
    `calibrate`. images: folder of images for the comparison with Keras; None: two portraits and a crowd made of them.
    licence: of the training data; None: from TRAIN.DATASETS. half: weights stored as float16 (ONNX), half the size.
    The facts: path, sidecar, format, precision, bytes, seconds, licence, images (how many), and checks: for each
    installed runtime that reads the file what compare_maps or compare_faces gives: differences (output -> largest
    difference from Keras), error and so on.
    Raises InputError for wrong arguments, missing packages, and where the error of float maps is more than LIMIT (half:
    HALF_LIMIT): then no file is left, and what was there before stays.
    """
    path = Path(path)
    format = _format(path, format)
    _check_options(format, nms, int8, calibrate, half)
    check_free(path)
    for package in PACKAGES[format] + (("nncf",) if int8 and format != "litert" else ()):
        require(package, "export")
    pictures = check_images(images)  # before the seconds that loading Keras takes
    if is_cascade_config(cfg):
        if nms or int8 or half or format not in ("onnx", "openvino"):
            raise InputError(f"{path}: a cascade is exported as float32 onnx or openvino, without --nms, --int8 and "
                             f"--half")
        return export_cascade(cfg, weights, path, format, pictures, licence, threads)
    from ..inference.models import load_model

    family, model, run = load_model(cfg, weights)
    model = _sized(model, getattr(family, "input_size", None))
    began = time.perf_counter()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        made = Path(folder) / path.name
        facts = _facts(cfg, family, model, format, nms, int8, licence)
        _convert(format, model, family, cfg, made, facts, calibrate, half)
        checks, limit = {}, HALF_LIMIT if half else LIMIT
        for name, session in run_exported(format, made, facts, threads):
            compare = compare_faces if nms else compare_maps
            found = checks[name] = compare(family, run, session, cfg, pictures)
            if not int8 and not found["error"] <= limit:
                worst = found["worst"]
                raise InputError(f"{path}: with {name} {worst} differs from Keras by "
                                 f"{found['differences'][worst]:.3g}, {found['error']:.3g} of its values and over "
                                 f"{limit:g}; not written. Another version of the converter or runtime may do better")
        if not nms:
            facts["outputs"] = _outputs(model, family, found["shapes"])
        move(made, path)
    facts = write_sidecar(path, facts)
    return {"path": str(path), "sidecar": str(sidecar_path(path)), "format": format, "precision": facts["precision"],
            "bytes": size_of(path), "seconds": time.perf_counter() - began, "images": len(pictures),
            "licence": facts["licence"], "checks": checks}


def _format(path, format):
    """The format by its name or the ending of the path; InputError where they do not go together."""
    by_ending = {ending: name for name, ending in FORMATS.items()}
    if format is None:
        if path.suffix not in by_ending:
            raise InputError(f"{path}: ends in {path.suffix}, expected {', '.join(filter(None, by_ending))}, or no "
                             f"ending for a SavedModel")
        return by_ending[path.suffix]
    if format not in FORMATS:
        raise InputError(f"format {format!r}: expected one of {', '.join(FORMATS)}")
    if path.suffix != FORMATS[format]:
        raise InputError(f"{path}: {format} goes to a name that ends in {FORMATS[format] or 'nothing (a folder)'}")
    return format


def _check_options(format, nms, int8, calibrate, half):
    if half and (format != "onnx" or int8):
        raise InputError(f"--half is there for onnx in floats, not for {'int8' if int8 else format}")
    if nms and format != "onnx":
        raise InputError(f"--nms is there for onnx only, not for {format}")
    if int8 and format == "saved_model":
        raise InputError("--int8 is there for onnx, openvino and litert, not for saved_model")
    if int8 and nms:
        raise InputError("--int8 and --nms do not go together: quantise the maps, NMS runs outside")
    if int8 and calibrate is None:
        raise InputError("--int8 needs --calibrate DIR: a folder of images like those that the detector will see")
    if calibrate is not None and not int8:
        raise InputError("--calibrate is for --int8")


def _sized(model, size):
    """The model with an input of `size` (width, height) px in place of a free one, where size is not None.

    So a net that means something at one size only says so, and runtimes plan for it. The layers are the same.
    """
    if size is None:
        return model
    import keras

    images = keras.Input((size[1], size[0], 3), name=INPUT)
    return keras.models.clone_model(model, input_tensors=images, clone_function=lambda layer: layer)


def _facts(cfg, family, model, format, nms, int8, licence):
    """The sidecar before the file is known."""
    from .nms import anchor_facts

    test, (height, width) = cfg.TEST, model.inputs[0].shape[1:3]
    inside = format != "litert"  # LiteRT's file leaves padding to the caller: its graph must have no computed shapes
    return {
        "made_by": f"manyfaces {__version__}", "family": cfg.FAMILY, "name": cfg.NAME,
        "content": "faces" if nms else "maps", "precision": "int8" if int8 else "float32",
        "input": {"name": INPUT, "type": "uint8", "layout": "NHWC", "colour": "RGB", "range": [0, 255],
                  "height": height, "width": width, "squeeze": list(test.SIZE) or None,
                  "multiple": 1 if inside or height else getattr(family, "multiple", 1)},
        "outputs": [], "anchors": anchor_facts(family, cfg),
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


def _convert(format, model, family, cfg, path, facts, calibrate, half):
    """Write the file and complete the facts (outputs, type of the input)."""
    facts["outputs"] = [{"name": name} for name in model.output]
    if format in ("litert", "saved_model"):
        from . import tensorflow as export_tensorflow

        export_tensorflow.write(format, model, path, facts, calibrate)
        return
    import onnx

    finish = None
    if facts["content"] == "faces":
        from .nms import faces_in_graph, faces_outputs

        finish = faces_in_graph(family, cfg)
        facts["outputs"] = faces_outputs(family, cfg)
    graph = to_onnx(model, finish)
    kind = graph.graph.input[0].type.tensor_type.elem_type
    facts["input"] |= {"name": graph.graph.input[0].name,
                       "type": "uint8" if kind == onnx.TensorProto.UINT8 else "float32"}
    if calibrate is not None:
        from .int8 import quantise

        graph = quantise(graph, format, facts, calibrate)
    if half:
        graph = halve_graph(graph)
    if format == "onnx":
        onnx.save(graph, str(path))
    else:
        write_openvino(graph, path)


