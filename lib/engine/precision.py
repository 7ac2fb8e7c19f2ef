"""The type in which a net computes while it trains (TRAIN.PRECISION), and the scale of the loss that float16 needs.

Variables, losses, targets and gradients as they are added up stay float32, and so does everything outside the training
step: selection, weights, exports. A loss is a sum over thousands of anchors, and bfloat16 has 8 bits: what is added to
a large sum would be lost.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

FIRST_SCALE = 2.0**15  # of the loss; halved where a gradient is not finite
LARGEST_SCALE = 2.0**24
STEPS_UNTIL_DOUBLED = 2000  # finite ones in a row


class Precision:
    """How one training computes.

    Args:
        name: TRAIN.PRECISION.

    Attributes:
        variables: state of the loss scale for a checkpoint: the scale, and the number of steps since it changed; empty
            if the loss is not scaled.
    """

    def __init__(self, name: str = "float32") -> None:
        import keras

        self.name = name
        self.variables: list[keras.Variable] = []
        if name == "float16":  # its smallest number is 6e-8: gradients of a mean loss would be 0
            self.variables = [keras.Variable(FIRST_SCALE, trainable=False, dtype="float32", name="loss_scale"),
                              keras.Variable(0, trainable=False, dtype="int32", name="steps_at_this_scale")]

    def row(self) -> dict[str, float]:
        """What the log of a step holds besides its losses: the scale of the next one, if the loss is scaled."""
        return {"scale": float(self.variables[0].numpy())} if self.variables else {}

    def skips(self, norm: float) -> bool:
        """Whether a step with this norm of its gradient was skipped to be tried with a smaller scale.

        A gradient that is not finite at the scale 1 either has another cause.
        """
        return bool(self.variables) and not np.isfinite(norm) and self.row()["scale"] >= 1

    @contextlib.contextmanager
    def computing(self, model: keras.Model) -> Iterator[None]:
        """Let the layers of a net compute in this type while a step is traced.

        The layers before the first weights stay float32, because the normalisation of a pixel would lose a quarter of a
        grey level, and so do those that give the outputs. Outside this context the net computes in float32.
        """
        if self.name == "float32":
            yield
            return
        import keras

        outputs = {id(output._keras_history.operation) for output in model.outputs}
        layers = itertools.dropwhile(lambda layer: not layer.weights, _layers(model))
        policies = [(layer, layer.dtype_policy) for layer in layers if id(layer) not in outputs]
        try:
            for layer, _ in policies:
                layer.dtype_policy = keras.DTypePolicy(f"mixed_{self.name}")
            yield
        finally:
            for layer, policy in policies:
                layer.dtype_policy = policy

    def next_scale(self, scale: Any, steps: Any, finite: Any) -> tuple[Any, Any]:
        """The values of `variables` after a step: halved if its gradient was not finite, doubled after many that were.

        Args:
            scale, steps: their values before it.
            finite: whether the gradient was finite.
        """
        from keras import ops

        steps = ops.where(finite, steps + 1, 0)
        doubled = steps >= STEPS_UNTIL_DOUBLED
        larger = ops.where(doubled, ops.minimum(scale * 2, LARGEST_SCALE), scale)
        return ops.where(finite, larger, scale / 2), ops.where(doubled, 0, steps)


def _layers(model):
    """The layers of a net in the order in which they compute, also those of nets inside it."""
    for layer in model.layers:
        yield from _layers(layer) if hasattr(layer, "layers") else [layer]
