"""The sidecar of an exported cascade, and the cascade that it opens.

NAME.json describes MTCNN's three nets: it is a sidecar as any other, with the `content` cascade, no input of its own,
and `stages`, the facts of each net.
"""

import json

from .. import __version__
from ..errors import InputError
from ..files import write_whole
from .files import STAGES, digest, stage_file
from .sessions import installed, open_session, readers
from .sidecar import config_of, sidecar_path

CONTENT = "cascade"
FORMAT = 1
KEYS = {"format": int, "made_by": str, "family": str, "name": str, "content": str, "precision": str, "licence": str,
        "stages": dict, "config": dict}


def write_cascade(path, facts, stages):
    """Write NAME.json of the cascade at `path`. facts: name, precision, licence, config; stages: dict stage -> facts of
    the net as a sidecar has them, without file and sha256. Returns the whole dict.
    """
    whole = {"format": FORMAT, "made_by": f"manyfaces {__version__}", "family": "mtcnn", "content": CONTENT, **facts}
    whole["stages"] = {stage: {**own, "file": stage_file(path, stage).name, "sha256": digest(stage_file(path, stage))}
                       for stage, own in stages.items()}
    whole = {key: whole[key] for key in KEYS}
    write_whole(sidecar_path(path), (json.dumps(whole, indent=1) + "\n").encode())
    return whole


def read_cascade(path):
    """The dict in NAME.json of the cascade at `path`.

    Raises InputError that names the file and the key where it is missing, broken, or where a net is not the file that
    it describes.
    """
    beside = sidecar_path(path)
    try:
        facts = json.loads(beside.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{beside}: no such file; it comes with the nets from tools/export.py") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{beside}: cannot be read as JSON ({error})") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT or facts.get("content") != CONTENT:
        raise InputError(f"{beside}: is no sidecar of a cascade; export again, or use the manyfaces that wrote it")
    for key, kind in KEYS.items():
        if not isinstance(facts.get(key), kind):
            raise InputError(f"{beside}: {key} is {facts.get(key)!r}, expected {kind.__name__}; export again")
    for stage in STAGES:
        own, file = facts["stages"].get(stage), stage_file(path, stage)
        if not isinstance(own, dict) or own.get("file") != file.name or not isinstance(own.get("input"), dict):
            raise InputError(f"{beside}: stages.{stage} does not describe {file.name}; export again")
        if own.get("sha256") != digest(file):
            raise InputError(f"{file}: is not the file that {beside.name} describes (sha256 differs, key "
                             f"stages.{stage}.sha256); export or copy all again")
    return facts


def open_cascade(path, runtime=None, threads=None, precision=None):
    """(family, nets, cfg) of an exported cascade, as runtimes.open_model gives them; nets: dict stage -> function.

    runtime None: OpenVINO where it is installed. P-Net's few channels suit it: it takes half of the time that ONNX
    Runtime takes. threads: lanes (cascade.lanes); None: one a core.
    """
    from ..cascade.lanes import cores
    from ..nets import family
    facts = read_cascade(path)
    cfg = config_of(path, facts)
    if runtime is None and "openvino" in installed() and "openvino" in readers(path):
        runtime = "openvino"
    lanes = cores() if threads is None else threads
    nets = {stage: open_session(stage_file(path, stage), facts["stages"][stage], runtime, threads, precision,
                                lanes=lanes) for stage in STAGES}
    return family(cfg), nets, cfg
