#!/usr/bin/env python3
"""Measure predictions: WIDER FACE's official easy / medium / hard, or AP on any roidb; or a detector's landmarks."""

import _start

from manyfaces.commands.evaluate.main import main

if __name__ == "__main__":
    _start.run(main)
