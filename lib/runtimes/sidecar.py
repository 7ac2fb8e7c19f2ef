"""The sidecar of an exported model: MODEL.json beside MODEL.onnx, .xml, .tflite or a SavedModel's folder.

It makes the file self-describing: what goes in, what comes out, the anchors and thresholds that make faces of it, the
whole config, the licence of the training data, and the hash of the file that it belongs to.
"""

import json
from pathlib import Path

from ..config import flat_items, load_config, override, roles_of
from ..errors import InputError
from ..files import write_whole
from .files import digest

FORMAT = 1  # raised when an older reader could misread the sidecar
KEYS = {"format": int, "made_by": str, "file": str, "sha256": str, "family": str, "name": str, "content": str,
        "precision": str, "input": dict, "outputs": list, "anchors": list, "thresholds": dict, "licence": str,
        "config": dict}
INPUT_KEYS = ("name", "type", "layout", "colour", "range", "height", "width", "multiple")
CONTENTS = ("maps", "faces")  # the net's maps, or faces after decoding and NMS inside the model

RESEARCH = "images for research only, and so are weights trained on them"
LICENCES = {"wider": f"WIDER FACE: {RESEARCH}", "facemask": "face mask detection set: MIT",
            "landmarks": f"HELEN and AFW: {RESEARCH}", "toy": "made up: free"}
"""First word of a data set's name -> the licence of its images; of other sets nothing is known here."""


def sidecar_path(path):
    """MODEL.json of MODEL.onnx, of MODEL.xml, or of the folder MODEL."""
    path = Path(path)
    return path.with_name(path.name + ".json") if path.is_dir() or not path.suffix else path.with_suffix(".json")


def write_sidecar(path, facts):
    """Write the sidecar of the model at `path`: `facts` with format, file and sha256 added. Returns the whole dict.

    Raises InputError where the sidecar there belongs to another model that is still there, OSError as writing does.
    """
    beside = sidecar_path(path)
    check_free(path)
    facts = {"format": FORMAT, **facts, "file": Path(path).name, "sha256": digest(path)}
    facts = {key: facts[key] for key in KEYS}
    write_whole(beside, (json.dumps(facts, indent=1) + "\n").encode())
    return facts


def check_free(path):
    """InputError where MODEL.json beside `path` describes another model: two of one stem would share it."""
    beside = sidecar_path(path)
    try:
        other = json.loads(beside.read_text(encoding="utf-8"))["file"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{beside}: is there and is no sidecar of a model; choose another name than {path}") from None
    if other != Path(path).name and beside.with_name(other).exists():
        raise InputError(f"{beside}: describes {other}; choose another name or folder than {path}")


def read_sidecar(path):
    """The dict in MODEL.json of the model at `path`.

    Raises InputError that names the file and the key where it is missing, broken, of a newer format, or where the model
    is not the file that it describes.
    """
    path, beside = Path(path), sidecar_path(path)
    if not path.exists():
        raise InputError(f"{path}: no such model file")
    try:
        facts = json.loads(beside.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{beside}: no such file; it says what {path.name} is and comes with it from "
                         f"tools/export.py") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{beside}: cannot be read as JSON ({error})") from None
    _check(beside, facts)
    if facts["sha256"] != digest(path):
        raise InputError(f"{path}: is not the file that {beside.name} describes (sha256 differs, key sha256); "
                         f"export or copy both again")
    return facts


def _check(path, facts):
    if not isinstance(facts, dict):
        raise InputError(f"{path}: found a {type(facts).__name__}, expected the keys {', '.join(KEYS)}")
    if facts.get("format") != FORMAT:
        raise InputError(f"{path}: format is {facts.get('format')!r}, expected {FORMAT}; it was made by "
                         f"{facts.get('made_by', 'an unknown program')}: export again or use a newer manyfaces")
    for key, kind in KEYS.items():
        if key not in facts:
            raise InputError(f"{path}: the key {key} is missing; export again")
        if not isinstance(facts[key], kind) or isinstance(facts[key], bool):
            raise InputError(f"{path}: {key} is {facts[key]!r}, expected {kind.__name__}")
    for key in INPUT_KEYS:
        if key not in facts["input"]:
            raise InputError(f"{path}: the key input.{key} is missing; export again")
    if facts["content"] not in CONTENTS:
        raise InputError(f"{path}: content is {facts['content']!r}, expected {' or '.join(CONTENTS)}")
    for number, output in enumerate(facts["outputs"]):
        if not isinstance(output, dict) or not isinstance(output.get("name"), str):
            raise InputError(f"{path}: outputs[{number}] is {output!r}, expected a dict with a name")


def config_of(path, facts):
    """The config (EasyDict) that a sidecar holds, whichever version of this package wrote it.

    What this version does not know, or not with such a value, keeps its default where it is about training alone: an
    exported model runs without it. InputError that names the key where it decides what the model finds.
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


def licence_of(datasets):
    """Words on the licence of training data named as TRAIN.DATASETS names them: wider_train+facemask_train."""
    found = []
    for name in filter(None, datasets.split("+")):
        found.append(LICENCES.get(name.split("_")[0].lower(), f"{name}: not known here, ask who trained it"))
    return "; ".join(dict.fromkeys(found)) or "not known"


