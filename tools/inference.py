#!/usr/bin/env python3
"""The earlier name of tools/demo.py --weights MODEL: find faces with an exported model (.onnx, .xml, .tflite)."""

import _start

from manyfaces.commands.inference import main

if __name__ == "__main__":
    _start.run(main)
