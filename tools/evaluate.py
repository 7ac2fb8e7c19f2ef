#!/usr/bin/env python3
"""Measure predictions: WIDER FACE's official easy / medium / hard, or AP on any roidb; or a detector's landmarks."""

import sys

from manyfaces.commands.command_line import run
from manyfaces.commands.evaluate.main import main

if __name__ == "__main__":
    sys.exit(run(main))
