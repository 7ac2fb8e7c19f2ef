"""From a finished training to what ships: NAME.weights.h5, NAME.yml, NAME.onnx and NAME.json in one folder.

Of MTCNN's three trainings NAME.yml, and the folder NAME with pnet.weights.h5, pnet.onnx and so on, and cascade.json.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import pretrained
from ..cascade.stages import CASCADE, STAGES, stage_of
from ..config import load_config, override, reset, save_config
from ..errors import InputError
from ..runtimes.files import WEIGHTS, CascadeFiles, trained_weights, trainings
from ..runtimes.sidecar import licence_of
from ..weights.content import stamped

LIMIT = 5_000_000  # bytes of a file; they are part of every clone and every installed package


def ship(run: str | os.PathLike, folder: str | os.PathLike | None = None, name: str | None = None,
         weights: str | os.PathLike | None = None, overrides: Sequence[Any] = (), half: bool = False,
         licence: str | None = None) -> tuple[dict[str, int], dict[str, Any]]:
    """Write the files of a training to a folder.

    Args:
        run: folder of the training, output/NAME; or the folder that holds MTCNN's three trainings, output: then the
            config that ships is O-Net's, for all stages.
        folder: where the files go; None: lib/pretrained.
        name: name under which it ships; None: that of its config.
        weights: a .weights.h5, for MTCNN the folder of a cascade; None: the best ones of the run, else its last ones.
        overrides: [KEY, VALUE, ...] of the config, such as thresholds chosen after the training.
        half: store the weights as float16 (not for MTCNN).
        licence: as in export().

    Returns:
        (file name below the folder -> bytes, the facts of export()).

    Raises:
        InputError: something is missing, or a file would be larger than LIMIT. Then nothing is written.
    """
    from .export import export
    from .half import halve_weights

    folder, runs = Path(folder or pretrained.FOLDER), _trainings(Path(run))
    configs = [load_config(each / "config.yml") for each in runs.values()]
    cfg, whole = configs[-1], len(runs) == len(STAGES)
    if whole:
        cfg.NAME, cfg.MTCNN.STAGE = cfg.NAME.removesuffix(f"_{STAGES[-1]}"), CASCADE
    elif stage_of(cfg):
        raise InputError(f"{run}: holds one of MTCNN's nets; --run takes the folder that holds the trainings of all "
                         f"three, such as {Path(run).parent}")
    cfg.NAME = name or cfg.NAME
    reset(cfg, "place")
    override(cfg, overrides)
    learnt = [names for each in configs for names in (each.TRAIN.DATASETS, each.MTCNN.LANDMARKS) if names]
    licence = licence or licence_of("+".join(learnt))
    with tempfile.TemporaryDirectory() as temporary:
        made_in = Path(temporary)
        made = made_in / (cfg.NAME if whole else cfg.NAME + WEIGHTS)
        model = made_in / (cfg.NAME if whole else cfg.NAME + pretrained.MODEL)
        for stage, source in _weights(runs, weights).items():
            path = CascadeFiles.named(made, WEIGHTS)[stage] if whole else made
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(halve_weights(source) if half else stamped(source))
        save_config(cfg, made_in / f"{cfg.NAME}.yml")
        facts = export(cfg, made, model, licence=licence, half=half)
        files = sorted(path for path in made_in.rglob("*") if path.is_file())
        sizes = {path.relative_to(made_in).as_posix(): path.stat().st_size for path in files}
        large = [f"{file} has {size:,}" for file, size in sizes.items() if size > LIMIT]
        if large:
            raise InputError(f"{', '.join(large)} bytes, at most {LIMIT:,} ship; "
                             + ("take a smaller net" if half else "store the weights as float16: --half"))
        for file in sizes:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(made_in / file, folder / file)
    return sizes, facts


def _trainings(run: Path) -> dict[str, Path]:
    """Stage -> folder of its training, of MTCNN's three in `run`; of a single training under the stage ""."""
    if (run / "config.yml").is_file():
        return {"": run}
    runs = trainings(run)
    missing = [each / "config.yml" for each in runs.values() if not (each / "config.yml").is_file()]
    if len(missing) == len(STAGES):
        raise InputError(f"{run / 'config.yml'}: no such file; --run takes the folder of a training, output/NAME, or "
                         f"the one that holds MTCNN's three, output")
    if missing:
        raise InputError(f"{missing[0]}: no such file; MTCNN ships when all three nets are trained")
    return runs


def _weights(runs: dict[str, Path], weights: str | os.PathLike | None) -> dict[str, Path]:
    """Stage -> file of the weights that ship; `weights` as in ship()."""
    if weights is None:
        found = {stage: trained_weights(folder) for stage, folder in runs.items()}
    elif len(runs) == 1:
        found = {"": Path(weights)}
    else:
        found = dict(CascadeFiles.weights(weights).items())
    for path in found.values():
        if not path.is_file():
            raise InputError(f"{path}: no such weights file")
    return found


