#!/usr/bin/env python3
"""Lower the scores of small anchors of a trained detector as far as the selection images say."""

import _start

from manyfaces.commands.models.adjust import main

if __name__ == "__main__":
    _start.run(main)
