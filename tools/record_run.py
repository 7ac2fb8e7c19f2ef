#!/usr/bin/env python3
"""Measure a finished training and add its row to a table of runs: config, data, epochs, hours, AP, ms."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # benchmarks/ is no part of the installed package

from benchmarks.record_run import main  # noqa: E402
from manyfaces.commands.command_line import run  # noqa: E402

if __name__ == "__main__":
    sys.exit(run(main))
