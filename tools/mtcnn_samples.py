#!/usr/bin/env python3
"""Cut the samples that a stage of MTCNN is trained on."""

import sys

from manyfaces.commands.command_line import run
from manyfaces.commands.data.mtcnn_samples import main

if __name__ == "__main__":
    sys.exit(run(main))
