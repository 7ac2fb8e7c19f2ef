#!/usr/bin/env python3
"""Export trained weights as ONNX, OpenVINO IR, LiteRT or SavedModel, for use without Keras."""

import sys

from manyfaces.commands.command_line import run
from manyfaces.commands.export import main

if __name__ == "__main__":
    sys.exit(run(main))
