"""The files that a training leaves: checkpoint.npz, last.weights.h5 and best.weights.h5."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easydict import EasyDict

from ..errors import InputError
from ..files import write_whole
from ..weights.files import save_weights, weights_content
from .beside import Beside
from .checkpoint import save_state, state_arrays
from .tracking.tracker import Trackers

if TYPE_CHECKING:
    import keras


class RunFiles:
    """Writes them. A full disk must not end a training of hours: it is reported, and earlier files stay complete.

    Args:
        folder: OUTPUT_DIR/NAME.
        cfg: the whole config.
        trackers: they are told of each file.
        beside: whether checkpoints are written beside the steps.

    Attributes:
        note: prints a line.
        writer: the thread that writes checkpoints; None: they are written between the steps.
    """

    def __init__(self, folder: Path, cfg: EasyDict, trackers: Trackers, beside: bool) -> None:
        self.folder, self.cfg, self.trackers = folder, cfg, trackers
        self.note: Callable[[str], None] = print
        self.writer = Beside("writer") if beside else None

    def save(self, step: int, groups: Mapping[str, Sequence[keras.Variable]], net: keras.Model,
             facts: Mapping[str, Any], last: bool = False) -> None:
        """Write a checkpoint and last.weights.h5, with the values that they have now.

        Args:
            step: of the checkpoint.
            groups: its variables.
            net: the one whose weights are saved.
            facts: of the checkpoint, besides its step.
            last: whether the training ends with it, which then waits for it.

        Raises:
            InputError: the last one cannot be written.
        """
        if self.writer:
            self.writer.take(wait=True)
        arrays, weights = state_arrays(groups), weights_content(net, self.cfg)

        def write():
            save_state(self.folder / "checkpoint.npz", arrays, step=step, **facts)
            write_whole(self.folder / "last.weights.h5", weights)

        def then(error):
            if self._written(error, step, last):
                for name in ("last.weights.h5", "checkpoint.npz"):
                    self.trackers.artifact(self.folder / name)

        if self.writer and not last:
            self.writer.begin(lambda: _attempt(write), then)
        else:
            then(_attempt(write))

    def save_best(self, step: int, net: keras.Model) -> bool:
        """Write best.weights.h5; return whether it was written."""
        path = self.folder / "best.weights.h5"
        written = self._written(_attempt(lambda: save_weights(net, path, self.cfg)), step)
        if written:
            self.trackers.artifact(path)
        return written

    def _written(self, error, step, last=False):
        if error is None:
            return True
        text = f"{self.folder}: cannot write the checkpoint of step {step} ({error.strerror or error})"
        if last:
            raise InputError(f"{text}; free some space, then --resume from the last one") from None
        self.note(f"warning: {text}; training continues, the earlier checkpoint is complete")
        return False


def _attempt(write):
    """Write; return the error of the disk, or None."""
    try:
        write()
    except OSError as error:
        return error
    return None
