#!/usr/bin/env bash
# Tests MTCNN on images that it was not trained on, and evaluates its detections.
#
# Usage: experiments/scripts/test_mtcnn.sh [GPU_ID] [DATASET] [NET] [more options of tools/test.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  wider (default), events, crowd, facemask or toy
#   NET      cascade (default): the nets mtcnn_pnet, _rnet and _onet in output/mtcnn_DATASET, else in output, else the
#            shipped ones
#   DATA     environment variable: the folder with wider/, facemask/ and so on (default: data)
#   OUTPUT   environment variable: a folder instead of output, for the predictions too
#
# Example: experiments/scripts/test_mtcnn.sh cpu wider cascade --set CASCADE.THRESHOLDS "[0.5, 0.5, 0.3]"
source "$(dirname "$0")/start.sh" test mtcnn "$@"
