"""What the page consists of: a table from address to file, and site.json, which tells the page what there is."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2

from .. import __version__, pretrained
from ..constants import DEFAULT_DETECTOR
from ..datasets.toy import portrait_collage
from ..datasets.toy.portraits import PICTURES
from ..errors import InputError
from ..runtimes.sidecar import read_sidecar, sidecar_path
from .runtime import FILES, WEBGPU_FILES

VERSION = 1  # of site.json
RUNTIME = "browser/ort/"  # relative addresses
SERVICE = "v1/detect"
TITLES = {"ssh_mobilenet_v1_025": "SSH", "tiny_mobilenet_v1_025": "Tiny Faces, one scale",
          "ssd_mobilenet_v2_075": "SSD", "mtcnn": "MTCNN", "grid_mobilenet_v2_100": "Grid"}
EXAMPLES = ("portrait.jpg", "crowd.jpg")  # Grace Hopper, in the public domain, and a crowd made of her and another one


def page_folder() -> Path:
    """The page's own files; they are part of the package."""
    return Path(__file__).parent / "page"


def site_files(models: Sequence[str | Path] | None = None, runtime: Path | None = None,
               service: Iterable[str] | None = None, webgpu: bool = True) -> dict[str, Path | bytes]:
    """Everything that the page asks for: relative address (not quoted) -> file or content. "" is the page itself.

    Args:
        models: names of shipped detectors or paths of exported models (.onnx) that run in the browser, the one that is
            shown first; None: all that ship and are installed.
        runtime: as `runtime_folder` gives it; None: no detector runs in the browser.
        service: names of the detectors that the same server answers for under SERVICE; None: there is no service.
        webgpu: with the files of the runtime for graphics cards.

    Raises:
        InputError: as in `browser_models`.
    """
    page = page_folder()
    files: dict[str, Path | bytes] = {path.name: path for path in sorted(page.iterdir()) if path.is_file()}
    files |= dict(zip(EXAMPLES, (PICTURES / "hopper.jpg", _crowd()), strict=True))
    rows: dict[str, dict[str, Any]] = {}
    if runtime is not None:
        files |= {RUNTIME + name: runtime / name for name in FILES + (WEBGPU_FILES if webgpu else ())}
        for name, path in browser_models(models).items():
            rows[name] = _row(name, path)
            files |= {f"models/{name}.onnx": path, f"models/{name}.json": sidecar_path(path)}
    known = shipped()
    for name in service or ():
        if name not in rows:
            rows[name] = _row(name, None)
            if name in known:
                files[f"models/{name}.json"] = sidecar_path(_single(name))
                rows[name]["facts"] = _address(name, ".json")
        rows[name]["service"] = True
    first = DEFAULT_DETECTOR if DEFAULT_DETECTOR in rows and not models else next(iter(rows), None)
    for name, row in rows.items():
        row["default"] = name == first
    site = {"version": VERSION, "package": __version__, "runtime": None if runtime is None else RUNTIME,
            "webgpu": runtime is not None and webgpu, "service": None if service is None else SERVICE,
            "examples": EXAMPLES, "models": list(rows.values())}
    files["site.json"] = json.dumps(site, indent=1).encode() + b"\n"
    files[""] = files["index.html"]
    return files


def shipped() -> list[str]:
    """Names of the installed detectors that run in a browser: those with anchors."""
    return [name for name in TITLES if name in pretrained.names() and (path := _single(name)) and _decodable(path)]


def browser_models(models: Sequence[str | Path] | None = None) -> dict[str, Path]:
    """The .onnx of detectors that run in a browser, by name.

    Args:
        models: names of shipped detectors or paths of exported models; None: all that ship and are installed.

    Raises:
        InputError: names the model that is missing, that no browser can run, or whose name comes twice.
    """
    chosen = {}
    for model in shipped() if models is None else models:
        known = pretrained.is_known(str(model))
        path = _single(str(model)) if known else Path(model)
        if path is None or path.suffix != ".onnx" or not _decodable(path):
            raise InputError(f"{model}: does not run in a browser; expected the .onnx of an SSH, Tiny Faces or SSD "
                             f"without --nms, or one of: {', '.join(shipped())}")
        name = str(model) if known else path.stem
        if name in chosen:
            raise InputError(f"found two models of the name {name}, {chosen[name]} and {path}; rename one of them")
        chosen[name] = path
    return chosen


def _single(name):
    """The .onnx that ships under a name, None for a cascade."""
    path = pretrained.model_file(name)
    return path if path is not None and path.suffix == ".onnx" else None


def _decodable(path):
    """Whether a model gives maps with anchors for images as the page has them."""
    facts = read_sidecar(path)
    given = facts["input"]
    return bool(facts["anchors"]) and facts["content"] == "maps" and (given["type"], given["multiple"]) == ("uint8", 1)


@functools.cache
def _crowd():
    """The bytes of a JPEG."""
    return cv2.imencode(".jpg", portrait_collage(1280, 800)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()


def _address(name, ending):
    """As the page asks for it: a name of a file may hold any character."""
    return "models/" + quote(os.fsencode(name + ending))


def _row(name, path):
    return {"name": name, "title": TITLES.get(name, name), "onnx": path and _address(name, ".onnx"),
            "facts": path and _address(name, ".json"), "service": False, "default": False,
            "megabytes": path and round(path.stat().st_size / 1e6, 1)}
