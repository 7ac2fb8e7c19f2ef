#!/usr/bin/env python3
"""Our detectors beside the peers, in one run: AP on wider val, wider_crowd and facemask val, and ms of the call."""

import _start

from benchmarks.compare import main

if __name__ == "__main__":
    _start.run(main)
