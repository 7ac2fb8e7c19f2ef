#!/usr/bin/env python3
"""Find faces in images, folders, globs, videos or a camera, and draw them with landmarks and a bar of scores."""

import _start

from manyfaces.commands.demo import main

if __name__ == "__main__":
    _start.run(main)
