#!/usr/bin/env python3
"""Our detectors beside the peers, in one run: AP on wider val, wider_crowd and facemask val, and ms of the call."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # benchmarks/ is no part of the installed package

from benchmarks.compare import main  # noqa: E402
from manyfaces.commands.command_line import run  # noqa: E402

if __name__ == "__main__":
    sys.exit(run(main))
