#!/usr/bin/env python3
"""Find faces in very many images, on one machine or on a Ray cluster, and write them as Parquet: one row per image."""

import _start

from manyfaces.commands.bulk.main import main

if __name__ == "__main__":
    _start.run(main)
