"""Training: a loop over minibatches that can be killed at any step and resumed to the same weights.

output/NAME/ holds config.yml, checkpoint.npz (the whole state), last.weights.h5 and best.weights.h5 (of the moving
average, if there is one), and what the trackers write (tracking/): CSV files, curves.png, run.html, TensorBoard.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from easydict import EasyDict

from ..config import flat_items, load_config, roles_of, save_config
from ..data_layer.batch_sizes import check_batch
from ..drawing import draw
from ..errors import InputError
from ..files import remove_parts, write_whole
from ..hosts.team import Alone, Team
from ..inference.detector import Detector
from ..locks import check_free, hold, release
from ..nets import backend
from ..nets import family as family_of
from ..nets.devices import check_backend, find_devices
from ..progress import Progress
from ..weights.matching import load_matching_weights
from . import beside
from .checkpoint import load_state
from .hosts import Unseen, agree, check_same, share_state
from .precision import Precision
from .run_files import RunFiles
from .schedule import Patience, build_optimizer, cooldown_begins, counted_in_steps, l2, rate_at, rate_in_words
from .tracking.names import named_trackers
from .tracking.pace import Pace
from .tracking.tracker import Run, Tracker, Trackers
from .training_data import training_loader, training_selection

# A resumed training may change keys that have only these roles: they do not change its weights.
FREE = {"place", "running", "testing", "drawing"}


class NonFiniteLoss(InputError):
    """The loss or its gradient is NaN or infinite; the message names the file that lists the batch."""


class Trainer:
    """One training of a config: `Trainer(cfg).run()`.

    Args:
        cfg: the whole config.
        resume: whether to continue from the checkpoint in OUTPUT_DIR/NAME.
        init: .weights.h5 to start from, instead of TRAIN.INIT.
        devices: number of devices that share each batch.
        trackers: recorders besides those that TRAIN.TRACKERS names. None of them can end the training by an error.
        team: the processes on several hosts that train together, one device each. The first one alone reads and writes
            OUTPUT_DIR, and decides whether to resume.

    Attributes:
        step: number of steps done.
        best: TRAIN.SELECT_BY of the best selection so far, -1 without one.

    Raises:
        InputError: there is a training already, or none to resume, or its config or its images differ, or another
            process trains there, or the backend of Keras cannot train.
        HostLost: another process of the team has ended.
    """

    def __init__(self, cfg: EasyDict, resume: bool = False, init: str | os.PathLike | None = None,
                 devices: int = 1, trackers: Sequence[Tracker] = (), team: Team | None = None) -> None:
        check_backend()
        self.cfg, train, self.team = cfg, cfg.TRAIN, team or Alone()
        self.writes = self.team.rank == 0
        self.trackers = Trackers([*named_trackers(cfg), *trackers] if self.writes else [])
        self.folder = Path(cfg.OUTPUT_DIR) / cfg.NAME
        checkpoint = self.folder / "checkpoint.npz"
        self.other_name = f", or train under another name (--set NAME {cfg.NAME}_2)"
        train.INIT = str(init or train.INIT)
        if self.writes:
            check_free(self.folder, self.other_name)
            if resume:
                saved = self._same_config()
                resume = checkpoint.exists()  # a run that was killed before its first checkpoint starts from scratch
            elif checkpoint.exists():
                raise InputError(f"{self.folder} already holds a training: continue it with --resume, move it away"
                                 f"{self.other_name}")
        resume = resume and self.writes
        self.family = family_of(cfg)
        check_batch(cfg, devices * self.team.world, self.family.together)
        backend.prepare(cfg.SEED, train.DETERMINISTIC)
        self.patience = Patience(train)
        self.loader = training_loader(cfg, self.family)
        self.loader.share = self.team.rank, self.team.world
        self.train = counted_in_steps(cfg, self.loader.size)
        check_same(self.team, cfg, self.loader, FREE)
        self.devices = find_devices(devices, team)
        self.batches = beside.SentAhead(self.loader, self.devices.split)
        with self.devices.scope():
            self.model = self.family.build()
            if self.writes and not resume:
                self._first_weights()
            self.average = self._copy() if train.EMA else None
            self.optimizer = build_optimizer(cfg, self.model.trainable_variables)
            self.precision = Precision(train.PRECISION)
        self.devices.synchronise(self.model)
        self.tested = self.average or self.model
        self.step, self.best, self.seconds = 0, -1.0, 0.0
        self.detector = Detector(self.family, backend.runner(self.tested), cfg)
        helps = self.writes and beside.helps(self.devices)
        may_be_late = train.SELECT and not self.patience.decides
        self.beside = beside.SelectionBeside(self.family, cfg) if helps and may_be_late else None
        self.files = RunFiles(self.folder, cfg, self.trackers, helps)
        selecting = cfg if self.writes else EasyDict({**cfg, "TRAIN": {**train, "SELECT": ""}})
        self.selection = training_selection(selecting, self.family, (self.beside or self).detector)
        self.train_step = backend.train_step(self.model, self.average, self.optimizer, self._objectives,
                                             train.CLIP_NORM, self.devices, self.precision)
        if resume:
            facts = load_state(checkpoint, self._groups())
            now = len(self.loader.records)
            images = facts.get("images", now)
            if images != now:
                raise InputError(f"{checkpoint}: the training there has {images} images, TRAIN.DATASETS "
                                 f"{train.DATASETS!r} holds {now} now; restore the roidb it began with")
            self.step, self.best, self.seconds = facts["step"], facts["best"], facts.get("seconds", 0.0)
            self._same_length(saved)
            self.patience.restore(facts.get("patience", {}))
            if facts.get("devices", 1) != self.devices.count:
                print(f"the training there ran on {facts.get('devices', 1)} devices, now it runs on "
                      f"{self.devices.count}: the updates are the same, but sums have another order, so the weights "
                      f"differ by rounding", flush=True)
        share_state(self)
        self.stop_signal: int | None = None
        self.stopped = False

    def stop(self) -> None:
        """End the training after this step, with a checkpoint. A tracker may call it."""
        self.stopped = True

    def _first_weights(self):
        if self.cfg.TRAIN.INIT:
            print(load_matching_weights(self.model, self.cfg.TRAIN.INIT, self.cfg), flush=True)
        elif self.cfg.NET.WEIGHTS:
            from ..weights.backbones import initialise_backbone

            initialise_backbone(self.model, self.cfg.NET)

    def _copy(self):
        average = self.family.build()
        average.set_weights(self.model.get_weights())
        return average

    def _same_config(self):
        """The config of the training that is resumed; every key that decides the weights is compared with it."""
        path = self.folder / "config.yml"
        if not path.is_file():
            raise InputError(f"{self.folder}: no training to resume there; start without --resume")
        saved = load_config(path)
        self.cfg.TRAIN.INIT = self.cfg.TRAIN.INIT or saved.TRAIN.INIT  # --init need not be repeated
        then, now = dict(flat_items(saved)), dict(flat_items(self.cfg))
        for key in now:
            if then[key] != now[key] and roles_of(key) - FREE:
                if key == "TRAIN.STEPS" and saved.TRAIN.SCHEDULE == self.cfg.TRAIN.SCHEDULE == "cooldown":
                    continue  # _same_length checks it when the step is known
                raise InputError(f"{path}: the training there has {key} {then[key]!r}, now it is {now[key]!r}; "
                                 f"resume with the same value, or train under another NAME")
        return saved

    def _same_length(self, saved):
        """Let the length change while no step depended on it."""
        shorter = min(saved, self.cfg, key=lambda cfg: cfg.TRAIN.STEPS)
        free = min(cooldown_begins(shorter.TRAIN), shorter.TRAIN.STEPS - shorter.AUGMENT.CLEAN_STEPS)
        if saved.TRAIN.STEPS != self.cfg.TRAIN.STEPS and self.step > free:
            raise InputError(f"{self.folder / 'config.yml'}: the training there has TRAIN.STEPS {saved.TRAIN.STEPS}, "
                             f"now it is {self.cfg.TRAIN.STEPS}; that can be changed up to step {free}, where the "
                             f"cooldown or AUGMENT.CLEAN_STEPS begins, and the checkpoint is of step {self.step}")

    def _groups(self):
        groups = {"model": self.model.variables, "optimizer": self.optimizer.variables}
        if self.precision.variables:
            groups["scaling"] = self.precision.variables
        return groups | ({"average": self.average.variables} if self.average else {})

    def _objectives(self, outputs, targets, variables, weights):
        """(scalars to minimise, losses (B,)): the weighted batch mean of all modules, or for `group` one per module."""
        from keras import ops

        cfg, losses = self.cfg, self.family.losses(targets, outputs)
        names = [module.name for module in self.family.modules]
        objectives = [weights[i] * sum(ops.mean(loss) for name, loss in losses.items()
                                       if name.startswith(f"{module}_")) for i, module in enumerate(names)]
        decay = 0.0
        if cfg.TRAIN.OPTIMIZER == "sgd" and cfg.LOSS.WEIGHT_DECAY:
            paths = [variable.path for variable in self.model.trainable_variables]
            decay = l2(variables, paths, cfg.LOSS.WEIGHT_DECAY)
        if cfg.TRAIN.MODE == "group":
            return [objective + decay for objective in objectives], losses
        return [sum(objectives) + decay], losses

    def _module_weights(self, step):
        modules = len(self.family.modules)
        if self.cfg.TRAIN.MODE != "random":
            return np.ones(modules, np.float32)
        chosen = np.random.default_rng([self.cfg.SEED, step]).integers(modules)
        return np.eye(modules, dtype=np.float32)[chosen]

    # ----------------------------------------------------------------- loop

    def run(self) -> float:
        """Train up to TRAIN.STEPS, or until TRAIN.STOP_AFTER ends the training.

        Ctrl-C and SIGTERM save a checkpoint and end the process.

        Returns:
            TRAIN.SELECT_BY of the best selection, -1 without one.

        Raises:
            NonFiniteLoss: the loss or its gradient is not finite.
            InputError: the last checkpoint cannot be written, or another process trains there.
        """
        if not self.writes:
            return self._run()
        hold(self.folder, self.other_name)
        try:
            save_config(self.cfg, self.folder / "config.yml")
            remove_parts(self.folder)
            return self._run()
        finally:
            release(self.folder)

    def _run(self):
        cfg, train = self.cfg, self.train
        self.trackers.start(Run(cfg.NAME, self.folder, dict(flat_items(cfg)), self.step))
        handlers = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        progress = (Progress if self.writes else Unseen)(train.STEPS, "steps", 60.0, self.step)
        how = "" if train.PRECISION == "float32" else f", computed in {train.PRECISION}"
        if self.writes:
            print(f"batch of {train.BATCH} on {self.devices}, {rate_in_words(train)}{how}", flush=True)
        first, rows, recent, heard, status = self.step, [], None, None, "failed"
        self.pace, self.unsaved = Pace(self.batches, self.seconds), False
        self.files.note = progress.note
        try:
            stop = self.step if self.patience.over else train.STEPS
            for step, names, images, targets in self.batches.run(self.step, stop):
                rate = rate_at(step, train, self.patience.lowered)
                self.optimizer.learning_rate.assign(rate)
                momentum = min(train.EMA, (1 + step) / (10 + step))
                losses, norm = self.train_step(images, targets, self._module_weights(step), momentum)
                heard = agree(self.team, step, losses, norm, self.stop_signal, self.stopped)
                norm, losses = heard.norm, {name: float(value.mean()) for name, value in heard.losses.items()}
                total = sum(losses.values())
                if np.isfinite(total) and np.isfinite(norm):
                    rows.append({"loss": total, **losses, "norm": norm, "rate": rate, **self.precision.row()})
                elif not (np.isfinite(total) and self.precision.skips(norm)):
                    self._non_finite(step, losses, norm, names)
                self.step = step + 1
                self.pace.add(len(images) * self.team.world)
                if self.step % train.LOG_EVERY == 0:
                    if rows:
                        row = {key: float(np.mean([r[key] for r in rows])) for key in rows[0]}
                        self.trackers.scalars("train", row, self.step)
                    self.trackers.scalars("speed", self.pace.row(), self.step)
                    rows = []
                recent = total if recent is None else 0.98 * recent + 0.02 * total
                progress.advance(1, lambda: self._pace(first, recent))  # noqa: B023 (called at once)
                if self.writes and train.IMAGES_EVERY and self.step % train.IMAGES_EVERY == 0:
                    with self.pace.other_work():
                        self.trackers.images("train", self._drawn(images), self.step)
                with self.pace.other_work():
                    for work in self._works():
                        work.take()
                    if train.SELECT and (self.step % train.SELECT_EVERY == 0 or self.step == train.STEPS):
                        self._select(progress)
                    if self.step % train.SAVE_EVERY == 0 and self.step < train.STEPS:
                        self.unsaved = True
                    self._save_if_due()
                if any(self._ends(heard)) or self.patience.over:
                    break
            if self.beside:
                self.beside.take(wait=True)
            self._save(last=True)
            status = "stopped" if any(self._ends(heard)) else "done"
        finally:
            progress.__exit__()
            for work in self._works():
                work.close()
            for number, handler in handlers.items():
                signal.signal(number, handler)
            self.trackers.end(status)
        if stop_signal := self._ends(heard)[0]:
            print(f"stopped by {signal.Signals(stop_signal).name} after step {self.step}; continue with --resume")
            sys.exit(128 + stop_signal)
        return self.best

    def _ends(self, heard):
        """(signal, wish of a tracker) that end the training: in a team those of the last step, which all know."""
        return (heard.signal, heard.stopped) if self.team.world > 1 and heard else (self.stop_signal, self.stopped)

    def _drawn(self, images, count=4):
        """The first images of a batch with detections, by name."""
        images = [np.ascontiguousarray(image) for image in images[:count]]
        return {f"detections/{i}": draw(image, self.detector.detect(image, [1.0], False, threshold=0.3), 0.3)
                for i, image in enumerate(images)}

    def _pace(self, first, loss):
        """Text of the progress line after steps and time: loss, images per second, share of time without data."""
        spent = self.pace.seconds - self.seconds
        images = self.loader.plan(self.step)[0] - self.loader.plan(first)[0]
        waits = 100 * self.batches.waited / max(spent - self.pace.elsewhere, 1e-9)
        return f"loss {loss:.4f}, {images / spent:.1f} images/s, waits {waits:.1f} % for data"

    def _on_signal(self, number, frame):
        if self.stop_signal:  # a second signal does not wait for the end of the step
            raise KeyboardInterrupt
        self.stop_signal = number

    def _non_finite(self, step, losses, norm, names):
        path = self.folder / "nonfinite.txt"
        values = " ".join(f"{name}={value:.4g}" for name, value in losses.items())
        if not self.writes:
            self.team.share("not finite", {})  # the first process has written the names
            raise NonFiniteLoss(f"step {step}: the loss or its gradient is not finite ({values}, norm={norm:.4g}); "
                                f"rank 0 names the files of the batch")
        if self.team.world > 1:  # also those of the other processes
            names = self.loader.batch(step)["names"]
        text = f"step {step} norm={norm:.4g} {values}\n" + "\n".join(names) + "\n"
        try:
            write_whole(path, text)
            where = f"are in {path}"
        except OSError as error:
            where = f"cannot be written to {path} ({error.strerror}); they are {', '.join(names)}"
        self.team.share("not finite", {})
        other = ", or with TRAIN.PRECISION bfloat16" if self.cfg.TRAIN.PRECISION == "float16" else ""
        raise NonFiniteLoss(f"step {step}: the loss or its gradient is not finite ({values}, norm={norm:.4g}); the "
                            f"files of the batch {where}, the last checkpoint is complete: fix their boxes, then "
                            f"--resume, or train from scratch with a lower TRAIN.RATE{other}")

    def _select(self, progress):
        step, began = self.step, time.perf_counter()
        if not self.beside:
            own = self.selection.evaluate() if self.writes else {}
            result = self.team.share("selection", own).facts if self.patience.decides else own
            if result:
                self._selected(step, began, self.tested, result, progress)
            return
        net = self.beside.net
        self.beside.take(wait=True)
        self._save_if_due()  # else a selection that takes longer than SELECT_EVERY would leave no time for it
        self.beside.copy(self.tested)
        self.beside.begin(self.selection.evaluate,
                          lambda result: self._selected(step, began, net, result, progress))

    def _selected(self, step, began, net, result, progress):
        """What follows from the selection of a step, in which `net` was tested."""
        value, epoch = result[self.cfg.TRAIN.SELECT_BY], self.loader.plan(step)[0] / self.loader.size
        self.trackers.images("select", self.selection.pictures, step)
        self.trackers.scalars("select", result, step)
        text = " ".join(f"{name} {value:.4f}" for name, value in result.items())
        progress.note(f"step {step}: selection {text} ({time.perf_counter() - began:.0f} s)")
        if reaction := self.patience.look(epoch, value):
            progress.note(f"step {step}: {reaction}")
        if value > self.best:
            if not self.writes or self.files.save_best(step, net):
                self.best = value

    def _save_if_due(self):
        """Not while a selection runs: the checkpoint would lack its result, and a resumed training would not repeat it.

        Not while another is written either: a slow disk makes checkpoints rarer, and no step longer.
        """
        if self.unsaved and not any(work.busy for work in self._works()):
            self.unsaved = False
            self._save()

    def _save(self, last=False):
        if self.writes:
            self.files.save(self.step, self._groups(), self.tested, {
                "best": self.best, "images": len(self.loader.records), "patience": self.patience.state(),
                "devices": self.devices.count, "epochs": self.loader.plan(self.step)[0] / self.loader.size,
                "seconds": self.pace.seconds}, last)

    def _works(self):
        """What runs beside the steps."""
        return [work for work in (self.beside, self.files.writer) if work]
