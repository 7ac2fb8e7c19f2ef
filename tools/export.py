#!/usr/bin/env python3
"""Export trained weights as ONNX, OpenVINO IR, LiteRT or SavedModel, for use without Keras."""

import _start

from manyfaces.commands.models.export import main

if __name__ == "__main__":
    _start.run(main)
