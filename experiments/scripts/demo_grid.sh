#!/usr/bin/env bash
# Draws the faces that the grid detector finds in demo/data or in SOURCE, into demo/visualize or, elsewhere, faces.
#
# Usage: experiments/scripts/demo_grid.sh [GPU_ID] [DATASET] [NET] [SOURCE and more options of tools/demo.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  the data set of its training, as in train_grid.sh; default: that of the net's config
#   NET      mobile_v2 (default) or mobile_v2_075; its weights are those in output/, else the shipped ones
#
# Example: experiments/scripts/demo_grid.sh cpu "" mobile_v2 portraits/*.jpg
source "$(dirname "$0")/start.sh" demo grid "$@"
