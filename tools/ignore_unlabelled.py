#!/usr/bin/env python3
"""Mark faces that nobody labelled as ignored: a detector finds them."""

import _start

from manyfaces.commands.data.ignore_unlabelled import main

if __name__ == "__main__":
    _start.run(main)
