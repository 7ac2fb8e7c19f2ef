#!/usr/bin/env python3
"""Measure a finished training and add its row to a table of runs: config, data, epochs, hours, AP, ms."""

import _start

from benchmarks.record_run import main

if __name__ == "__main__":
    _start.run(main)
