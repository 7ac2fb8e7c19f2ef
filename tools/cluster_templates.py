#!/usr/bin/env python3
"""Derive templates for Tiny Faces, or anchors for SSD, from the sizes of a data set's faces."""

import _start

from manyfaces.commands.data.cluster_templates import main

if __name__ == "__main__":
    _start.run(main)
