#!/usr/bin/env bash
# Draws what MTCNN finds in demo/data, or in the sources that are given; pictures go to demo/visualize.
#
# Usage: experiments/scripts/demo_mtcnn.sh [GPU_ID] [DATASET] [NET] [SOURCE and more options of tools/demo.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  not used here, as the three nets are trained in one way; leave it empty
#   NET      cascade (default); its three nets are those in output/mtcnn_pnet, _rnet and _onet, else the shipped ones
#
# Example: experiments/scripts/demo_mtcnn.sh cpu "" cascade holiday/*.jpg
set -euo pipefail
source "$(dirname "$0")/names.sh"
demo_family mtcnn cascade "$@"
