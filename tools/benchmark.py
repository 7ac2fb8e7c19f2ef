#!/usr/bin/env python3
"""Time the compiled parts beside their NumPy twins and peers of the same job: milliseconds, and ratios of one run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # benchmarks/ is no part of the installed package

from benchmarks.main import main  # noqa: E402
from manyfaces.commands.command_line import run  # noqa: E402

if __name__ == "__main__":
    sys.exit(run(main))
