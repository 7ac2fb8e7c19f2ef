"""From annotated photographs to a detector that was trained on them: the steps of `manyfaces train PHOTOS ANNOTATIONS`.

Everything is in one folder, that of the training, so a run can be stopped at any step and continued.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import pretrained
from ..cascade.stages import is_cascade
from ..config import check_value, keys_with, load_config, override, reset, save_config
from ..constants import DEFAULT_DETECTOR
from ..datasets.roidb import Record, Roidb
from ..errors import InputError
from ..evaluation.report.html.crops import encode
from ..files import write_whole
from ..inference.loading import open_detector
from ..nets.devices import check_backend
from ..runtimes.files import WEIGHTS
from ..runtimes.sidecar import read_sidecar
from . import page, photos, preset, sheets
from .blend import blended, choose_fraction
from .judge import Judgement, judge, readable
from .scale import choose_scale

if TYPE_CHECKING:

    from ..engine.train import Trainer

NEEDED = {"keras": "manyfaces[train]", "tensorflow": "manyfaces[train]", "jax": "jax", "onnx": "manyfaces[onnx]"}
"""Package -> what to install for it."""
HELD_OUT = "the photographs held out"


def check_start(model: str, out: str | os.PathLike, resume: bool, changes: Sequence[Any] = ()) -> None:
    """InputError where a training cannot begin, before anything is read: model, keys, packages and folder.

    Args:
        model: name of a shipped model.
        out: folder of the training.
        resume: whether it continues the training there.
        changes: as for `tune`.
    """
    cfg = load_config(pretrained.config_file(model))
    if is_cascade(cfg):
        raise InputError(f"--model {model}: a cascade is trained stage by stage from samples (docs/mtcnn.md); expected "
                         f"one of {', '.join(trainable())}")
    override(cfg, changes)
    if fixed := [key for key in ("NAME", *keys_with("place")) if key in changes[::2]]:
        raise InputError(f"--set {fixed[0]}: --out chooses the folder and the name, --model the weights; leave it out")
    for package in ("keras", check_backend(), "onnx"):
        if importlib.util.find_spec(package) is None:
            raise InputError(f"training needs {package}, which is not installed: pip install '{NEEDED[package]}'")
    out = Path(out)
    _place(cfg, out)
    if not resume and (out / "checkpoint.npz").exists():
        raise InputError(f"{out} already holds a training: continue it with --resume, or choose another --out")
    if resume and not (out / "config.yml").is_file():
        raise InputError(f"{out}: no training to resume there; start without --resume")


def trainable() -> list[str]:
    """Names of the shipped models that can be trained on photographs."""
    return [name for name in pretrained.names() if pretrained.has_weights(name)
            and not is_cascade(load_config(pretrained.config_file(name)))]


def tune(roidb: Roidb, out: str | os.PathLike, model: str = DEFAULT_DETECTOR, fraction: float = 0.9,
         minutes: float = 30.0, changes: Sequence[Any] = (), licence: str | None = None) -> page.Story:
    """Train a shipped model on photographs, and write everything to `out`.

    Args:
        roidb: the photographs, as a reader returned them.
        out: folder of the training; its last part names the model.
        model: name of the shipped model.
        fraction: of the images that are trained on; the others are held out.
        minutes: budget of the training.
        changes: [KEY, VALUE, ...] of the config, over those that are chosen here.
        licence: of the photographs; None: not stated.

    Raises:
        InputError: the photographs cannot train a net, or there is a training in `out`.
    """
    out = Path(out)
    train, held = photos.divide(roidb, fraction, out)
    print(photos.table(roidb, train, held), flush=True)
    write_whole(out / "samples.jpg", encode(sheets.sample_sheet(train.records)))
    print(f"wrote {out / 'samples.jpg'}: look whether the boxes are on the faces", flush=True)
    cfg = load_config(pretrained.config_file(model))
    detector = open_detector(model)
    held = replace(held, records=readable(held.records, HELD_OUT))
    asked = load_config(pretrained.config_file(model), changes).TEST
    scale, scores = ((asked.SCALES[0], {}) if "TEST.SCALES" in changes[::2] else
                     choose_scale(detector, train.records))
    if scores:
        print("AP by scale of the photographs, as it ships: "
              + ", ".join(f"{ap:.3f} at {each:g}" for each, ap in scores.items()) + f"; {scale:g} is used"
              + (f", which takes about {scale**2:.1f} times as long per image" if scale != 1 else ""), flush=True)
    rows = _as_it_ships(model, detector, held.records, asked.DEMO_SCORE, [scale] if scores else asked.SCALES)
    print(page.text_table(rows), flush=True)

    override(cfg, [*preset.overrides(train.records, cfg, scale, _has_gpu()),
                   *(["TEST.SCALES", [scale]] if scores else []), *preset.lengths(preset.LEAST), *changes])
    _place(cfg, out)
    given = "TRAIN.STEPS" in changes[::2]
    if given:
        override(cfg, [*preset.lengths(cfg.TRAIN.STEPS), *changes])
    from ..engine.train import Trainer  # late: the lines above need no Keras

    trainer = Trainer(cfg, init=pretrained.weights_file(model))
    if not given:
        _choose_steps(trainer, minutes, changes)
    return _run(trainer, train, held, rows, model, licence)


def resume(out: str | os.PathLike, licence: str | None = None) -> page.Story:
    """Continue the training in `out` with the photographs, model and config that it began with; as `tune`."""
    out = Path(out)
    train, held = photos.stored(out)
    held = replace(held, records=readable(held.records, HELD_OUT))
    cfg = load_config(out / "config.yml")
    _place(cfg, out)
    from ..engine.train import Trainer

    trainer = Trainer(cfg, resume=True)
    model = Path(cfg.TRAIN.INIT).name.removesuffix(WEIGHTS)
    rows = _as_it_ships(model, open_detector(model), held.records, cfg.TEST.DEMO_SCORE, cfg.TEST.SCALES)
    return _run(trainer, train, held, rows, model, licence)


def _place(cfg, out):
    """Let a config mean the training in a folder. The paths are no words of --set, which are read as YAML."""
    for key, value in (("NAME", out.name), ("DATA_DIR", str(out)), ("OUTPUT_DIR", str(out.parent))):
        cfg[key] = check_value(key, value, "--out")


def _as_it_ships(model, detector, records, shown, scales):
    """The rows before the training: as the model ships, and at the scales that are used, where those are others."""
    rows = {f"{model} as it ships": judge(detector, records, shown)}
    if list(scales) != list(detector.cfg.TEST.SCALES):
        rows[f"{model} at {', '.join(f'{scale:g}' for scale in scales)} times the size"] = judge(
            detector, records, shown, scales)
    return rows


def _has_gpu():
    from ..nets import backend
    from ..nets.devices import find_devices

    backend.prepare()
    return find_devices().kind == "GPU"


def _choose_steps(trainer: Trainer, minutes: float, changes: Sequence[Any]) -> None:
    """Measure the pace, set the number of steps, and print how long it will take."""
    from .pace import seconds_per_step

    cfg = trainer.cfg
    seconds = seconds_per_step(trainer)
    batch = float(np.mean([count for _, count in trainer.loader.turns]))
    wanted = preset.wanted_steps(trainer.loader.size, batch)
    steps = preset.affordable(wanted, seconds, minutes)
    override(cfg, [*preset.lengths(steps), *changes])
    took = f"{steps:,} steps of {batch:.0f} crops at {seconds:.2f} s"
    if steps < wanted:
        took += f"; --minutes {minutes:g} allows no more, {wanted:,} would be better"
    about = math.ceil(steps * seconds / 60)
    print(f"about {about:,} minute{'s' * (about > 1)}: {took}", flush=True)


def _run(trainer: Trainer, train: Roidb, held: Roidb, rows: dict[str, Judgement], model: str,
         licence: str | None) -> page.Story:
    """Train, blend, export, and tell."""
    cfg, out = trainer.cfg, trainer.folder
    trainer.run()
    fraction, scores = _blend(trainer, held.records, model)
    exported, words = _export(trainer, model, licence)
    rows["trained"] = after = judge(open_detector(exported), held.records, cfg.TEST.DEMO_SCORE)
    write_whole(out / "faces.jpg", encode(sheets.face_sheet(after)))
    story = page.Story(cfg, model, train, held, rows, fraction, scores, trainer.step, _seconds(out), words)
    write_whole(out / f"{cfg.NAME}.md", page.card(story))
    page.write_report(story, out, str(exported))
    print(page.text_table(rows))
    print(page.verdict(story))
    print(f"{out / 'report.html'} shows it; {exported} is the model:", *page.usage(exported), sep="\n  ")
    return story


def _blend(trainer: Trainer, records: Sequence[Record], model: str) -> tuple[float, dict[float, float]]:
    """Set the tested net to the chosen blend of the shipped weights and the last trained ones."""
    from ..weights.matching import load_matching_weights

    net = trainer.tested
    trained = net.get_weights()
    load_matching_weights(net, pretrained.weights_file(model), trainer.cfg)
    shipped = net.get_weights()

    def score(fraction):
        net.set_weights(blended(shipped, trained, fraction))
        return judge(trainer.detector, records).ap

    fraction, scores = choose_fraction(score)
    net.set_weights(blended(shipped, trained, fraction))
    return fraction, dict(scores)


def _export(trainer: Trainer, model: str, licence: str | None) -> tuple[Path, str]:
    """Write NAME.weights.h5, NAME.yml, NAME.onnx and NAME.json; return the model's path and the licence."""
    from ..export.export import export
    from ..weights.files import save_weights

    out, cfg = trainer.folder, load_config(trainer.folder / "config.yml")
    reset(cfg, "place")
    save_weights(trainer.tested, out / f"{cfg.NAME}{WEIGHTS}", cfg)
    save_config(cfg, out / f"{cfg.NAME}.yml")
    shipped = pretrained.model_file(model)
    words = (f"{model}: {read_sidecar(shipped)['licence']}; " if shipped else "") + (
        f"photographs: {licence or 'those of their user'}")
    path = out / f"{cfg.NAME}.onnx"
    export(cfg, out / f"{cfg.NAME}{WEIGHTS}", path, images=trainer.loader.records[0].root, licence=words)
    return path, words


def _seconds(out):
    """Seconds of training that the checkpoint counts, over all its parts."""
    from ..engine.checkpoint import read_facts

    try:
        return float(read_facts(out / "checkpoint.npz").get("seconds", 0.0))
    except InputError:
        return 0.0
