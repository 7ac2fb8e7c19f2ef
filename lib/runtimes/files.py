"""The files of a model: their hash, and what belongs to a cascade.

A cascade is a folder. DIR/pnet.weights.h5, DIR/rnet.weights.h5 and DIR/onet.weights.h5 are its weights. DIR/pnet.onnx
(or .xml) and so on are the exported nets, and DIR/cascade.json is their sidecar. One folder may hold both. Weights may
also come from a folder of trainings: DIR/mtcnn_pnet/best.weights.h5 and so on.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..cascade.stages import STAGES
from ..errors import InputError
from ..parsing import parse_json_file

WEIGHTS = ".weights.h5"
SIDECAR = "cascade.json"


@dataclass(frozen=True)
class CascadeFiles(os.PathLike):
    """The three files of a cascade: its weights, or its exported nets. As a path it is their folder.

    Attributes:
        folder: holds the files, or the folders of the trainings.
        files: those of P-Net, R-Net and O-Net.
    """

    folder: Path
    files: tuple[Path, ...]

    @classmethod
    def named(cls, folder: str | os.PathLike, ending: str) -> CascadeFiles:
        """DIR/pnetENDING, DIR/rnetENDING and DIR/onetENDING, which need not exist."""
        folder = Path(folder)
        return cls(folder, tuple(folder / f"{stage}{ending}" for stage in STAGES))

    @classmethod
    def weights(cls, path: str | os.PathLike) -> CascadeFiles:
        """The weights in a folder of a cascade, or in a folder of trainings.

        Raises:
            InputError: names the first file that is missing.
        """
        if isinstance(path, cls):
            return path
        found, folder = cls.named(path, WEIGHTS), Path(path)
        if folder.is_file():
            raise InputError(f"{folder}: is a file; the weights of a cascade are a folder that holds "
                             f"{', '.join(file.name for file in found.files)}")
        if not any(file.is_file() for file in found.files) and any(run.is_dir() for run in trainings(folder).values()):
            found = cls(folder, tuple(trained_weights(run) for run in trainings(folder).values()))
        for file in found.files:
            if not file.is_file():
                raise InputError(f"{file}: no such weights file; expected a folder that holds "
                                 f"{', '.join(stage + WEIGHTS for stage in STAGES)}, or the trainings "
                                 f"{', '.join(run.name for run in trainings(folder).values())}")
        return found

    @classmethod
    def exported(cls, path: str | os.PathLike) -> CascadeFiles | None:
        """The nets that DIR/cascade.json describes; None where a path is no folder with that file."""
        if isinstance(path, cls):
            return path
        folder = Path(path)
        if not (folder / SIDECAR).is_file():
            return None
        try:
            stages = parse_json_file(folder / SIDECAR)["stages"]
            ending = Path(stages[STAGES[0]]["file"]).suffix
        except (OSError, ValueError, KeyError, TypeError):
            ending = ".onnx"  # read_cascade reports what is wrong with the sidecar
        return cls.named(folder, ending)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def sidecar(self) -> Path:
        """DIR/cascade.json."""
        return self.folder / SIDECAR

    @property
    def ending(self) -> str:
        """.onnx, .xml or .h5."""
        return self.files[0].suffix.lower()

    def all_there(self) -> bool:
        return all(file.is_file() for file in self.files)

    def items(self) -> Iterator[tuple[str, Path]]:
        """Yield (stage, file)."""
        return zip(STAGES, self.files, strict=True)

    def __getitem__(self, stage: str) -> Path:
        return self.files[STAGES.index(stage)]

    def __fspath__(self) -> str:
        return str(self.folder)

    def __str__(self) -> str:
        return str(self.folder)


def has_cascade_weights(path: str | os.PathLike) -> bool:
    """Whether a folder holds the weights of all three nets, its own or those of trainings."""
    try:
        return bool(CascadeFiles.weights(path))
    except InputError:
        return False


def has_any_cascade_weights(path: str | os.PathLike) -> bool:
    """Whether a folder holds the weights of at least one of the three nets, its own or those of trainings."""
    files = CascadeFiles.named(path, WEIGHTS).files
    return any(file.is_file() for file in files) or has_cascade_weights(path)


def trainings(folder: str | os.PathLike) -> dict[str, Path]:
    """Stage -> folder of its training in a folder of trainings: DIR/mtcnn_pnet and so on, which need not exist."""
    return {stage: Path(folder) / f"mtcnn_{stage}" for stage in STAGES}


def trained_weights(folder: str | os.PathLike) -> Path:
    """The best weights of a training in `folder`, or its last ones if it has no best ones. They need not exist."""
    best, last = (Path(folder) / f"{which}{WEIGHTS}" for which in ("best", "last"))
    return last if last.is_file() and not best.is_file() else best


def model_files(path: str | os.PathLike) -> list[Path]:
    """The files that are hashed for a model: three of a cascade, else the path itself."""
    return list(path.files) if isinstance(path, CascadeFiles) else [Path(path)]


def is_utf8(path: str | os.PathLike) -> bool:
    """Whether the bytes of a name are UTF-8."""
    return "\ufffd" not in os.fsencode(path).decode("utf-8", "replace")


def absolute(path: str | os.PathLike) -> Path | CascadeFiles:
    """A model by a path that holds in any working directory."""
    if isinstance(path, CascadeFiles):
        return CascadeFiles(path.folder.absolute(), tuple(file.absolute() for file in path.files))
    return Path(path).absolute()


def stamp(path: str | os.PathLike) -> tuple[tuple[Path, int, int], ...]:
    """(path, bytes, time of change in ns) of each file of a model that is there."""
    found = []
    for file in (part for model in model_files(path) for part in _parts(model)):
        with contextlib.suppress(FileNotFoundError):
            status = file.stat()
            found.append((file, status.st_size, status.st_mtime_ns))
    return tuple(found)


def check_stamp(before: tuple[tuple[Path, int, int], ...], path: str | os.PathLike) -> None:
    """Compare a model with its `stamp`, where a detector that was loaded from it is opened again.

    Raises:
        InputError: names the file that is missing or has changed.
    """
    now = {file: facts for file, *facts in stamp(path)}
    for file, *facts in before:
        if file not in now:
            raise InputError(f"{file}: no such file; export or copy the model again")
        if facts != now[file]:
            raise InputError(f"{file}: has changed since the detector was loaded from it, so a copy of the detector "
                             f"would be another one; load it again")


def _parts(path):
    """The files of a model that is no cascade."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return files + ([path.with_suffix(".bin")] if path.suffix == ".xml" else [])


def size_of(path: str | os.PathLike) -> int:
    """Bytes of a model: of a file, of an .xml with its .bin, or of all files of a folder."""
    return sum(file.stat().st_size for file in _parts(Path(path)) if file.is_file())


def digest(path: str | os.PathLike) -> str:
    """sha256 of a model.

    Of a file; of an .xml with its .bin; of all files of a folder in the order of their names; of a cascade: over the
    digests of its three files.

    Raises:
        InputError: a file is missing.
    """
    if isinstance(path, CascadeFiles):
        return hashlib.sha256("".join(digest(file) for file in path.files).encode()).hexdigest()
    path, found = Path(path), hashlib.sha256()
    for file in _parts(path):
        try:
            with open(file, "rb") as stream:
                while block := stream.read(1 << 20):
                    found.update(block)
        except FileNotFoundError:
            belongs = f"; it belongs to {path.name}" if file != path else ""
            raise InputError(f"{file}: no such file{belongs}; export or copy the model again") from None
    return found.hexdigest()
