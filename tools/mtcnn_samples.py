#!/usr/bin/env python3
"""Cut the samples that a stage of MTCNN is trained on."""

import _start

from manyfaces.commands.data.mtcnn_samples import main

if __name__ == "__main__":
    _start.run(main)
