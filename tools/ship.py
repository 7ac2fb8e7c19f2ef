#!/usr/bin/env python3
"""Put a training's weights where the package finds them by name: weights, config, ONNX and its sidecar."""

import _start

from manyfaces.commands.models.ship import main

if __name__ == "__main__":
    _start.run(main)
