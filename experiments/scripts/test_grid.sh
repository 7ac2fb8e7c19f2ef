#!/usr/bin/env bash
# Tests the grid detector on images that it was not trained on: IoU of the most confident box where there are at most
# 5 faces, and AP over all faces.
#
# Usage: experiments/scripts/test_grid.sh [GPU_ID] [DATASET] [NET] [more options of tools/test.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  wider (default) or facemask
#   NET      mobile_v2 (default) or mobile_v2_075; its weights are those in output/, else the shipped ones
#   DATA     environment variable: the folder with wider/, facemask/ and so on (default: data)
#
# Example: experiments/scripts/test_grid.sh cpu wider mobile_v2
source "$(dirname "$0")/start.sh" test grid "$@"
