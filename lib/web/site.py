"""What the page consists of: a table from address to file, and site.json, which tells the page what there is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .. import __version__, pretrained
from ..errors import InputError
from ..runtimes.sidecar import read_sidecar, sidecar_path

VERSION = 1  # of site.json
RUNTIME = "browser/ort/"  # relative addresses
SERVICE = "v1/detect"
TITLES = {"ssh_mobilenet_v1_025": "SSH", "ssh_mobilenet_v1_025_light": "SSH, light",
          "tiny_mobilenet_v1_025": "Tiny Faces, one scale", "ssd_mobilenet_v2_075": "SSD", "mtcnn": "MTCNN",
          "grid_mobilenet_v2_100": "Grid"}
DEFAULT = "ssh_mobilenet_v1_025"


def page_folder() -> Path:
    """The page's own files; they are part of the package."""
    return Path(__file__).parent / "page"


def site_files(models: Sequence[str | Path] | None = None, runtime: Path | None = None,
               service: Iterable[str] | None = None) -> dict[str, Path | bytes]:
    """Everything that the page asks for: relative address -> file or content. "" is the page itself.

    Args:
        models: names of shipped detectors or paths of exported models (.onnx) that run in the browser; None: all that
            ship and are installed.
        runtime: as `runtime_folder` gives it; None: no detector runs in the browser.
        service: names of the detectors that the same server answers for under SERVICE; None: there is no service.

    Raises:
        InputError: names the model that is missing or that no browser can run, and why.
    """
    page = page_folder()
    files: dict[str, Path | bytes] = {path.relative_to(page).as_posix(): path for path in sorted(page.rglob("*"))
                                      if path.is_file()}
    rows: dict[str, dict[str, Any]] = {}
    if runtime is not None:
        files |= {RUNTIME + path.name: path for path in sorted(runtime.iterdir()) if path.suffix in (".mjs", ".wasm")}
        for model in shipped() if models is None else models:
            name, path = _model(model)
            if name in rows:
                raise InputError(f"--model: found two models of the name {name}, expected each name once")
            rows[name] = _row(name, path)
            files |= {f"models/{name}.onnx": path, f"models/{name}.json": sidecar_path(path)}
    for name in service or ():
        if name not in rows:
            rows[name] = _row(name, None)
            if name in shipped():
                files[f"models/{name}.json"] = sidecar_path(_model(name)[1])
                rows[name]["facts"] = f"models/{name}.json"
        rows[name]["service"] = True
    chosen = DEFAULT if DEFAULT in rows else next(iter(rows), None)
    for name, row in rows.items():
        row["default"] = name == chosen
    site = {"version": VERSION, "package": __version__, "runtime": None if runtime is None else RUNTIME,
            "service": None if service is None else SERVICE, "models": list(rows.values())}
    files["site.json"] = json.dumps(site, indent=1).encode() + b"\n"
    files[""] = files["index.html"]
    return files


def shipped() -> list[str]:
    """Names of the installed detectors that run in a browser: those with anchors."""
    return [name for name in TITLES if name in pretrained.names() and _is_single(name)]


def _is_single(name):
    path = pretrained.model_file(name)
    return path is not None and path.suffix == ".onnx" and bool(read_sidecar(path)["anchors"])


def _model(model):
    """(name, path of the .onnx) of a shipped name or a path, which are checked."""
    known = pretrained.is_known(str(model))
    path = pretrained.model_file(str(model)) if known else Path(model)
    expected = "expected an .onnx of SSH, Tiny Faces or SSD, or one of: " + ", ".join(shipped())
    if path is None or path.suffix != ".onnx":
        raise InputError(f"{model}: cannot run in a browser; {expected}")
    facts = read_sidecar(path)
    if not facts["anchors"] or facts["content"] != "maps":
        raise InputError(f"{model}: its family is {facts['family']} and its content {facts['content']}, which the page "
                         f"cannot decode; {expected}")
    return (str(model) if known else path.stem), path


def _row(name, path):
    return {"name": name, "title": TITLES.get(name, name), "onnx": path and f"models/{name}.onnx",
            "facts": path and f"models/{name}.json", "service": False, "default": False,
            "megabytes": path and round(path.stat().st_size / 1e6, 1)}
