#!/usr/bin/env python3
"""Make crowds of the images of roidbs: sheets with many of them, each shrunk, and the roidb of all their faces."""

import _start

from manyfaces.commands.data.make_crowds import main

if __name__ == "__main__":
    _start.run(main)
