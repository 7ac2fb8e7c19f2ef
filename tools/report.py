#!/usr/bin/env python3
"""Write one HTML file that shows where a detector is weak: curves, breakdowns and galleries of its errors."""

import _start

from manyfaces.commands.report import main

if __name__ == "__main__":
    _start.run(main)
