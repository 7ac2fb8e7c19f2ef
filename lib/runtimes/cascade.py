"""The sidecar of an exported cascade, and the nets that it opens.

DIR/cascade.json describes MTCNN's three nets. It is a sidecar like the others, with the `content` cascade, no input of
its own, and `stages`, the facts of each net.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..cascade.stages import STAGES
from ..errors import InputError
from .files import SIDECAR, CascadeFiles, digest, size_of
from .sessions import installed, open_session, readers
from .sidecar import check_model, config_of, read_checked, write_checked

if TYPE_CHECKING:
    from easydict import EasyDict

CONTENT = "cascade"
FORMAT = 1
KEYS = {"format": int, "made_by": str, "family": str, "name": str, "content": str, "precision": str, "licence": str,
        "stages": dict, "config": dict}


def check_cascade_free(files: CascadeFiles) -> None:
    """InputError where the sidecar in the folder describes nets of another format that are still there."""
    other = CascadeFiles.exported(files.folder)
    if other and other.ending != files.ending and any(file.is_file() for file in other.files):
        raise InputError(f"{files.sidecar}: describes {other.files[0].name} and so on; choose another folder than "
                         f"{files.folder}")


def write_cascade(files: CascadeFiles, facts: Mapping[str, Any],
                  stages: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Write DIR/cascade.json of the nets in `files`.

    Args:
        facts: name, precision, licence, config.
        stages: stage -> facts of its net as in a sidecar, without file and sha256.

    Returns:
        All that was written.
    """
    whole = {"format": FORMAT, "made_by": f"manyfaces {__version__}", "family": "mtcnn", "content": CONTENT, **facts}
    whole["stages"] = {stage: {**own, "file": files[stage].name, "sha256": digest(files[stage]),
                               "bytes": size_of(files[stage])} for stage, own in stages.items()}
    whole = {key: whole[key] for key in KEYS}
    write_checked(files.sidecar, whole)
    return whole


def read_cascade(folder: str | os.PathLike) -> dict[str, Any]:
    """Read DIR/cascade.json and check that the nets are the files it describes.

    Raises:
        InputError: names the file and the key that is missing or wrong.
    """
    files = CascadeFiles.exported(folder)
    if files is None:
        raise InputError(f"{os.fspath(folder)}/{SIDECAR}: no such file; `manyfaces export` writes it with the nets")
    sidecar = files.sidecar
    facts = read_checked(sidecar)
    if not isinstance(facts, dict) or facts.get("format") != FORMAT or facts.get("content") != CONTENT:
        raise InputError(f"{sidecar}: is no sidecar of a cascade; export again, or use the manyfaces that wrote it")
    for key, kind in KEYS.items():
        if not isinstance(facts.get(key), kind):
            raise InputError(f"{sidecar}: {key} is {facts.get(key)!r}, expected {kind.__name__}; export again")
    for stage, file in files.items():
        own = facts["stages"].get(stage)
        if not isinstance(own, dict) or own.get("file") != file.name or not (
                isinstance(own.get("input"), dict) and isinstance(own.get("sha256"), str)):
            raise InputError(f"{sidecar}: stages.{stage} does not describe {file.name}; export again")
        check_model(file, own, sidecar.name, f"stages.{stage}.sha256")
    return facts


def open_cascade(folder: str | os.PathLike, runtime: str | None = None, threads: int | None = None,
                 precision: str | None = None) -> tuple[dict[str, Callable], EasyDict]:
    """Open an exported cascade.

    Args:
        folder: holds the nets and cascade.json.
        runtime: None: OpenVINO where it is installed. P-Net's few channels suit it: it takes half of the time that
            ONNX Runtime takes.
        threads: lanes (cascade.lanes); None: one per core.

    Returns:
        (stage -> net, config), as CascadeDetector takes them.

    Raises:
        InputError: names file, key, or package to install.
    """
    from ..cascade.lanes import cores

    facts, files = read_cascade(folder), CascadeFiles.exported(folder)
    assert files is not None  # read_cascade has read its sidecar
    cfg = config_of(files.sidecar, facts)
    if runtime is None and "openvino" in installed() and "openvino" in readers(files):
        runtime = "openvino"
    lanes = cores() if threads is None else threads
    nets = {stage: open_session(files[stage], facts["stages"][stage], runtime, threads, precision, lanes=lanes)
            for stage in STAGES}
    return nets, cfg
