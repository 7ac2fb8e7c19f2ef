"""The formats that a model can be exported in: one record per format, which says what it can and how it is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..runtimes.sessions import installed, open_session, readers
from .files import open_saved_model, save_onnx, save_openvino
from .half import halve_graph
from .int8 import quantise_onnx, quantise_openvino
from .nms import faces_in_graph, faces_outputs
from .onnx import to_onnx
from .tensorflow import write_litert, write_saved_model

if TYPE_CHECKING:
    import keras
    from easydict import EasyDict

    from ..nets.family import Family


@dataclass
class Job:
    """What is exported.

    Attributes:
        model: functional keras.Model, images -> dict of maps.
        facts: the sidecar so far; the writer completes `outputs` and the type of the input.
        calibrate: folder of images for 8-bit arithmetic, None: float32.
        half: store the weights as float16.
    """

    family: Family
    model: keras.Model
    cfg: EasyDict
    facts: dict[str, Any]
    calibrate: str | os.PathLike | None = None
    half: bool = False


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: as --format takes it.
        ending: of the file; empty: a folder.
        packages: without which it cannot be written.
        int8_packages: those that 8-bit arithmetic needs too.
        write: function (job, path) that writes the model.
        save: function (onnx.ModelProto, path) that writes a graph; None: this format is not made from one. A cascade is
            exported by it.
        nms, int8, half: whether it takes --nms, --int8, --half.
        opener: (name, function path -> run) of what runs the file, where no runtime of manyfaces reads it.
        pads_inside: whether the exported model pads images to the net's multiple itself.
    """

    name: str
    ending: str
    packages: tuple[str, ...]
    write: Callable[[Job, Path], None]
    int8_packages: tuple[str, ...] = ()
    save: Callable[[Any, Path], None] | None = None
    opener: tuple[str, Callable[[Path], Any]] | None = None
    nms: bool = False
    int8: bool = False
    half: bool = False
    pads_inside: bool = True


def _write_onnx(job: Job, path: Path) -> None:
    graph = _graph(job)
    if job.calibrate is not None:
        graph = quantise_onnx(graph, job.facts, job.calibrate)
    save_onnx(halve_graph(graph) if job.half else graph, path)


def _write_openvino(job: Job, path: Path) -> None:
    graph = _graph(job)
    if job.calibrate is not None:
        graph = quantise_openvino(graph, job.facts, job.calibrate)
    save_openvino(graph, path)


def _graph(job: Job) -> Any:
    """The onnx.ModelProto; completes the facts."""
    from onnx import TensorProto

    finish = None
    if job.facts["content"] == "faces":
        finish = faces_in_graph(job.family, job.cfg)
        job.facts["outputs"] = faces_outputs(job.cfg)
    graph = to_onnx(job.model, finish)
    (images,) = graph.graph.input
    kind = images.type.tensor_type.elem_type
    job.facts["input"] |= {"name": images.name, "type": "uint8" if kind == TensorProto.UINT8 else "float32"}
    return graph


FORMATS = {each.name: each for each in (
    Format("onnx", ".onnx", ("onnx", "onnxruntime"), _write_onnx, ("nncf",), save_onnx, nms=True, int8=True, half=True),
    Format("openvino", ".xml", ("onnx", "openvino"), _write_openvino, ("nncf",), save_openvino, int8=True),
    # LiteRT leaves padding to the caller: its graph must have no computed shapes.
    Format("litert", ".tflite", ("ai_edge_litert",), lambda job, path: write_litert(
        job.model, path, job.facts, job.calibrate), int8=True, pads_inside=False),
    Format("saved_model", "", (), lambda job, path: write_saved_model(job.model, path),
           opener=("tensorflow", open_saved_model)),
)}


def run_exported(format: Format, path: Path, facts: Mapping[str, Any],
                 threads: int | None) -> Iterator[tuple[str, Callable]]:
    """Yield (name, function images -> dict of arrays) of what can run the file here."""
    if format.opener:
        name, open_file = format.opener
        yield name, open_file(path)
        return
    for name in readers(path):
        if name in installed():
            yield name, open_session(path, facts, name, threads)


def format_of(path: Path, name: str | None, cascade: bool = False) -> Format:
    """The format of a name, or of the ending of the path.

    Args:
        name: None: by the ending; of a cascade onnx.
        cascade: whether the path is the folder of a cascade.

    Raises:
        InputError: no such format, or name and ending do not go together.
    """
    if name is not None and name not in FORMATS:
        raise InputError(f"format {name!r}: expected one of {', '.join(FORMATS)}")
    if cascade:
        if path.suffix in {each.ending for each in FORMATS.values() if each.ending}:
            raise InputError(f"{path}: a cascade goes to a folder, expected a name without an ending such as "
                             f"{path.with_suffix('')}; --format says in which format")
        return FORMATS[name or "onnx"]
    if name is None:
        by_ending = {each.ending: each for each in FORMATS.values()}
        if path.suffix not in by_ending:
            raise InputError(f"{path}: ends in {path.suffix}, expected {', '.join(filter(None, by_ending))}, or no "
                             f"ending for a SavedModel")
        return by_ending[path.suffix]
    ending = FORMATS[name].ending
    if path.suffix != ending:
        raise InputError(f"{path}: {name} goes to a name that ends in {ending or 'nothing (a folder)'}")
    return FORMATS[name]


def check_options(format: Format, nms: bool, int8: bool, half: bool, calibrate: Any) -> None:
    """InputError for options that the format does not have, or that do not go together."""
    for option, wanted, able in (("half", half, format.half), ("nms", nms, format.nms), ("int8", int8, format.int8)):
        if wanted and not able:
            names = [each.name for each in FORMATS.values() if getattr(each, option)]
            raise InputError(f"--{option} is for {_listed(names)}, not for {format.name}")
    if int8 and half:
        raise InputError("--int8 and --half do not go together: 8-bit weights are smaller still")
    if int8 and nms:
        raise InputError("--int8 and --nms do not go together: quantise the maps, NMS runs outside")
    if int8 and calibrate is None:
        raise InputError("--int8 needs --calibrate DIR: a folder of images like those that the detector will see")
    if calibrate is not None and not int8:
        raise InputError("--calibrate is for --int8")


def check_cascade_options(path: Path, format: Format, nms: bool, int8: bool, half: bool) -> None:
    """InputError for what a cascade cannot be exported with."""
    if nms or int8 or half or format.save is None:
        able = [each.name for each in FORMATS.values() if each.save]
        raise InputError(f"{path}: a cascade is exported as float32 {' or '.join(able)}, without --nms, --int8 and "
                         f"--half")


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
