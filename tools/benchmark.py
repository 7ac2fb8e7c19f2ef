#!/usr/bin/env python3
"""Time the compiled parts beside their NumPy twins and peers of the same job: milliseconds, and ratios of one run."""

import _start

from benchmarks.main import main

if __name__ == "__main__":
    _start.run(main)
