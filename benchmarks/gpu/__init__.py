"""What experiments/scripts/gpu_check.sh runs on a card: `python -m benchmarks.gpu PART`, in a working folder.

A part writes what it measures to PART.csv there, again after each row, so that a part that is stopped leaves what it
has. Its last line says in short how it went, and is the note of the summary. With GPU_CHECK_EMULATE set everything runs
on the processor, in few steps.
"""

import os

EMULATED = bool(os.environ.get("GPU_CHECK_EMULATE"))
