#!/usr/bin/env python3
"""Compare the compiled parts with their NumPy twins and with peers: milliseconds, and ratios within one run."""

import _start

from benchmarks.main import main

if __name__ == "__main__":
    _start.run(main)
