#!/usr/bin/env python3
"""Read an annotation file and its images once, print what is in them, and write the roidb that training reads."""

import _start

from manyfaces.commands.data.build_roidb import main

if __name__ == "__main__":
    _start.run(main)
