#!/usr/bin/env bash
# Draws what the grid detector finds in demo/data, or in the sources that are given; pictures go to demo/visualize.
#
# Usage: experiments/scripts/demo_grid.sh [GPU_ID] [DATASET] [NET] [SOURCE and more options of tools/demo.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  what it was trained on, as in train_grid.sh; default: the one of the net's config
#   NET      mobile_v2 (default) or mobile_v2_075; its weights are those in output/, else the shipped ones
#
# Example: experiments/scripts/demo_grid.sh cpu "" mobile_v2 portraits/*.jpg
set -euo pipefail
source "$(dirname "$0")/names.sh"
demo_family grid mobile_v2 "$@"
