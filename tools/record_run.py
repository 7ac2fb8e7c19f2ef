#!/usr/bin/env python3
"""Measure a finished training and add its row to a table of runs: config, data, epochs, hours, AP, ms."""

import sys

from manyfaces.commands.command_line import run
from manyfaces.commands.record_run import main

if __name__ == "__main__":
    sys.exit(run(main))
