#!/usr/bin/env python3
"""Put a training's weights where the package finds them by name: weights, config, ONNX and its sidecar."""

import sys

from manyfaces.commands.command_line import run
from manyfaces.commands.ship import main

if __name__ == "__main__":
    sys.exit(run(main))
