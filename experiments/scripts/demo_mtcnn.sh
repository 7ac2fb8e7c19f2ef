#!/usr/bin/env bash
# Draws what MTCNN finds in demo/data, or in the sources that are given; pictures go to demo/visualize.
#
# Usage: experiments/scripts/demo_mtcnn.sh [GPU_ID] [DATASET] [NET] [SOURCE and more options of tools/demo.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  what it was trained on, as in train_mtcnn.sh; default: wider+facemask
#   NET      cascade (default): the nets mtcnn_pnet, _rnet and _onet in output/mtcnn_DATASET, else in output, else the
#            shipped ones
#   OUTPUT   environment variable: a folder in place of output
#
# Example: experiments/scripts/demo_mtcnn.sh cpu "" cascade holiday/*.jpg
set -euo pipefail
source "$(dirname "$0")/names.sh"
demo_family mtcnn cascade "$@"
