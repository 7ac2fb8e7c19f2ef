#!/usr/bin/env bash
# Draws what SSD finds in demo/data, or in the sources that are given; pictures go to demo/visualize.
#
# Usage: experiments/scripts/demo_ssd.sh [GPU_ID] [DATASET] [NET] [SOURCE and more options of tools/demo.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  what it was trained on, as in train_ssd.sh; default: the one of the net's config
#   NET      mobile_v2 (default) or mobile_v2_crops; its weights are those in output/, else the shipped ones
#
# Example: experiments/scripts/demo_ssd.sh cpu "" mobile_v2 holiday/*.jpg
set -euo pipefail
source "$(dirname "$0")/names.sh"
demo_family ssd mobile_v2 "$@"
