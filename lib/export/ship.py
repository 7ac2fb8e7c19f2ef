"""From a finished training to what ships: NAME.weights.h5, NAME.yml, NAME.onnx and NAME.json in one folder.

Of MTCNN's three trainings NAME_pnet.weights.h5, _rnet and _onet, as many .onnx files, one NAME.yml and one NAME.json.
"""

import shutil
import tempfile
from pathlib import Path

from .. import pretrained
from ..config import default_config, keys_with, load_config, override, save_config
from ..errors import InputError
from ..runtimes.files import STAGES, is_cascade, stage_file, trained_weights
from ..runtimes.sidecar import licence_of

LIMIT = 5_000_000  # bytes of a file; they are part of every clone and every installed package


def ship(run, folder=None, name=None, weights=None, overrides=(), half=False, licence=None):
    """Write the files of the training in `run` (output/NAME) to `folder` (default: lib/pretrained).

    run: or the folder that holds MTCNN's three trainings, output; then the config that ships is O-Net's, of all stages.
    name: under which it ships (default: that of its config). weights: None: best.weights.h5 of the run, else last; of
    MTCNN a path that stands for three (runtimes.stages). overrides: [KEY, VALUE, ...] of the config, such as the
    thresholds that were chosen since. half: weights are stored as float16 (not MTCNN's). licence: as export() has it.
    Returns dict file name -> bytes, and what export() says of the ONNX. Raises InputError, also where a file would be
    over LIMIT; then nothing is written.
    """
    from .export import export
    from .half import halve_weights

    folder, parts = Path(folder or pretrained.FOLDER), _trainings(Path(run))
    configs, defaults = [load_config(part / "config.yml") for part in parts.values()], default_config()
    cfg = configs[-1]
    if len(parts) == len(STAGES):
        cfg.NAME, cfg.MTCNN.STAGE = cfg.NAME.removesuffix(f"_{STAGES[-1]}"), "cascade"
    elif cfg.FAMILY == "mtcnn":
        raise InputError(f"{run}: holds one of MTCNN's nets; --run takes the folder that holds the trainings of all "
                         f"three, such as {Path(run).parent}")
    cfg.NAME = name or cfg.NAME
    for key in keys_with("place"):
        override(cfg, [key, _value(defaults, key)])
    override(cfg, overrides)
    learnt = [names for each in configs for names in (each.TRAIN.DATASETS, each.MTCNN.LANDMARKS) if names]
    licence = licence or licence_of("+".join(learnt))
    with tempfile.TemporaryDirectory() as beside:
        made = Path(beside, cfg.NAME + pretrained.WEIGHTS)
        for stage, source in _weights(parts, weights).items():
            path = stage_file(made, stage) if stage else made
            path.write_bytes(halve_weights(source) if half else source.read_bytes())
        save_config(cfg, Path(beside, f"{cfg.NAME}.yml"))
        facts = export(cfg, made, Path(beside, cfg.NAME + pretrained.MODEL), licence=licence, half=half)
        files = sorted(Path(beside).iterdir())
        sizes = {path.name: path.stat().st_size for path in files}
        large = [f"{file} has {size:,}" for file, size in sizes.items() if size > LIMIT]
        if large:
            raise InputError(f"{', '.join(large)} bytes, at most {LIMIT:,} ship; "
                             + ("take a smaller net" if half else "store the weights as float16: --half"))
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            shutil.copyfile(path, folder / path.name)
    return sizes, facts


def _trainings(run):
    """Dict stage -> folder of its training, of MTCNN's three in `run`; of a single training under the stage ""."""
    if (run / "config.yml").is_file():
        return {"": run}
    parts = {stage: run / f"mtcnn_{stage}" for stage in STAGES}
    missing = [part / "config.yml" for part in parts.values() if not (part / "config.yml").is_file()]
    if len(missing) == len(STAGES):
        raise InputError(f"{run / 'config.yml'}: no such file; --run takes the folder of a training, output/NAME, or "
                         f"the one that holds MTCNN's three, output")
    if missing:
        raise InputError(f"{missing[0]}: no such file; MTCNN ships when all three nets are trained")
    return parts


def _weights(parts, weights):
    """Dict stage -> file of the weights that ship; `weights` as ship() has it."""
    if weights is None:
        found = {stage: trained_weights(folder) for stage, folder in parts.items()}
    elif len(parts) == 1:
        found = {"": Path(weights)}
    elif is_cascade(weights):
        found = {stage: stage_file(weights, stage) for stage in parts}
    else:
        raise InputError(f"{weights}: does not stand for three files; expected e.g. DIR/mtcnn.weights.h5, beside which "
                         f"are mtcnn_pnet.weights.h5, mtcnn_rnet.weights.h5 and mtcnn_onet.weights.h5")
    for path in found.values():
        if not path.is_file():
            raise InputError(f"{path}: no such weights file")
    return found


def _value(cfg, key):
    for part in key.split("."):
        cfg = cfg[part]
    return cfg
