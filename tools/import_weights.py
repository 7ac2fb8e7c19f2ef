#!/usr/bin/env python3
"""Make a backbone's .weights.h5, as NET.WEIGHTS takes it, or MTCNN's three, from files of another framework."""

import _start

from manyfaces.commands.import_weights import main

if __name__ == "__main__":
    _start.run(main)
