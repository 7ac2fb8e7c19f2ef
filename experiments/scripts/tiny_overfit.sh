#!/usr/bin/env bash
# Shows that a net of Tiny Faces learns: from random weights, it overfits four images of WIDER FACE's train set in crops
# of 256 px; then its AP on the same four images is measured at that size, 256 px wide.
#
# Usage: experiments/scripts/tiny_overfit.sh [GPU_ID] [NET] [KEY VALUE ... of the config]
#   GPU_ID   0 (default), another number, or cpu
#   NET      res101 (default), res50, res152, vgg16, mobile or mobile_v2
#   DATA     environment variable: the folder with wider/ (default: data)
# The run is output/overfit_tiny_BACKBONE. Exit code 1 when AP at IoU 0.5 is below 1. docs/tiny.md has the times.
#
# Example: DATA=../shared/data experiments/scripts/tiny_overfit.sh cpu vgg16 TRAIN.STEPS 400
source "$(dirname "$0")/start.sh" overfit tiny "$@"
