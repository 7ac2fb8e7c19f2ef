#!/usr/bin/env python3
"""Write a synthetic data set in WIDER FACE's own layout: two public-domain portraits pasted onto generated scenes."""

import sys

from manyfaces.commands.command_line import run
from manyfaces.commands.data.make_toy import main

if __name__ == "__main__":
    sys.exit(run(main))
