#!/usr/bin/env python3
"""Run a detector over a folder of images and write its detections for tools/evaluate.py."""

import _start

from manyfaces.commands.test import main

if __name__ == "__main__":
    _start.run(main)
