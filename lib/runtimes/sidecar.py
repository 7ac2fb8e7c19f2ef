"""The sidecar of an exported model: MODEL.json beside MODEL.onnx, .xml, .tflite or the folder of a SavedModel.

It describes the file: what goes in, what comes out, the anchors and thresholds that turn maps into faces, the whole
config, the licence of the training data, and the hash of the file that it belongs to.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import flat_items, load_config, override, roles_of
from ..errors import InputError, Range, check_whole, shown
from ..files import write_whole
from ..parsing import parse_json_file
from .files import SIDECAR as CASCADE
from .files import WEIGHTS, digest, size_of

if TYPE_CHECKING:
    from easydict import EasyDict

FORMAT = 1  # raised when an older reader could misread the sidecar
KEYS = {"format": int, "made_by": str, "file": str, "sha256": str, "family": str, "name": str, "content": str,
        "precision": str, "input": dict, "outputs": list, "anchors": list, "thresholds": dict, "licence": str,
        "config": dict}
INPUT_KEYS = ("name", "type", "layout", "colour", "range", "height", "width", "multiple")
TYPES = ("uint8", "float32")
MOST_SIDE = 1 << 16  # px
CHECKSUM = "checksum"  # of all other keys
OPTIONAL = {"bytes": int, "weights_sha256": str}
"""Keys that earlier versions did not write. weights_sha256: of the .weights.h5 beside, where it holds no digest."""
CONTENTS = ("maps", "faces")  # the net's maps, or faces after decoding and NMS inside the model

RESEARCH = "images for research only, and so are weights trained on them"
LICENCES = {"wider": f"WIDER FACE: {RESEARCH}", "facemask": "face mask detection set: MIT",
            "landmarks": f"HELEN and AFW: {RESEARCH}", "toy": "made up: free"}
"""First word of a data set's name -> the licence of its images. The licence of other sets is not known here."""


def sidecar_path(path: str | os.PathLike) -> Path:
    """MODEL.json of MODEL.onnx, of MODEL.xml, or of the folder MODEL."""
    path = Path(path)
    return path.with_name(path.name + ".json") if path.is_dir() or not path.suffix else path.with_suffix(".json")


def write_sidecar(path: str | os.PathLike, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the sidecar of the model at `path`: `facts` with format, file, bytes and sha256 added.

    Returns:
        All that was written.

    Raises:
        InputError: the sidecar there belongs to another model that still exists.
    """
    sidecar = sidecar_path(path)
    check_free(path)
    facts = {"format": FORMAT, **facts, "file": Path(path).name, "sha256": digest(path)}
    facts = {key: facts[key] for key in KEYS} | {"bytes": size_of(path)}
    write_checked(sidecar, facts)
    return facts


def write_checked(path: str | os.PathLike, facts: Mapping[str, Any]) -> None:
    """Write a sidecar with the checksum of its content."""
    write_whole(path, json.dumps({**facts, CHECKSUM: _checksum(facts)}, indent=1) + "\n")


def read_checked(path: str | os.PathLike) -> Any:
    """Read a sidecar as it is, without its checksum, which must fit the content where there is one.

    Raises:
        InputError: it is no JSON, or its content differs from what was written.
        FileNotFoundError: there is no such file.
    """
    try:
        facts = parse_json_file(path)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}); export or copy both again") from None
    if isinstance(facts, dict) and facts.pop(CHECKSUM, None) not in (None, _checksum(facts)):
        raise InputError(f"{path}: its content differs from what was written (key {CHECKSUM}); export or copy both "
                         f"again, or remove that key if the change was meant")
    return facts


def _checksum(facts):
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()


def check_model(path: str | os.PathLike, facts: Mapping[str, Any], sidecar: str, key: str = "sha256") -> None:
    """Check that a model is the file that its sidecar describes.

    Args:
        facts: with sha256, and bytes where the version that wrote it did.
        sidecar, key: name of the file, and of the key in it, for the message.

    Raises:
        InputError: a file is missing, was copied only in part, or differs.
    """
    if facts["sha256"] == digest(path):
        return
    size, whole = size_of(path), facts.get("bytes")
    if isinstance(whole, int) and size < whole:
        raise InputError(f"{path}: holds {size:,} of {whole:,} bytes, so it was cut short or copied only in part; copy "
                         f"it again" + (" with its .bin" if Path(path).suffix == ".xml" else ""))
    raise InputError(f"{path}: is not the file that {sidecar} describes (sha256 differs, key {key}): it was changed, "
                     f"or copied only in part; export or copy both again")


def digest_of_weights(path: str | os.PathLike) -> str | None:
    """The sha256 that a sidecar beside a .weights.h5 has for it; None where there is none.

    NAME.json is beside NAME.weights.h5, and cascade.json beside those of a cascade.
    """
    path, name = Path(path), Path(path).name.removesuffix(WEIGHTS)
    for sidecar, keys in ((path.with_name(f"{name}.json"), ()), (path.with_name(CASCADE), ("stages", name))):
        try:
            facts = parse_json_file(sidecar)
            for key in keys:
                facts = facts[key]
            if isinstance(facts["weights_sha256"], str):
                return facts["weights_sha256"]
        except (OSError, ValueError, LookupError, TypeError):
            continue
    return None


def check_free(path: str | os.PathLike) -> None:
    """InputError where MODEL.json beside `path` describes another model: two models of one stem would share it."""
    sidecar = sidecar_path(path)
    try:
        other = parse_json_file(sidecar)["file"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{sidecar}: exists and is not the sidecar of a model; choose another name than "
                         f"{path}") from None
    if other != Path(path).name and sidecar.with_name(other).exists():
        raise InputError(f"{sidecar}: describes {other}; choose another name or folder than {path}")


def read_sidecar(path: str | os.PathLike) -> dict[str, Any]:
    """Read MODEL.json of the model at `path`.

    Raises:
        InputError: names the file and the key. The sidecar is missing, broken, of a newer format, or the model is not
            the file that it describes.
    """
    path, sidecar = Path(path), sidecar_path(path)
    if not path.exists():
        raise InputError(f"{path}: no such model file")
    try:
        facts = read_checked(sidecar)
    except FileNotFoundError:
        raise InputError(missing(path)) from None
    _check(sidecar, facts)
    check_model(path, facts, sidecar.name)
    return facts


def missing(path: str | os.PathLike) -> str:
    """The message of a model that has no sidecar."""
    return (f"{sidecar_path(path)}: no such file; it says what {Path(path).name} is and comes with it from "
            f"`manyfaces export`")


def _check(path, facts):
    if not isinstance(facts, dict):
        raise InputError(f"{path}: found a {type(facts).__name__}, expected the keys {', '.join(KEYS)}")
    if facts.get("format") != FORMAT:
        raise InputError(f"{path}: format is {shown(facts.get('format'))}, expected {FORMAT}; it was made by "
                         f"{facts.get('made_by', 'an unknown program')}: export again or use a newer manyfaces")
    for key, kind in KEYS.items():
        if key not in facts:
            raise InputError(f"{path}: the key {key} is missing; export again")
        if not isinstance(facts[key], kind) or isinstance(facts[key], bool):
            raise InputError(f"{path}: {key} is {shown(facts[key])}, expected {kind.__name__}")
    for key, kind in OPTIONAL.items():
        if not isinstance(facts.get(key, kind()), kind):
            raise InputError(f"{path}: {key} is {shown(facts[key])}, expected {kind.__name__}")
    for key in INPUT_KEYS:
        if key not in facts["input"]:
            raise InputError(f"{path}: the key input.{key} is missing; export again")
    given = facts["input"]
    if given["type"] not in TYPES:
        raise InputError(f"{path}: input.type is {shown(given['type'])}, expected {' or '.join(TYPES)}")
    for key in ("height", "width", "multiple"):
        if given[key] is not None or key == "multiple":
            check_whole(given[key], f"{path}: input.{key}", Range(least=1, most=MOST_SIDE))
    if facts["content"] not in CONTENTS:
        raise InputError(f"{path}: content is {shown(facts['content'])}, expected {' or '.join(CONTENTS)}")
    for number, output in enumerate(facts["outputs"]):
        if not isinstance(output, dict) or not isinstance(output.get("name"), str):
            raise InputError(f"{path}: outputs[{number}] is {shown(output)}, expected a dict with a name")


def config_of(path: str | os.PathLike, facts: Mapping[str, Any]) -> EasyDict:
    """The config that a sidecar holds, whichever version of this package wrote it.

    A key or value that this version does not know is left out where it concerns only training: the model runs without
    it.

    Raises:
        InputError: this version does not know a key or value that decides what the model finds.
    """
    cfg = load_config()
    for key, value in flat_items(facts["config"]):
        try:
            override(cfg, [key, json.dumps(value) if isinstance(value, str) else value])
        except InputError as error:
            if not _decides(key):
                continue
            message = str(error).removeprefix("--set:").strip()
            raise InputError(f"{sidecar_path(path)}: config: {message}; run the model with the version that made it "
                             f"({facts['made_by']}), or export its weights again with this one") from None
    return cfg


def _decides(key):
    """Whether an exported model runs by a key of its config (or by a key of that group)."""
    # MTCNN.FC chooses a layer inside a net; exported nets contain it, and nothing reads the key.
    return not key.startswith("MTCNN.FC") and bool(roles_of(key) & {"net", "testing"})


def licence_of(datasets: str) -> str:
    """Licence of training data named as in TRAIN.DATASETS: wider_train+facemask_train."""
    found = []
    for name in filter(None, datasets.split("+")):
        found.append(LICENCES.get(name.split("_")[0].lower(), f"{name}: not known here, ask who trained it"))
    return "; ".join(dict.fromkeys(found)) or "not known"


