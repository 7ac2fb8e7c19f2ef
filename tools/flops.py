#!/usr/bin/env python3
"""What a config's net costs: output shape, parameters and multiplications with additions (MACs) by layer and in sum."""

import sys

from manyfaces.commands.command_line import run
from manyfaces.commands.flops import main

if __name__ == "__main__":
    sys.exit(run(main))
