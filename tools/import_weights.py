#!/usr/bin/env python3
"""Make .weights.h5 files from those of another framework: a backbone's for NET.WEIGHTS, RetinaFace, MTCNN's three."""

import _start

from manyfaces.commands.models.import_weights import main

if __name__ == "__main__":
    _start.run(main)
