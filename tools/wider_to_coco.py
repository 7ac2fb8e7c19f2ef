#!/usr/bin/env python3
"""Turn WIDER FACE's annotation, or any other that the roidb's readers know, into COCO JSON with one category, face."""

import _start

from manyfaces.commands.data.wider_to_coco import main

if __name__ == "__main__":
    _start.run(main)
