#!/usr/bin/env python3
"""Write one HTML file that shows where a detector is weak: curves, breakdowns and galleries of its errors."""

import sys

from manyfaces.commands.command_line import run
from manyfaces.commands.report import main

if __name__ == "__main__":
    sys.exit(run(main))
