#!/usr/bin/env python3
"""Train a detector: output/NAME holds its config, weights, checkpoint and logs, where NAME is that of the YAML."""

import sys

from manyfaces.commands.command_line import run
from manyfaces.commands.train import main

if __name__ == "__main__":
    sys.exit(run(main))
