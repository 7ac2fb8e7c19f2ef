#!/usr/bin/env python3
"""Measure every table of docs/results that the pages quote again, one after the other."""

import _start

from benchmarks.results import main

if __name__ == "__main__":
    _start.run(main)
