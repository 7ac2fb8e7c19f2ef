#!/usr/bin/env bash
# Tests MTCNN on images that it was not trained on, and evaluates what it found.
#
# Usage: experiments/scripts/test_mtcnn.sh [GPU_ID] [DATASET] [NET] [more options of tools/test.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  wider (default), crowd, facemask or toy
#   NET      cascade (default); its three nets are those in output/mtcnn_pnet, _rnet and _onet, else the shipped ones
#   DATA     environment variable: the folder with wider/, facemask/ and so on (default: data)
#
# Example: experiments/scripts/test_mtcnn.sh cpu wider cascade --set CASCADE.THRESHOLDS "[0.5, 0.5, 0.3]"
set -euo pipefail
source "$(dirname "$0")/names.sh"
test_family mtcnn cascade "$@"
