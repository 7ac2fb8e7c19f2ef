"""One trial of a search: a training in a process of its own, so that no memory and no fault outlives it.

It sends the value of each selection and waits for the answer, whether it is pruned. It ends when the search has ended.
"""

from __future__ import annotations

import copy
import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from easydict import EasyDict

from ...config import override
from ...errors import InputError
from ..tracking.curves import read_table
from ..tracking.tracker import Tracker
from .study import Objective, Report


def training(cfg: EasyDict, init: str | None = None) -> Objective:
    """The objective that trains: the best value of TRAIN.SELECT_BY.

    Args:
        cfg: the config that the values change.
        init: as for Trainer.

    Raises:
        InputError: TRAIN.SELECT names no set, so there is nothing to compare trials by.
    """
    if not cfg.TRAIN.SELECT:
        raise InputError("TRAIN.SELECT is empty, expected data sets: trials are compared by their selection")

    def objective(values: dict[str, Any], place: Path, report: Report) -> float | None:
        trial_cfg = copy.deepcopy(cfg)
        override(trial_cfg, [word for pair in values.items() for word in pair])
        trial_cfg.OUTPUT_DIR, trial_cfg.NAME = str(place.parent), place.name
        best = -1.0
        done = read_table(place / "select.csv")  # of a trial that is taken up again
        for step, value in zip(done.get("step", ()), done.get(cfg.TRAIN.SELECT_BY, ()), strict=True):
            best = max(best, float(value))
            report(int(step), float(value))
        return _ask(trial_cfg, init, place, report, best)

    return objective


def _ask(cfg, init, place, report, best):
    """Start the process and answer it until it ends."""
    place.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=run_trial, args=(cfg, init, there, str(place / "log.txt"), os.getpid()))
    process.start()
    there.close()
    pruned = False
    try:
        while True:
            try:
                kind, *facts = here.recv()
            except EOFError:
                process.join()
                raise InputError(f"{place.name}: its process ended with {process.exitcode}; see {place / 'log.txt'}"
                                 ) from None
            if kind == "select":
                step, value = facts
                best = max(best, value)
                pruned = report(step, value)
                here.send(pruned)
            elif kind == "done":
                process.join()
                return None if pruned else max(best, facts[0])
            else:
                process.join()
                raise InputError(facts[0])
    finally:
        here.close()
        if process.is_alive():
            process.terminate()  # the training saves a checkpoint
        process.join()


class Pruning(Tracker):
    """Sends each selection to the search, and stops the training if that prunes it.

    Args:
        connection: to the search.
        measure: TRAIN.SELECT_BY.
    """

    def __init__(self, connection: Connection, measure: str) -> None:
        self.connection, self.measure = connection, measure
        self.trainer: Any = None

    def scalars(self, kind: str, values: Mapping[str, float], step: int) -> None:
        if kind == "select":
            self.connection.send(("select", step, float(values[self.measure])))
            if self.connection.recv():
                self.trainer.stop()


def run_trial(cfg: EasyDict, init: str | None, connection: Connection, log: str, parent: int) -> None:
    """What the process does; its output goes to the file `log`."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    with open(log, "a", encoding="utf-8", buffering=1) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            from ..train import Trainer

            pruning = Pruning(connection, cfg.TRAIN.SELECT_BY)
            resume = (Path(cfg.OUTPUT_DIR) / cfg.NAME / "config.yml").is_file()
            trainer = Trainer(EasyDict(cfg), resume=resume, init=init, trackers=[pruning])
            pruning.trainer = trainer
            connection.send(("done", trainer.run()))
        except SystemExit:  # stopped by a signal
            raise
        except Exception as error:
            traceback.print_exc(file=file)
            connection.send(("error", f"{type(error).__name__}: {error}" if not isinstance(error, InputError)
                             else str(error)))
            sys.exit(1)


def _end_with(parent):
    """End this process when the search was killed: it holds the folder of the trial."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
