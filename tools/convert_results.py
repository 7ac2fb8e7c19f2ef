#!/usr/bin/env python3
"""Turn COCO result JSON into a folder of WIDER prediction files and back; image ids and names come from --gt."""

import _start

from manyfaces.commands.data.convert_results import main

if __name__ == "__main__":
    _start.run(main)
