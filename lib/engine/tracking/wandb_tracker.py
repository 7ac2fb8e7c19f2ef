"""Weights & Biases, offline: NAME/wandb holds the run; `wandb sync output/NAME/wandb/offline-run-*` uploads it.

Nothing is sent while the training runs, unless WANDB_MODE=online asks for it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .tracker import Run, Tracker


class WandbTracker(Tracker):
    """A run of the project `manyfaces`; a training that is resumed continues its run when both are synchronised."""

    def __init__(self) -> None:
        import wandb

        self.wandb: Any = wandb

    def start(self, run: Run) -> None:
        # No console capture, no signal handlers, no measurements of the machine: the training has its own.
        settings = self.wandb.Settings(console="off", silent=True, disable_git=True, disable_code=True,
                                       init_timeout=20, x_disable_stats=True, x_disable_meta=True)
        number = self._number(run)
        self.run: Any = self.wandb.init(
            project=os.environ.get("WANDB_PROJECT", "manyfaces"), name=run.name, id=number, resume="allow",
            dir=str(run.folder), mode=os.environ.get("WANDB_MODE", "offline"), config=dict(run.config),
            settings=settings)
        self.run.define_metric("*", step_metric="step")  # a resumed run may repeat steps

    def _number(self, run):
        """The id of the run: a new one for a new training, which the folder keeps."""
        path = run.folder / "wandb" / "id.txt"
        if run.step and path.is_file():
            return path.read_text(encoding="utf-8").strip()
        number = secrets.token_hex(4)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(number, encoding="utf-8")
        return number

    def scalars(self, kind: str, values: Mapping[str, float], step: int) -> None:
        self.run.log({**{f"{kind}/{name}": value for name, value in values.items()}, "step": step})

    def images(self, kind: str, pictures: Mapping[str, np.ndarray], step: int) -> None:
        self.run.log({f"{kind}/detections": [self.wandb.Image(picture, caption=caption, file_type="jpg")
                                             for caption, picture in pictures.items()], "step": step})

    def artifact(self, path: Path) -> None:
        if path.name == "best.weights.h5":
            self.run.save(str(path), base_path=str(path.parent), policy="now")

    def end(self, status: str) -> None:
        self.run.summary["status"] = status
        self.run.finish(exit_code=0 if status == "done" else 1)
