#!/usr/bin/env python3
"""Fuzz: 20,000 damaged files and wrong arguments for every reader and every compiled function."""

import _start

from benchmarks.fuzz.main import main

if __name__ == "__main__":
    _start.run(main)
