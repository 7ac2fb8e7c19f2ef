"""SavedModel and LiteRT, both through TensorFlow's own converters.

A SavedModel holds the net as it is. For LiteRT the graph is made without computed shapes, which its fast kernels
refuse: padding to a multiple is left to the caller, and nearest upsampling becomes copies in the channels that are then
moved into place. So the interpreter can be resized to any height and width of that multiple.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..progress import silent
from .equalise import equalised
from .onnx import INPUT

if TYPE_CHECKING:
    import keras


def write_saved_model(model: keras.Model, path: Path) -> None:
    """Write a SavedModel folder; uint8 in."""
    _check_backend("saved_model")
    _saved_model(model, path, "uint8")


def write_litert(model: keras.Model, path: Path, facts: dict[str, Any],
                 calibrate: str | os.PathLike | None = None) -> None:
    """Write a .tflite; uint8 in, but float32 in for 8 bits. facts gets the type of the input."""
    _check_backend("litert")
    kind = facts["input"]["type"] = "uint8" if calibrate is None else "float32"
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.nullcontext() if calibrate is None else equalised(model):
            _saved_model(_static(model), folder, kind)
        Path(path).write_bytes(_lite(folder, facts, calibrate))


def _check_backend(format):
    import keras

    if keras.backend.backend() != "tensorflow":
        raise InputError(f"KERAS_BACKEND={keras.backend.backend()}: {format} is written with tensorflow only")


def _saved_model(model, path, kind):
    import keras
    import tensorflow as tf

    def serve(images):
        return model(tf.cast(images, tf.float32), training=False)

    spec = tf.TensorSpec((None, *model.inputs[0].shape[1:]), kind, name=INPUT)
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", serve, input_signature=[spec])
    archive.write_out(str(path), verbose=False)


def _static(model):
    """The model with layers that need no computed shapes instead of those that do; the same weights."""
    import keras
    from keras import layers, ops

    class Upsample(layers.Layer):
        """Nearest, twice the sides: the channels four times, then depth to space."""

        def call(self, x):
            import tensorflow as tf

            return tf.nn.depth_to_space(ops.concatenate([x] * 4, axis=-1), 2)

        def compute_output_shape(self, shape):
            return (shape[0], *(side and 2 * side for side in shape[1:3]), shape[3])

    def replace(layer):
        kind = type(layer).__name__
        if kind == "PadToMultiple":
            return layers.Identity(name=layer.name)
        if kind == "UpSampling2D" and layer.interpolation == "nearest" and tuple(layer.size) == (2, 2):
            return Upsample(name=layer.name)
        return layer  # shared, so that the weights are

    return keras.models.clone_model(model, clone_function=replace)


def _lite(folder, facts, calibrate):
    """Bytes of the .tflite of a SavedModel; with the images below the folder `calibrate` 8-bit but for the heads."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    if calibrate is None:
        with silent():
            return converter.convert()
    from .int8 import calibration_images

    # Only TensorFlow's debugger lets single layers stay in float: it quantises the calibrated model again for each set
    # of names. A head is named by the output that it gives.
    debug = tf.lite.experimental
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [image.astype(np.float32)[None]] for image in calibration_images(calibrate, facts))
    with silent(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        debugger = debug.QuantizationDebugger(converter=converter, debug_dataset=converter.representative_dataset)
        outputs = tf.lite.Interpreter(model_content=debugger.calibrated_model).get_output_details()
        debugger.options = debug.QuantizationDebugOptions(denylisted_nodes=[output["name"] for output in outputs])
        return debugger.get_nondebug_quantized_model()
