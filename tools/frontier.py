#!/usr/bin/env python3
"""Draw AP against milliseconds per image from the CSV of tools/benchmark.py detectors: one SVG per setting."""

import _start

from benchmarks.frontier import main

if __name__ == "__main__":
    _start.run(main)
