#!/usr/bin/env python3
"""Find faces with an exported model (.onnx, .xml, .tflite), without Keras and TensorFlow."""

import sys

from manyfaces.commands.command_line import run
from manyfaces.commands.inference import main

if __name__ == "__main__":
    sys.exit(run(main))
