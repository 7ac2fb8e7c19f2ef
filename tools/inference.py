#!/usr/bin/env python3
"""Find faces with an exported model (.onnx, .xml, .tflite), without Keras and TensorFlow."""

import _start

from manyfaces.commands.inference import main

if __name__ == "__main__":
    _start.run(main)
