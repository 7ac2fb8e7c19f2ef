#!/usr/bin/env python3
"""What a config's net costs: output shape, parameters and multiplications with additions (MACs) by layer and in sum."""

import _start

from manyfaces.commands.models.flops import main

if __name__ == "__main__":
    _start.run(main)
