"""From a finished training to what ships: NAME.weights.h5, NAME.yml, NAME.onnx and NAME.json in one folder."""

import shutil
import tempfile
from pathlib import Path

from .. import pretrained
from ..config import default_config, load_config, override, save_config
from ..errors import InputError

LIMIT = 5_000_000  # bytes of a file; they are part of every clone and every installed package
NOT_SHIPPED = ("DATA_DIR", "OUTPUT_DIR", "TRAIN.INIT")  # keys that say where a training ran


def ship(run, folder=None, name=None, weights=None, overrides=(), half=False, licence=None):
    """Write the four files of the training in `run` (output/NAME) to `folder` (default: lib/pretrained).

    name: under which it ships (default: that of its config). weights: of the run, None: best.weights.h5, else last.
    overrides: [KEY, VALUE, ...] of the config, such as the thresholds that were chosen since. half: weights are stored
    as float16. licence: as export() has it.
    Returns dict file name -> bytes, and what export() says of the ONNX. Raises InputError, also where a file would be
    over LIMIT; then nothing is written.
    """
    from .export import export
    from .half import halve_weights

    run, folder = Path(run), Path(folder or pretrained.FOLDER)
    config = run / "config.yml"
    if not config.is_file():
        raise InputError(f"{config}: no such file; --run takes the folder of a training, output/NAME")
    cfg, defaults = load_config(config), default_config()
    cfg.NAME = name or cfg.NAME
    for key in NOT_SHIPPED:
        override(cfg, [key, _value(defaults, key)])
    override(cfg, overrides)
    ending = pretrained.WEIGHTS
    found = [Path(weights)] if weights else [run / f"{which}{ending}" for which in ("best", "last")]
    source = next((path for path in found if path.is_file()), None)
    if source is None:
        raise InputError(f"{found[0]}: no such weights file")
    with tempfile.TemporaryDirectory() as beside:
        made = {kind: Path(beside) / f"{cfg.NAME}{kind}" for kind in (ending, ".yml", pretrained.MODEL, ".json")}
        made[ending].write_bytes(halve_weights(source) if half else source.read_bytes())
        save_config(cfg, made[".yml"])
        facts = export(cfg, made[ending], made[pretrained.MODEL], licence=licence, half=half)
        sizes = {path.name: path.stat().st_size for path in made.values()}
        large = [f"{file} has {size:,}" for file, size in sizes.items() if size > LIMIT]
        if large:
            raise InputError(f"{', '.join(large)} bytes, at most {LIMIT:,} ship; "
                             + ("take a smaller net" if half else "store the weights as float16: --half"))
        folder.mkdir(parents=True, exist_ok=True)
        for path in made.values():
            shutil.copyfile(path, folder / path.name)
    return sizes, facts


def _value(cfg, key):
    for part in key.split("."):
        cfg = cfg[part]
    return cfg
