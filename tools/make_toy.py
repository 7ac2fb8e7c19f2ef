#!/usr/bin/env python3
"""Write a synthetic data set in WIDER FACE's own layout: two public-domain portraits pasted onto generated scenes."""

import _start

from manyfaces.commands.data.make_toy import main

if __name__ == "__main__":
    _start.run(main)
