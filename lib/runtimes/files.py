"""A model of several nets, MTCNN's cascade: NAME.onnx stands for NAME_pnet.onnx, NAME_rnet.onnx and NAME_onet.onnx.

The same goes for NAME.xml and NAME.weights.h5. One sidecar, NAME.json, describes the three: it is a sidecar as any
other, with the `content` cascade, no input of its own, and `stages`, the facts of each net.
"""

import hashlib
from pathlib import Path

from ..errors import InputError

STAGES = ("pnet", "rnet", "onet")


def stage_file(path, stage):
    """DIR/NAME_pnet.onnx of DIR/NAME.onnx; of a folder of trainings DIR the weights of DIR/mtcnn_pnet."""
    path = Path(path)
    if path.is_dir():
        return trained_weights(path / f"mtcnn_{stage}")
    stem, dot, ending = path.name.partition(".")
    return path.with_name(f"{stem}_{stage}{dot}{ending}")


def trained_weights(folder):
    """The best weights of a training in `folder`, the last ones where it selected none; they may not be there yet."""
    best, last = (Path(folder) / f"{which}.weights.h5" for which in ("best", "last"))
    return last if last.is_file() and not best.is_file() else best


def stage_files(path):
    """The files that a path stands for: those of the three nets where no file has that very name, else [path]."""
    files = [stage_file(path, stage) for stage in STAGES]
    return files if not Path(path).is_file() and all(file.is_file() for file in files) else [Path(path)]


def is_cascade(path):
    """Whether a path stands for the files of three nets."""
    return len(stage_files(path)) == len(STAGES)


def digest(path):
    """sha256 of a model: of its file; with the .bin for an .xml; of all files in order of their names for a folder."""
    path, found = Path(path), hashlib.sha256()
    if len(stages := stage_files(path)) > 1:
        return combined_digest(stages)
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    files += [path.with_suffix(".bin")] if path.suffix == ".xml" else []
    for file in files:
        try:
            with open(file, "rb") as stream:
                while block := stream.read(1 << 20):
                    found.update(block)
        except FileNotFoundError:
            raise InputError(f"{file}: no such file; it belongs to {path.name}") from None
    return found.hexdigest()


def combined_digest(paths):
    """sha256 over the digests of several models."""
    from .files import digest

    return hashlib.sha256("".join(digest(path) for path in paths).encode()).hexdigest()
