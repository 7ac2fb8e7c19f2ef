#!/usr/bin/env python3
"""Train a detector: output/NAME holds its config, weights, checkpoint and logs, where NAME is that of the YAML."""

import _start

from manyfaces.commands.train import main

if __name__ == "__main__":
    _start.run(main)
