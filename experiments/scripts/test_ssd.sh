#!/usr/bin/env bash
# Tests SSD on images that it was not trained on, and evaluates its detections.
#
# Usage: experiments/scripts/test_ssd.sh [GPU_ID] [DATASET] [NET] [more options of tools/test.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  wider (default), events, crowd, facemask or toy
#   NET      mobile_v2 (default) or mobile_v2_crops; its weights are those in output/, else the shipped ones
#   DATA     environment variable: the folder with wider/, facemask/ and so on (default: data)
#
# Example: experiments/scripts/test_ssd.sh 0 wider mobile_v2 --flip
source "$(dirname "$0")/start.sh" test ssd "$@"
